#!/usr/bin/env bash
# Each quickstart of the README, pasted into a new crate, compiles and logs: the commands and the
# program are taken from README.md as they stand there, between `<!-- quickstart: NAME -->` and the
# next heading.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
export CARGO_TARGET_DIR="$PWD/${CARGO_TARGET_DIR:-target}/quickstart"
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

# The blocks of language $2 in the part of the README named $1.
block() {
    awk -v name="<!-- quickstart: $1 -->" -v fence="\`\`\`$2" '
        $0 == name { inside = 1; next }
        inside && /^#/ && !code { exit }
        inside && $0 == fence { code = 1; next }
        code && $0 == "```" { code = 0; next }
        code
    ' README.md
}

# Makes the crate $1 from the README's commands and program.
make() {
    local add
    cargo new -q --vcs none --name "quick-$1" "$work/$1"
    block "$1" rust >"$work/$1/src/main.rs"
    [[ -s $work/$1/src/main.rs ]] || fail "README.md has no program for $1"
    add=$(block "$1" sh | grep '^cargo add')
    (cd "$work/$1" && eval "${add//..\/llm-audit/$root}" 2>/dev/null && cargo build -q)
}

# Waits until the log of crate $1 has a line of every type named after it.
logged() {
    local name=$1 type
    shift
    for type in "$@"; do
        for _ in $(seq 300); do
            if cat "$work/$name"/logs/*.jsonl 2>/dev/null | grep -q "\"event_type\":\"$type\""; then
                continue 2
            fi
            sleep 0.1
        done
        fail "$name: no $type in the log"
    done
    if grep -q 'ana@example.com' "$work/$name"/logs/*.jsonl; then fail "$name: an address is left"; fi
    echo "quickstart: $name logs $*"
}

make sync
(cd "$work/sync" && AUDIT_DEBUG=true AUDIT_CAPTURE_CONTENT=true cargo run -q)
logged sync tool.call tool.result

make axum
# The server alone is to be killed, not cargo.
(cd "$work/axum" && AUDIT_DEBUG=true exec "$CARGO_TARGET_DIR/debug/quick-axum") &
server=$!
for _ in $(seq 300); do
    if exec 3<>/dev/tcp/127.0.0.1/3000; then break; fi 2>/dev/null
    sleep 0.1
done
printf 'GET /plans/17?mail=ana@example.com HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
grep -qi '^x-trace-id: ' <&3 || fail "axum: no x-trace-id in the response"
kill "$server"
wait "$server" || fail "axum: SIGTERM did not end it well"
server=
logged axum request.start request.end
grep -q '"event_type":"audit.stop"' "$work"/axum/logs/*.jsonl || fail "axum: the guard was not dropped"

make tracing
(cd "$work/tracing" && AUDIT_DEBUG=true cargo run -q)
logged tracing llm.invoke
echo "quickstart: ok"
