#!/usr/bin/env bash
# Forks of a process whose threads emit, flush and protect values, COUNT of them, by default 1000. No
# child hangs, no line is doubled, every event of every child is in the log, and `verify` finds
# nothing. The other tests of forks run too.
set -euo pipefail
cd "$(dirname "$0")/../.."

count=${1:-1000}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

echo "forks: $count under load"
source ci/test-features.sh
FORKS=$count cargo test -q --features "$test_features" --test forks -- --nocapture >"$output" 2>&1 || {
    cat "$output" >&2
    echo "forks: FAILED" >&2
    exit 1
}
grep -oE '[0-9]+ forks;.*' "$output" | sed 's/^/forks: /'
grep -oE '^test result: .* passed' "$output" | tail -1 | sed 's/^test result: /forks: tests: /'
echo "forks: ok"
