#!/usr/bin/env bash
# `receive` answers, records and survives: the exporters of OpenTelemetry's SDK for Python, a
# thousand malformed requests, and kills under load.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

make_venv receive 'opentelemetry-sdk==1.45.*' 'opentelemetry-exporter-otlp-proto-http==1.45.*'
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

copy_tested_command
for check in sdk kills malformed; do
    "$venv/bin/python" ci/e2e/receive.py "$check" "$command" "$work/$check"
done
echo "receive: ok"
