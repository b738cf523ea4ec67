#!/usr/bin/env bash
# Every subcommand that reads a log reads the demo's log and the recordings. The exit codes are those of its
# help, and no line is wider than the terminal. Packed input gives the same answers. A folder with every
# kind of damage comes last, with a line of 200 MB in it.
set -euo pipefail
cd "$(dirname "$0")/.."

source testdata/recordings.sh
cargo build --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8
logs=0

fail() {
    echo "readers: $*" >&2
    exit 1
}

# Runs a subcommand, whose exit code is one of $1: allows CODES ARGUMENT...
allows() {
    local codes=$1 code=0
    shift
    "$command" "$@" >"$work/out" 2>"$work/err" || code=$?
    [[ " $codes " == *" $code "* ]] || fail "exit code $code of $*: $(head -n 3 "$work/err")"
    if grep -q panicked "$work/err"; then fail "$*: $(head -n 3 "$work/err")"; fi
}

# The same at several widths: fits CODES ARGUMENT...
fits() {
    local columns wide
    for columns in 40 80 160; do
        COLUMNS=$columns allows "$@"
        wide=$(wc -L <"$work/out")
        ((wide <= columns)) || fail "$wide columns of $columns: ${*:2}"
    done
}

# What there may be none of exits with 3: a failure, an event with a cost.
read_log() {
    local dir=$1 id
    fits 0 report --dir "$dir"
    fits 0 errors --dir "$dir"
    fits 0 stats --by agent,action --dir "$dir"
    fits 0 stats --by event_type,status --sort p99 --dir "$dir"
    fits 0 stats --by hour --dir "$dir"
    fits "0 3" cost --dir "$dir"
    fits "0 3" cost --by agent,model --reprice built-in --dir "$dir"
    fits 0 tail -n 200 --dir "$dir"
    fits 0 trace --last --dir "$dir"
    fits "0 3" trace --failed --dir "$dir"
    fits "0 3" trace --slowest --dir "$dir"
    fits 0 verify --dir "$dir"
    fits "0 1" scan "$dir"
    allows 0 report --json --dir "$dir"
    allows 0 report --html "$work/page.html" --dir "$dir"
    allows 0 export csv --dir "$dir"
    allows 0 export otlp-json --dir "$dir"
    allows 0 trace --last --json --dir "$dir"
    id=$(grep -oE '^.{13}[0-9a-f]{32}' "$work/out" | tail -c 33) || fail "$dir: no trace"
    fits 0 trace "$id" --dir "$dir"
    allows "0 1" fixture "$id" --dir "$dir"
    allows 0 stats --json --dir "$dir"
    cp "$work/out" "$work/plain"
    cat "$dir"/*.jsonl | gzip | "$command" stats --json - >"$work/packed" || fail "$dir as gzip: exit code $?"
    cmp "$work/plain" "$work/packed" || fail "$dir: gzip gives other figures"
    logs=$((logs + 1))
}

"$command" demo --dir "$work/demo" --requests 300 >/dev/null 2>&1 || fail "demo: exit code $?"
read_log "$work/demo"
inputs=("$(sample agent-events.jsonl)")
for name in agent-events.jsonl transcripts.jsonl.gz model-calls.jsonl.gz provider-usage.jsonl \
    pii-vectors.jsonl secret-vectors.jsonl.gz; do
    if input=$(recording "$name"); then inputs+=("$input"); fi
done
for input in "${inputs[@]}"; do
    dir="$work/log-$logs"
    raw=(--raw)
    if gzip -dcf "$input" | head -n 1 | grep -q '"event_type"'; then raw=(); fi
    gzip -dcf "$input" | "$command" record "${raw[@]}" --dir "$dir" >/dev/null || fail "record: $input"
    read_log "$dir"
done
if prices=$(recording prices-litellm.json); then
    fits 0 cost --reprice "$prices" --dir "$work/demo"
fi
LLM_AUDIT_LONG_LINE_MB=200 cargo test -q -p llm-audit-cli --test damage
echo "readers: ok, $logs logs"
