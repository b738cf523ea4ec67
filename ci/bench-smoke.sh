#!/usr/bin/env bash
# Every bench compiles, its checks of itself hold, and each of its cases runs once.
set -euo pipefail
cd "$(dirname "$0")/.."

# The bench of the ring needs internals, which clippy.sh does not see. Other flags, other artifacts.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg llm_audit_internals -D warnings"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/internals"
echo "bench-smoke: every bench, once, without measuring"
cargo bench -p llm-audit --all-features -- --test
echo "bench-smoke: ok"
