#!/usr/bin/env bash
# `llm-audit ship` sends the demo's log to a receiver of OTLP over HTTP, and through rotel, a collector, over HTTP and
# gRPC. Every event arrives, as a span or a log record with the names and attributes of the conventions.
# ship.sh [PROTOCOL...]: http/protobuf and grpc by default. CI leaves out grpc, which needs another build.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

make_venv otlp 'opentelemetry-proto==1.45.*' 'rotel==0.0.1a15'
rotel=$(echo "$venv"/lib/python3*/site-packages/rotel/rotel-agent)
protocols=("$@")
if ((${#protocols[@]} == 0)); then protocols=(http/protobuf grpc); fi
if [[ " ${protocols[*]} " == *" grpc "* ]]; then
    cargo build -q -p llm-audit-cli --features otlp-grpc,receive
    command=$(realpath "${CARGO_TARGET_DIR:-target}/debug/llm-audit")
else
    copy_tested_command
fi
# Nothing of the caller's shell changes what is sent, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!OTEL_@}" "${!ROTEL_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

AUDIT_DEBUG=true "$command" demo --requests 60 --dir "$work/demo" >/dev/null

# Starts a receiver, whose port is then in $work/$1.port.
receive() {
    "$venv/bin/python" ci/e2e/ship.py receive "$work/$1.json" >"$work/$1.port" &
    started+=($!)
    until_ok "a receiver" test -s "$work/$1.port"
}

# Ships a copy of the log: ship NAME ENDPOINT PROTOCOL
ship() {
    cp -r "$work/demo" "$work/$1"
    OTEL_EXPORTER_OTLP_ENDPOINT=$2 OTEL_EXPORTER_OTLP_PROTOCOL=$3 \
        "$command" ship --to otlp --once --dir "$work/$1" >"$work/$1.out" 2>&1 || fail "$1: $(tail -n 5 "$work/$1.out")"
}
conventions() { "$venv/bin/python" ci/e2e/ship.py conventions "$work/demo" "$work/$1.json"; }

receive direct
ship direct "http://127.0.0.1:$(<"$work/direct.port")" http/protobuf
conventions direct

for protocol in "${protocols[@]}"; do
    name=${protocol%/*}
    receive "$name"
    http=$(free_port) grpc=$(free_port)
    "$rotel" start --log-file "$work/rotel-$name.log" --pid-file "$work/rotel-$name.pid" --debug-log logs --debug-log traces \
        --otlp-http-endpoint "127.0.0.1:$http" --otlp-grpc-endpoint "127.0.0.1:$grpc" \
        --exporter otlp --otlp-exporter-protocol http --otlp-exporter-endpoint "http://127.0.0.1:$(<"$work/$name.port")" \
        >"$work/rotel-$name.out" 2>&1 &
    started+=($!)
    until_ok "rotel" bash -c "exec 3<>/dev/tcp/127.0.0.1/$http"
    until_ok "rotel" bash -c "exec 3<>/dev/tcp/127.0.0.1/$grpc"
    ship "$name" "http://127.0.0.1:$([[ $name == grpc ]] && echo "$grpc" || echo "$http")" "$protocol"
    # The collector passes them on in its own time.
    until_ok "what the collector passes on over $protocol" conventions "$name"
done
echo "ship: ok"
