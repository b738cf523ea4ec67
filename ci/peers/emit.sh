#!/usr/bin/env bash
# The comparison with other loggers in `benches/peers` has no warnings, its tests pass, the lines of each logger
# are complete JSON, and each case runs once, without measuring. A minute, once it is built.
set -euo pipefail
cd "$(dirname "$0")/../../benches/peers"

echo "peers: clippy, tests, and each logger once"
cargo clippy --locked --release -- -D warnings
cargo test --locked --release --quiet
cargo run --locked --release --quiet -- --quick
cargo run --locked --release --quiet -- growth --quick
echo "peers: ok"
