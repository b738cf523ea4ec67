#!/usr/bin/env bash
# `llm-audit ship` sends logs to CloudWatch Logs, which moto plays, and to a stand-in that enforces every limit and
# fails in every way. Count, content and order of the events are those of the files.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

cargo build -q -p llm-audit-cli --features cloudwatch-logs
command=$(realpath "${CARGO_TARGET_DIR:-target}/debug/llm-audit")
# Nothing of the caller's shell changes what is sent, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!AWS_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE

# The exit code is $1.
ship() {
    local expected=$1 code=0
    shift
    "$command" ship --to cloudwatch --once "$@" >"$work/out" 2>"$work/err" || code=$?
    ((code == expected)) || fail "exit code $code, and $expected is right: $(tail -n 5 "$work/err")"
}

start_moto
AUDIT_DEBUG=true "$command" demo --requests 60 --dir "$work/demo" >/dev/null
ship 0 --dir "$work/demo" --group agents --stream demo
"$moto_python" ci/e2e/cloudwatch.py moto "$work/demo" agents demo
# What is there is not sent again.
ship 0 --dir "$work/demo" --group agents --stream demo
"$moto_python" ci/e2e/cloudwatch.py moto "$work/demo" agents demo

python3 ci/e2e/cloudwatch.py events |
    AUDIT_MAX_EVENT_BYTES=4194304 "$command" record --dir "$work/hard" >/dev/null
# Each fault is followed by a success, and the connection that hangs costs half a minute.
python3 ci/e2e/cloudwatch.py serve "$work/stored" expired throttled unavailable slow failed reset lost slow hang \
    >"$work/port" 2>"$work/refusals" &
started+=($!)
until_ok "the stand-in" test -s "$work/port"
export AWS_ENDPOINT_URL=http://127.0.0.1:$(<"$work/port")
ship 1 --dir "$work/hard" --group agents --stream hard
[[ ! -s $work/refusals ]] || fail "$(head -n 3 "$work/refusals")"
python3 ci/e2e/cloudwatch.py strict "$work/hard" "$work/stored"
echo "cloudwatch: ok"
