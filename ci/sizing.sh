#!/usr/bin/env bash
# Measures the bytes of an event on the demo's log and on recordings, and writes the tables of docs/shipping.md.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/e2e/common.sh
source testdata/recordings.sh

make_venv clickhouse 'chdb==4.*' 'zstandard==0.*' 'opentelemetry-proto==1.*'
cargo build -q -p llm-audit-cli
command=$(realpath "${CARGO_TARGET_DIR:-target}/debug/llm-audit")
unset "${!AUDIT_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE

AUDIT_DEBUG=true "$command" demo --requests 200 --dir "$work/demo" >/dev/null
logs=("demo, with content=$work/demo")
for name in agent-events.jsonl model-calls.jsonl.gz; do
    recording=$(recording "$name") || continue
    gzip -dcf "$recording" | "$command" record --dir "$work/$name" >/dev/null
    logs+=("${name%%.*}=$work/$name")
done
for log in "${logs[@]}"; do
    "$command" export otlp-json --dir "${log#*=}" >"${log#*=}/otlp.jsonl"
done
"$venv/bin/python" ci/sizing.py docs/shipping.md docs/clickhouse.md "${logs[@]}"
