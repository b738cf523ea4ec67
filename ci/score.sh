#!/usr/bin/env bash
# How much of labelled personal data and secrets the redactor of the command finds:
#   score.sh [--json] [--rows] [--pii FILE]... [--secrets FILE]...
# Without files: the samples of testdata, and the recordings that are present.
set -euo pipefail
cd "$(dirname "$0")/.."

source testdata/recordings.sh
options=("$@")
if [[ " $* " != *" --pii "* && " $* " != *" --secrets "* ]]; then
    options+=(--pii "$(sample pii-vectors.jsonl)" --secrets "$(sample secret-vectors.jsonl)")
    if file=$(recording pii-vectors.jsonl); then options+=(--pii "$file"); fi
    if file=$(recording secret-vectors.jsonl.gz); then options+=(--secrets "$file"); fi
fi

cargo build --release -q -p llm-audit-cli
python3 ci/score.py "${options[@]}" -- "${CARGO_TARGET_DIR:-target}/release/llm-audit" redact
