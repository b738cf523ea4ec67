#!/usr/bin/env bash
# Every model of the ring holds under every interleaving with up to LOOM_MAX_PREEMPTIONS (3)
# preemptions.
set -euo pipefail
cd "$(dirname "$0")/.."

export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
# Other flags, other artifacts: the ordinary build is left as it is.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"

echo "loom: every model, at most $LOOM_MAX_PREEMPTIONS preemptions"
cargo test -p llm-audit --release --lib loom
echo "loom: ok"
