#!/usr/bin/env bash
# Random runs of the whole, RUNS (1,000) of them: eight threads, a full queue, rotation, a full disk
# and a close that races them. Then twenty times as many of the writer against its model, turned by
# hand. If a seed fails, it is named: LLM_AUDIT_SEED=<seed> runs it alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

runs="${1:-1000}"
run() {
    local name=$1 count=$2 began=$SECONDS
    # A name that matches nothing passes too.
    LLM_AUDIT_RUNS=$count cargo test -q -p llm-audit --release --lib "$name" -- --exact |
        tee /dev/stderr | grep -q "^test result: ok. 1 passed"
    echo "random: $count runs of $name, every count agreed, $((SECONDS - began)) s"
}
run writer::tests::random::whatever_races_every_count_agrees "$runs"
run writer::tests::model::whatever_happens_every_number_is_written_or_reported "$((runs * 20))"
