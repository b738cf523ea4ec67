#!/usr/bin/env bash
# No warning of rustc or clippy anywhere: every target, every feature.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "clippy: workspace, all targets, all features, warnings are errors"
cargo clippy --workspace --all-targets --all-features -- -D warnings
echo "clippy: ok"
