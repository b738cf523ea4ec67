#!/usr/bin/env bash
# The public JSONTestSuite through the redactor of the command: json-suite.sh FOLDER.
# FOLDER is a clone of https://github.com/nst/JSONTestSuite; it is run by hand and not in .ci/run.
set -euo pipefail
folder="$(realpath "${1:?usage: json-suite.sh FOLDER}")"
cd "$(dirname "$0")/.."

cargo build -q -p llm-audit-cli
python3 ci/json-suite.py "$folder" "${CARGO_TARGET_DIR:-target}/debug/llm-audit" redact
