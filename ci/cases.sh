#!/usr/bin/env bash
# Lines on which redaction failed once have the right answers, in both profiles.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build -q --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
for profile in full precise; do
    echo "cases: $profile"
    python3 testdata/check/cases.py testdata/cases/redact-cases.jsonl -- "$command" redact --profile "$profile"
done
echo "cases: ok"
