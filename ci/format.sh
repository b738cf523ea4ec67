#!/usr/bin/env bash
# Every package, fuzz targets and peers included, is formatted as rustfmt.toml says.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "format: cargo fmt --check, workspace, fuzz/ and benches/peers/"
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo fmt --manifest-path benches/peers/Cargo.toml --check
echo "format: ok"
