#!/usr/bin/env bash
# The example service sends its metrics to real receivers: through rotel, a collector, and over TLS to one of
# opentelemetry-proto. Names, units and buckets must be those of the conventions, and each figure that of the log.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
make_venv otlp 'opentelemetry-proto==1.45.*' 'rotel==0.0.1a15'
rotel=$(echo "$venv"/lib/python3*/site-packages/rotel/rotel-agent)

cargo build -q -p llm-audit-demo --bin benefits-agent --features llm-audit/otlp
service=$target/debug/benefits-agent
# Nothing of the caller's shell changes the service, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!BENEFITS_@}" "${!OPENAI_@}" "${!OTEL_@}" "${!ROTEL_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# Starts a receiver, whose port is then in $work/$1.port.
receive() {
    "$venv/bin/python" ci/e2e/otlp-metrics.py receive "$work/$1.json" "${@:2}" >"$work/$1.port" &
    started+=($!)
    until_ok "a receiver" test -s "$work/$1.port"
}

# Runs the service for some requests, with these variables, and stops it.
serve() {
    local name=$1 port pid
    shift
    port=$(free_port)
    env "$@" AUDIT_LOG_DIR="$work/$name" AUDIT_DEBUG=true OTEL_SERVICE_NAME=desk \
        OTEL_METRIC_EXPORT_INTERVAL=500 BENEFITS_ADDRESS="127.0.0.1:$port" "$service" &
    pid=$!
    started+=("$pid")
    until_ok "the service" curl -sf -o /dev/null "http://127.0.0.1:$port/health"
    for case in $(seq 40); do
        question="{\"case\": $case, \"contact\": \"ana@example.com\", \"question\": \"Is the dentist covered?\"}"
        curl -s -o /dev/null -H 'content-type: application/json' -d "$question" "http://127.0.0.1:$port/benefits/M$case" ||
            fail "request $case: no answer"
    done
    kill -TERM "$pid"
    wait "$pid" || fail "the service ended with $?"
}

check() { "$venv/bin/python" ci/e2e/otlp-metrics.py check "$work/$1" "$work/$1.json" "$2"; }

# Cumulative, through a collector.
receive stable
http_port=$(free_port)
"$rotel" start --log-file "$work/rotel.log" --pid-file "$work/rotel.pid" \
    --otlp-http-endpoint "127.0.0.1:$http_port" --otlp-grpc-endpoint "127.0.0.1:$(free_port)" \
    --exporter otlp --otlp-exporter-protocol http --otlp-exporter-endpoint "http://127.0.0.1:$(<"$work/stable.port")" \
    >"$work/rotel.out" 2>&1 &
started+=($!)
until_ok "rotel" bash -c "exec 3<>/dev/tcp/127.0.0.1/$http_port"
serve stable OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$http_port"
# The collector passes the last export on in its own time.
until_ok "the last export" check stable stable || { cat "$work/rotel.log" >&2; check stable stable; }

# Deltas, over TLS, with a certificate of the client.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
receive genai "$work/certificate.pem" "$work/key.pem"
serve genai AUDIT_SEMCONV=genai-0.1 OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta \
    OTEL_EXPORTER_OTLP_ENDPOINT="https://localhost:$(<"$work/genai.port")" \
    OTEL_EXPORTER_OTLP_CERTIFICATE="$work/certificate.pem" \
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="$work/certificate.pem" OTEL_EXPORTER_OTLP_CLIENT_KEY="$work/key.pem"
check genai genai-0.1
echo "otlp-metrics: ok"
