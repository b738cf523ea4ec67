#!/usr/bin/env bash
# What the library makes of recorded answers, tokens and dollars, is what a second reading of them
# makes, written in Python with decimal arithmetic.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build -p llm-audit --example cost
python3 ci/cost.py "${CARGO_TARGET_DIR:-target}/debug/examples/cost"
echo "cost: ok"
