#!/usr/bin/env bash
# ClickHouse loads the demo's log by the statements of docs/clickhouse.md, from the files and from the tables that a
# collector writes. The queries of that page have the figures of `llm-audit stats` and `cost`.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
make_venv clickhouse 'chdb==4.*'
cargo build -q -p llm-audit-cli
command=$target/debug/llm-audit
unset "${!AUDIT_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE

# Two files, one of them compressed. Everything is kept, so that the lines have the figures of all events.
for run in 1 2; do
    AUDIT_DEBUG=true AUDIT_COMPRESS=zstd "$command" demo --requests 150 --seed "$run" --dir "$work/log" >/dev/null
done
"$command" stats --json --dir "$work/log" >"$work/stats.json"
"$command" cost --json --dir "$work/log" >"$work/cost.json"
"$command" export otlp-json --dir "$work/log" >"$work/otlp.jsonl"
(cd "$work/log" && "$venv/bin/python" "$OLDPWD/ci/e2e/clickhouse.py" "$OLDPWD/docs/clickhouse.md" "$work")
echo "clickhouse: ok"
