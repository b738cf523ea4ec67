#!/usr/bin/env bash
# Runs the worked example of docs/replay.md: the demo fails, one command writes a test, the test fails with
# production's error, and with the bug fixed it passes. Both runs take less than a second of processor time
# after the build, and are without network if a network namespace can be made. It says so if not.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d)
name=
# The test is written into the crate of the demo, as its user would, and removed at the end.
trap 'rm -rf "$work"; [[ -z $name ]] || rm -f "$root/crates/demo/tests/$name.rs" "$root/crates/demo/tests/fixtures/$name.json"; rmdir "$root/crates/demo/tests/fixtures" 2>/dev/null || true' EXIT

fail() {
    echo "replay-example: $*" >&2
    exit 1
}

cargo build -q -p llm-audit-cli
command="$target/debug/llm-audit"
"$command" demo --requests 60 --dir "$work/logs" >/dev/null
"$command" errors --dir "$work/logs" >"$work/errors.txt"
id=$(grep -A2 'calls.summary' "$work/errors.txt" | sed -n 's/.*llm-audit trace \([0-9a-f]*\).*/\1/p' | head -n 1)
[[ -n $id ]] || fail "errors shows no trace of calls.summary: $(cat "$work/errors.txt")"

cd crates/demo
name=$("$command" fixture "$id" --test --dir "$work/logs" 2>&1 | sed -n 's|.*wrote tests/\(replay_[0-9a-f]*\)\.rs$|\1|p')
[[ -n $name ]] || fail "fixture writes no test"
test=$(cargo test --no-run --test "$name" 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -n 1)
test=$(cd "$root" && realpath "$test")

# Not even loopback is up in a network namespace. Containers often forbid one.
if unshare -rn true 2>"$work/unshare.txt"; then
    without_network() { unshare -rn "$@"; }
else
    echo "replay-example: the network stays reachable, as no namespace can be made: $(cat "$work/unshare.txt")"
    without_network() { "$@"; }
fi

# Runs the test with the setting $1, expects the exit status $2 and the text $3.
replay() {
    local status=0 took spent
    export BENEFITS_SKIP_MALFORMED=$1
    TIMEFORMAT='%R %U %S'
    { time without_network "$test" >"$work/out.txt" 2>&1 || status=$?; } 2>"$work/time.txt"
    ((status == $2)) || fail "exit status $status, not $2: $(cat "$work/out.txt")"
    grep -qF "$3" "$work/out.txt" || fail "no \"$3\" in: $(cat "$work/out.txt")"
    took=$(awk '{ print $1 }' "$work/time.txt")
    # On a busy machine only this repeats.
    spent=$(awk '{ print $2 + $3 }' "$work/time.txt")
    awk "BEGIN { exit !($spent < 1) }" || fail "it takes $spent s of processor time"
    echo "replay-example: BENEFITS_SKIP_MALFORMED=$1, $took s, $spent s of processor time:"
    grep -F -m 1 "$3" "$work/out.txt"
}
replay false 101 "it fails as it was recorded: tool.error calls.summary"
replay true 0 "test result: ok"
echo "replay-example: ok"
