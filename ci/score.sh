#!/usr/bin/env bash
# How much of labelled personal data and secrets the redactor of the command finds:
#   score.sh [--json] [--rows] [--pii FILE]... [--secrets FILE]...
# Without files, those beside the repository; without them there is nothing to score.
set -euo pipefail
cd "$(dirname "$0")/.."

data=../shared/data
options=("$@")
if [[ " $* " != *" --pii "* && " $* " != *" --secrets "* ]]; then
    for file in "--pii $data/pii-vectors.jsonl" "--secrets $data/secret-vectors.jsonl.gz"; do
        if [[ -e ${file#* } ]]; then options+=(${file% *} "${file#* }"); fi
    done
fi
if [[ " ${options[*]-} " != *" --pii "* && " ${options[*]-} " != *" --secrets "* ]]; then
    echo "score: no labelled data in $data; nothing scored"
    exit 0
fi

cargo build --release -q -p llm-audit-cli
python3 ci/score.py "${options[@]}" -- "${CARGO_TARGET_DIR:-target}/release/llm-audit" redact
