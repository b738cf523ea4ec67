#!/usr/bin/env bash
# `receive` answers, records and survives: the exporters of OpenTelemetry's SDK for Python, kills under load, and
# malformed requests: receive.sh [REQUESTS], 1,000 by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

make_venv receive 'opentelemetry-sdk==1.45.*' 'opentelemetry-exporter-otlp-proto-http==1.45.*'
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

copy_tested_command
check() { "$venv/bin/python" ci/e2e/receive.py "$1" "$command" "$work/$1" "${@:2}"; }
check sdk
check kills
check malformed "${1:-1000}"
echo "receive: ok"
