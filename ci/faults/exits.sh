#!/usr/bin/env bash
# However a process ends, what it accepted is in its log: exit, panics, signals, dead sinks (the tests),
# and `record`, ended by a signal at COUNT random moments under load (by default 20): every log is
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

cargo test -q -p llm-audit --test exits -- --nocapture >"$work/tests" 2>&1 || {
    cat "$work/tests" >&2
    fail "the tests FAILED"
}
grep -oE '(an exit|[0-9]+ signals) (on|beside) .*' "$work/tests" | sed 's/^/exits: /'
grep -oE '^test result: .* passed' "$work/tests" | tail -1 | sed 's/^test result: /exits: tests: /'

cargo build -q -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/debug/llm-audit"
line='{"event_type":"cache.hit","agent":"a","action":"b","status":"ok","data":{"text":"of some length"}}'
mkfifo "$work/lines"
# With it, what runs in the background does not ignore SIGINT.
set -m
events=0
for ((n = 0; n < count; n++)); do
    if ((n % 2)); then name=INT number=2; else name=TERM number=15; fi
    dir="$work/logs-$n"
    "$command" record --debug --dir "$dir" <"$work/lines" >/dev/null 2>"$work/said" &
    record=$!
    { yes "$line" || true; } >"$work/lines" 2>/dev/null &
    until grep -qs cache.hit "$dir"/*.jsonl; do sleep 0.01; done
    sleep "0.$((RANDOM % 400 + 100))"
    kill -s "$name" "$record"
    status=0
    wait "$record" 2>/dev/null || status=$?
    ((status == 128 + number)) || fail "SIG$name: exit code $status: $(cat "$work/said")"
    "$command" verify --json --dir "$dir" >"$work/verified" || fail "SIG$name: $(cat "$work/verified")"
    found=$(grep -oE '"events": ?[0-9]+' "$work/verified" | head -1)
    events=$((events + ${found##*[: ]}))
    rm -rf "$dir"
done
echo "exits: record ended by $count signals: $events events, every log closed, nothing unexplained"
echo "exits: ok"
