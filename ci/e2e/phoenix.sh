#!/usr/bin/env bash
# Arize Phoenix, which it installs, shows the demo's traces: spans of agents, tools and models, with the tokens and the
# cost of the log. With a file, it takes the picture of docs/shipping.md: phoenix.sh [FILE.png]
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
make_venv phoenix 'arize-phoenix==20.26.*' 'opentelemetry-proto==1.*'
cargo build -q -p llm-audit-cli
command=$target/debug/llm-audit
unset "${!AUDIT_@}" "${!PHOENIX_@}" "${!OTEL_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

port=$(free_port)
PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port PHOENIX_GRPC_PORT=$(free_port) PHOENIX_WORKING_DIR=$work/phoenix \
    PHOENIX_TELEMETRY_ENABLED=false "$venv/bin/phoenix" serve >"$work/phoenix.log" 2>&1 &
started+=($!)
phoenix=http://127.0.0.1:$port
until_ok "Phoenix" curl -sf -o /dev/null "$phoenix/healthz"

AUDIT_DEBUG=true "$command" demo --requests 30 --dir "$work/log" >/dev/null
"$command" export otlp-json --dir "$work/log" >"$work/otlp.jsonl"
"$venv/bin/python" ci/e2e/phoenix.py send "$work/otlp.jsonl" "$phoenix"
# Phoenix stores them in its own time.
until_ok "all spans" "$venv/bin/python" ci/e2e/phoenix.py check "$work/log" "$phoenix"

if (($# > 0)); then
    page=$("$venv/bin/python" ci/e2e/phoenix.py page "$work/log" "$phoenix")
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1400,800 \
        --virtual-time-budget=20000 --user-data-dir="$work/chromium" --screenshot="$1" "$page" 2>/dev/null
fi
echo "phoenix: ok"
