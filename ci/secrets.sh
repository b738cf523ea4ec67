#!/usr/bin/env bash
# Random secrets behind sensitive names do not survive `redact`: secrets.sh [COUNT], 1,000 secrets of each
# alphabet in each carrier by default. In no carrier may 0.1 % survive.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build -q --release -p llm-audit-cli
echo "secrets: ${1:-1000} of each alphabet in each carrier"
python3 ci/secrets.py --count "${1:-1000}" "${CARGO_TARGET_DIR:-target}/release/llm-audit" redact
echo "secrets: ok"
