#!/usr/bin/env bash
# The packages that bring the AWS SDK, rig, rmcp and async-openai, built and run against services on loopback: the
# store of transcripts against moto's S3. And the example of HTTP clients, with what it records.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/e2e/common.sh

start_moto
packages=(bedrock-agent-example benefits-agent-s3 llm-audit-aws llm-audit-rig mcp-agent-example openai-agent-example rig-agent-example)
echo "companions: ${packages[*]}, S3 at $AWS_ENDPOINT_URL"
cargo test "${packages[@]/#/-p}" -- --nocapture 2>&1 | tee "$work/tests.log"
if grep -q '^skipped:' "$work/tests.log"; then fail "a test was skipped"; fi
echo "companions: http_clients"
AUDIT_DEBUG=true AUDIT_EXPORTER=stdout cargo run -q --example http_clients --features axum,reqwest >"$work/calls.jsonl"
types=$(grep -v '"audit\.' "$work/calls.jsonl" | sed 's/.*"event_type":"\([a-z.]*\)".*/\1/' | tr '\n' ' ')
[[ $types == "llm.error agent.retry llm.invoke llm.error " ]] || fail "http_clients recorded: $types"
echo "companions: ok"
