#!/usr/bin/env bash
# Every bench compiles, what it asserts about itself holds, and each of its cases runs once.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "bench-smoke: every bench, once, without measuring"
cargo bench -p llm-audit --all-features -- --test
echo "bench-smoke: ok"
