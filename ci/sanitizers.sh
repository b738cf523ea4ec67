#!/usr/bin/env bash
# The unit tests of the ring, the recorder and the writer under AddressSanitizer and ThreadSanitizer. Needs a nightly compiler; ThreadSanitizer also its component rust-src, for the
# standard library must be built with it. What cannot be done here is said, and is not a failure unless
# nothing could be. `address` or `thread`: that one alone.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

cargo +nightly --version >/dev/null || {
    echo "sanitizers: there is no nightly compiler" >&2
    exit 1
}
target=$(rustc +nightly -vV | sed -n 's/^host: //p')
output=$(mktemp)
trap 'rm -f "$output"' EXIT
source_of_std=$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock
# A sanitizer slows all of it: fewer random runs.
export LLM_AUDIT_RUNS=100
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_PROFILE_DEV_OPT_LEVEL=1

run() {
    local name=$1 began=$SECONDS
    shift
    echo "sanitizers: $name"
    # A target folder of its own, because the flags differ from those of every other build.
    for module in ring recorder writer; do
        RUSTFLAGS="-Zsanitizer=$name" \
            CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitizers-$name" \
            cargo +nightly test -q --target "$target" "$@" -p llm-audit --lib -- "$module::" | tee "$output"
        # A filter that matches nothing passes too.
        if grep -q "^test result: ok. 0 passed" "$output"; then
            echo "sanitizers: there is no test in $module" >&2
            exit 1
        fi
    done
    echo "sanitizers: $name: ok, $((SECONDS - began)) s"
}

only=${1:-all}
[[ $only == thread ]] || run address
if [[ $only == address ]]; then
    :
elif [[ -e $source_of_std ]]; then
    # Reports a race with exit code 66 at the first.
    TSAN_OPTIONS="halt_on_error=1" run thread -Zbuild-std
else
    echo "sanitizers: thread: skipped: nightly has no rust-src (rustup component add rust-src --toolchain nightly)"
fi
echo "sanitizers: ok"
