#!/usr/bin/env bash
# A shipper is killed (SIGKILL) at a random moment after its first request, 50 times. Without their first requests these
# take MINUTES, by default 1. Meanwhile a writer writes, rotates and compresses.
# The receiver dies, hangs, resets connections, loses answers, and answers with 400, 429, 502 and 503. Every event
# arrives or is in `.ship/refused/`, and is counted once. One comes again only if an acknowledgement or a position was
# lost.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
source ci/e2e/common.sh

kills=50
milliseconds=$((${1:-1} * 60000 / kills))
make_venv otlp 'opentelemetry-proto==1.45.*' 'rotel==0.0.1a15'
cargo build -q -p llm-audit-cli --features otlp
command=$(realpath "${CARGO_TARGET_DIR:-target}/debug/llm-audit")
unset "${!AUDIT_@}" "${!OTEL_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export OTEL_EXPORTER_OTLP_TIMEOUT=5000

# Prints events, some 250 a second, until the file is gone.
events() {
    python3 -c '
import itertools, json, os, sys, time
for number in itertools.count():
    if number % 25 == 0:
        sys.stdout.flush()
        time.sleep(0.1)
        if not os.path.exists(sys.argv[1]):
            break
    kind, took = (("tool.result", {"latency_ms": 2.5}), ("agent.route", {}), ("llm.invoke", {"latency_ms": 9}))[number % 3]
    data = {"tool": "search", "model": "m", "text": "x" * (number % 700)}
    print(json.dumps({"event_type": kind, "agent": "a", "action": "b", "status": "ok", "data": data} | took))' "$1"
}
touch "$work/goes-on"
events "$work/goes-on" | AUDIT_MAX_FILE_BYTES=1000000 AUDIT_COMPRESS=zstd "$command" record --dir "$work/log" >"$work/recorded" &
writer=$!
started+=("$writer")
until_ok "the writer" test -e "$work/log"

echo 0.4 >"$work/faults"
port=$(free_port)
"$venv/bin/python" ci/e2e/ship.py receive "$work/received" "$port" "$work/faults" >"$work/ports" &
started+=($!)
until_ok "the receiver" test -s "$work/ports"
export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$port

echo "ship: $kills kills"
for ((n = 1; n <= kills; n++)); do
    OTEL_EXPORTER_OTLP_HEADERS=x-run=$n "$command" ship --to otlp --follow --dir "$work/log" >>"$work/shipped" 2>&1 &
    shipper=$!
    # After the writer and the receiver.
    started[2]=$shipper
    until_ok "a request of shipper $n" grep -qx "$n" "$work/faults.seen"
    pause=$(((RANDOM * 32768 + RANDOM) % (2 * milliseconds)))
    sleep "$((pause / 1000)).$(printf '%03d' $((pause % 1000)))"
    kill -KILL "$shipper" || fail "the shipper ended: $(tail -n 3 "$work/shipped")"
    wait "$shipper" 2>/dev/null || true
    unset 'started[2]'
done
rm "$work/goes-on"
wait "$writer" || fail "the writer ended with $?"

# What is left is sent without faults. Some events are still refused for good.
echo 0 >"$work/faults"
code=0
"$command" ship --to otlp --once --dir "$work/log" >>"$work/shipped" 2>&1 || code=$?
((code <= 1)) || fail "exit code $code: $(tail -n 3 "$work/shipped")"
# Some are refused.
"$command" ship status --json --dir "$work/log" >"$work/status" || (($? == 1)) || fail "no status"
"$venv/bin/python" ci/e2e/ship.py complete "$work/log" "$work/received" "$work/status"
echo "ship: ok"
