#!/usr/bin/env bash
# `record` keeps every event of real input and no address of it; what it wrote is JSON, is complete,
# and adds up. Input: generated events, the sample of testdata, and the recordings that are present.
set -euo pipefail
cd "$(dirname "$0")/.."

source testdata/recordings.sh
address='[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}'
cargo build --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "record: $*" >&2
    exit 1
}

# 2,000 events of 40 traces, with texts of 1 byte to 200 KB.
generated() {
    awk 'BEGIN {
        long = "x"
        while (length(long) < 200000) long = long long
        for (n = 0; n < 2000; n++) {
            bytes = n % 97 == 0 ? n * 100 + 1 : n % 50 + 1
            printf "{\"event_type\":\"tool.call\",\"agent\":\"benefits\",\"action\":\"plan.search\","
            printf "\"status\":\"ok\",\"trace_id\":\"%032x\",", n % 40 + 1
            printf "\"data\":{\"n\":%d,\"text\":\"user%d@mail.example ", n, n
            printf "%s\",\"password\":\"p%d\"}}\n", substr(long, 1, bytes), n
        }
    }'
}

# Every string of the lines, keys included, a line each. Fails if a line is not JSON.
strings() {
    if command -v jq >/dev/null; then
        jq -r '.. | strings, (objects | keys[])' "$@"
    else
        python3 -c '
import json, sys
def walk(v):
    if isinstance(v, str): print(v)
    elif isinstance(v, list): [walk(x) for x in v]
    elif isinstance(v, dict): [(print(k), walk(x)) for k, x in v.items()]
sys.stdout.reconfigure(errors="replace")
for name in sys.argv[1:]:
    for line in open(name, encoding="utf-8"): walk(json.loads(line))
' "$@"
    fi
}

# The number that the printed accounting has under this name.
count() {
    local found
    found=$(grep -oE "\"$1\": ?[0-9]+" "$work/accounting") || fail "the accounting has no $1"
    echo "${found##*[: ]}"
}

check() {
    local name=$1 input=$2 events written sum=0 end
    local dir="$work/$name"
    events=$(grep -c '[^[:space:]]' "$input")
    "$command" record --json --dir "$dir" <"$input" >"$work/accounting" ||
        fail "$name: exit code $?"
    for end in written overwritten sampled_out rejected io_lost queued; do
        sum=$((sum + $(count "$end")))
    done
    (($(count emitted) == sum)) || fail "$name: the accounting does not add up"
    written=$(cat "$dir"/*.jsonl | grep -vc '"event_type":"audit\.') || true
    ((written == events)) || fail "$name: $events events went in, $written lines came out"
    strings "$dir"/*.jsonl >"$work/strings" || fail "$name: a line is no JSON"
    if grep -qE "$address" "$work/strings"; then fail "$name: an address is left"; fi
    "$command" verify --dir "$dir" >/dev/null || fail "$name: verify found something"
    echo "record: $name: $events events in, $written out; accounting, JSON, addresses, verify ok"
}

if ! command -v jq >/dev/null && ! command -v python3 >/dev/null; then
    fail "needs jq or python3 to read the lines"
fi
generated >"$work/generated.input"
check generated "$work/generated.input"
check sample "$(sample agent-events.jsonl)"
recorded=0
for name in agent-events.jsonl transcripts.jsonl.gz model-calls.jsonl.gz; do
    if input=$(recording "$name"); then
        gzip -dcf "$input" >"$work/$name.input"
        check "$name" "$work/$name.input"
        recorded=$((recorded + 1))
    fi
done
echo "record: ok, with $recorded of 3 recordings"
