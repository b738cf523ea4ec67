#!/usr/bin/env bash
# The models can fail: for each deliberate defect (a weakened ordering, no seal, counting early)
# at least one of them does. Two preemptions are enough to find each, and keep it short.
set -euo pipefail
cd "$(dirname "$0")/.."

export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-2}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
seconds_max=600

models() {
    timeout "$seconds_max" cargo test -q -p llm-audit --release --lib loom -- "$@" 2>&1
}

listed=$(cargo test -p llm-audit --release --lib loom_list_mutants -- --nocapture)
mapfile -t mutants < <(sed -n 's/.*mutant: \([a-z0-9_]*\).*/\1/p' <<<"$listed")
if ((${#mutants[@]} == 0)); then
    echo "loom-mutants: the loom test build lists none" >&2
    exit 1
fi

echo "loom-mutants: ${#mutants[@]} defects, at most $LOOM_MAX_PREEMPTIONS preemptions"
survivors=0
for mutant in "${mutants[@]}"; do
    began=$SECONDS
    code=0
    output=$(LLM_AUDIT_MUTANT="$mutant" models) || code=$?
    # 101 is how a test fails; anything else says nothing about the models.
    if ((code == 101)) && failed=$(grep -oE '^    [a-z_:0-9]*loom[a-z_:0-9]*$' <<<"$output" | sort -u); then
        verdict="fails $(sed 's/.*::loom_//' <<<"$failed" | paste -sd ' ')"
    elif ((code == 101)) && grep -q 'panicked at' <<<"$output"; then
        verdict="fails, and ends the process"
    elif ((code == 124)); then
        verdict="NO VERDICT in $seconds_max s"
        survivors=$((survivors + 1))
    else
        verdict="SURVIVES (exit code $code)"
        survivors=$((survivors + 1))
    fi
    printf '%-28s %4d s  %s\n' "$mutant" "$((SECONDS - began))" "$verdict"
done

if ((survivors > 0)); then
    echo "loom-mutants: $survivors of ${#mutants[@]} not found" >&2
    exit 1
fi
echo "loom-mutants: ok, every defect makes a model fail"
