#!/usr/bin/env bash
# The redactor of the command never does less than the floor rules: floor.sh [SEEDS], 20 by default.
# The check itself lies beside the repository; without it there is nothing to run.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds="${1:-20}"
check=../shared/check/floor.py
if [[ ! -e $check ]]; then
    echo "floor: $check is not here; nothing checked"
    exit 0
fi

cargo build --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
echo "floor: seeds 1 to $seeds"
for ((seed = 1; seed <= seeds; seed++)); do
    python3 "$check" --seed "$seed" "$command" redact
done
echo "floor: ok"
