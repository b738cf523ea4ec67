#!/usr/bin/env bash
# The packages that bring the AWS SDK, rig-core and async-openai, built and run against services on loopback:
# the store of transcripts against moto's S3.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/e2e/common.sh

start_moto
echo "companions: benefits-agent-s3, rig-agent-example and openai-agent-example, S3 at $AWS_ENDPOINT_URL"
cargo test -p benefits-agent-s3 -p rig-agent-example -p openai-agent-example -- --nocapture 2>&1 | tee "$work/tests.log"
if grep -q '^skipped:' "$work/tests.log"; then fail "a test was skipped"; fi
echo "companions: ok"
