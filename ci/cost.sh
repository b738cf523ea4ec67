#!/usr/bin/env bash
# What the library makes of recorded answers, tokens and dollars, is what a second reading of them
# makes, written in Python with decimal arithmetic. Answers and names that users reported have the
# tokens, costs and prices that their cases state.
set -euo pipefail
cd "$(dirname "$0")/.."
source testdata/recordings.sh

cargo build -p llm-audit --example cost
cost="${CARGO_TARGET_DIR:-target}/debug/examples/cost"
python3 ci/cost.py "$cost"
usage() { python3 testdata/check/usage.py "$@" -- "$cost" | tail -n 25; }
usage --with-provider testdata/cases/usage-cases.jsonl
# A case of a name states a model of the public list, so it needs the list.
if recording prices-litellm.json >/dev/null; then
    usage --with-provider testdata/cases/names.jsonl
    usage --with-provider --built-in testdata/cases/names.jsonl
fi
echo "cost: ok"
