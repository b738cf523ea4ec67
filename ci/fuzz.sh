#!/usr/bin/env bash
# Every fuzz target builds, and finds nothing in a short run: fuzz.sh [SECONDS], 10 each by default.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-10}"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz: cargo-fuzz needs a nightly compiler: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz"
    cargo install cargo-fuzz --locked
fi

echo "fuzz: building every target"
cargo +nightly fuzz build
targets=$(cargo +nightly fuzz list)
for target in $targets; do
    echo "fuzz: $target, $seconds s"
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -print_final_stats=1
done
echo "fuzz: ok"
