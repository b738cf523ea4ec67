#!/usr/bin/env bash
# Records agents under failures and replays each failed trace twice: the demo, a rig agent, and a small agent
# that was written without replay in mind. At least 95 % must fail again with the same error at the same step,
# and two replays of a trace must record the same bytes. Prints why the others do not. The number of requests
# is the first argument.
set -euo pipefail
cd "$(dirname "$0")/.."

export LLM_AUDIT_RUNS=${1:-1000}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for agent in llm-audit-demo trip-agent-example rig-agent-example; do
    if ! cargo test -q -p "$agent" --test replay -- --nocapture >"$log" 2>&1; then
        cat "$log"
        echo "replays: $agent: FAILED" >&2
        exit 1
    fi
    # What the agents' own panics print is left out.
    grep -E '^(demo|trip agent|rig agent): ' "$log"
done
echo "replays: ok"
