#!/usr/bin/env bash
# The redactor of the command never does less than the floor rules, and the exceptions to them stay:
# floor.sh [SEEDS], 10 by default. Every seed is 20,000 generated cases of each, the texts of the sample
# and those of the recording, if present.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds="${1:-10}"
cargo build --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
echo "floor: seeds 1 to $seeds"
for ((seed = 1; seed <= seeds; seed++)); do
    python3 testdata/check/floor.py --seed "$seed" "$command" redact
    python3 testdata/check/floor.py --seed "$seed" --exceptions "$command" redact
done
echo "floor: ok"
