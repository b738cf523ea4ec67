#!/usr/bin/env bash
# Every bench compiles, its checks of itself hold, and each of its cases runs once, without optimization.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "bench-smoke: every bench, once, without measuring"
cargo test -p llm-audit --all-features --benches -- --test
# The bench of the ring needs internals, which clippy.sh does not see. Other flags, other artifacts.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg llm_audit_internals -D warnings"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/internals"
cargo test -p llm-audit --bench ring -- --test
echo "bench-smoke: ok"
