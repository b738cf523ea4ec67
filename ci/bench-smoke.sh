#!/usr/bin/env bash
# Every bench compiles, its checks of itself hold, and each of its cases runs once, without optimization.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "bench-smoke: every bench, once, without measuring"
source ci/test-features.sh
# The bench of the ring needs internals.
LLM_AUDIT_INTERNALS=1 cargo test --features "$test_features" --bench '*' -- --test
echo "bench-smoke: ok"
