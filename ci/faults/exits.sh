#!/usr/bin/env bash
# However a process ends, what it accepted is in its log. The tests check exit, panics, signals and dead
# sinks. Then a signal ends `record` at COUNT random moments under load, by default 20. Every log is
# closed, and `verify` finds nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

count=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "exits: $*" >&2
    exit 1
}

source ci/test-features.sh
cargo test -q --features "$test_features" --test exits -- --nocapture >"$work/tests" 2>&1 || {
    cat "$work/tests" >&2
    fail "the tests FAILED"
}
grep -oE '(an exit|[0-9]+ signals) (on|beside) .*' "$work/tests" | sed 's/^/exits: /'
grep -oE '^test result: .* passed' "$work/tests" | tail -1 | sed 's/^test result: /exits: tests: /'

cargo build -q -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/debug/llm-audit"
line='{"event_type":"cache.hit","agent":"a","action":"b","status":"ok","data":{"text":"of some length"}}'
mkfifo "$work/lines"
# What runs in the background may ignore SIGINT.
heeding=()
if env --default-signal=INT true 2>/dev/null; then heeding=(env --default-signal=INT); fi
events=0

# Starts `record` below the given command, and waits until it has written.
begin() {
    "$@" "$command" record --dir "$dir" <"$work/lines" >/dev/null 2>"$work/said" &
    record=$!
    { yes "$line" || true; } >"$work/lines" 2>/dev/null &
    until grep -qs cache.hit "$dir"/*.jsonl; do sleep 0.01; done
    sleep "0.$((RANDOM % 400 + 100))"
}

# Holds how it ended against signal $1, of number $2.
check() {
    local status=0 found
    wait "$record" 2>/dev/null || status=$?
    ((status == 128 + $2)) || fail "SIG$1: exit code $status: $(cat "$work/said")"
    "$command" verify --json --dir "$dir" >"$work/verified" || fail "SIG$1: $(cat "$work/verified")"
    found=$(grep -oE '"events": ?[0-9]+' "$work/verified" | head -1)
    events=$((events + ${found##*[: ]}))
    rm -rf "$dir"
}

dir=$work/logs
for ((n = 0; n < count; n++)); do
    if ((n % 2)) && ((${#heeding[@]})); then name=INT number=2; else name=TERM number=15; fi
    begin "${heeding[@]}"
    kill -s "$name" "$record"
    check "$name" "$number"
done
echo "exits: record ended by $count signals: $events events, every log closed, nothing unexplained"

# The first process of a container is not ended by the default action of a signal.
if unshare -pf true 2>/dev/null; then
    begin unshare -pf
    kill -s TERM $(<"/proc/$record/task/$record/children")
    check TERM 15
    echo "exits: record ended by a signal as the first process of its namespace: its log is closed"
else
    echo "exits: no right to a namespace of processes; skipped"
fi
echo "exits: ok"
