#!/usr/bin/env bash
# Pastes each quickstart of the README into a new crate, and checks that it compiles and logs. Commands and
# program are taken from README.md: from `<!-- quickstart: NAME -->` to the next heading. The axum server of
# docs/operations.md, which ends its requests first, is checked in the same way. `cargo run -- demo` finds
# the command from the root.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
# The crates share the dependencies that other builds have made.
target=$PWD/${CARGO_TARGET_DIR:-target}
export CARGO_TARGET_DIR=$target
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

# Prints the blocks of language $2 in the quickstart $1.
block() {
    local file=README.md
    if [[ $1 == graceful ]]; then file=docs/operations.md; fi
    awk -v name="<!-- quickstart: $1 -->" -v fence="\`\`\`$2" '
        $0 == name { inside = 1; next }
        inside && /^#/ && !code { exit }
        inside && $0 == fence { code = 1; next }
        code && $0 == "```" { code = 0; next }
        code
    ' "$file"
}

# Makes the crate $1 from the commands and the program of its quickstart.
make() {
    local add
    cargo new -q --vcs none --name "quick-$1" "$work/$1"
    block "$1" rust >"$work/$1/src/main.rs"
    [[ -s $work/$1/src/main.rs ]] || fail "there is no program for $1"
    add=$(block "$1" sh | grep '^cargo add')
    (cd "$work/$1" && eval "${add//..\/llm-audit/$root}" 2>/dev/null && cargo build -q)
}

# Waits until the log of crate $1 has a line of each type that follows.
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

# The command at the top of the README, with fewer requests.
grep -q '^cargo run --release -- demo ' README.md || fail "README.md has no command for the demo"
CARGO_TARGET_DIR=$target cargo run -q --release -- demo --requests 50 --dir "$work/demo" >"$work/demo.txt" ||
    fail "cargo run --release -- demo: $(tail -n 3 "$work/demo.txt")"
echo "quickstart: demo records $(cat "$work"/demo/*.jsonl | wc -l) lines"

make sync
(cd "$work/sync" && AUDIT_DEBUG=true AUDIT_CAPTURE_CONTENT=true cargo run -q)
logged sync tool.call tool.result

# Runs the server $1, asks it once, ends it with SIGTERM and expects the exit status $2.
serve() {
    local status=0
    make "$1"
    # SIGTERM has to reach the server, not cargo.
    (cd "$work/$1" && AUDIT_DEBUG=true exec "$CARGO_TARGET_DIR/debug/quick-$1") &
    server=$!
    for _ in $(seq 300); do
        if exec 3<>/dev/tcp/127.0.0.1/3000; then break; fi 2>/dev/null
        sleep 0.1
    done
    printf 'GET /plans/17?mail=ana@example.com HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    grep -qi '^x-trace-id: ' <&3 || fail "$1: no x-trace-id in the response"
    exec 3>&-
    kill "$server"
    wait "$server" || status=$?
    ((status == $2)) || fail "$1: SIGTERM ended it with status $status, not $2"
    server=
    logged "$1" request.start request.end
    grep -q '"event_type":"audit.stop"' "$work/$1"/logs/*.jsonl || fail "$1: the log was not closed"
}

# The process ends by the signal after the log is closed.
serve axum 143
# The server ends its requests and returns from main.
serve graceful 0

make tracing
(cd "$work/tracing" && AUDIT_DEBUG=true cargo run -q)
logged tracing llm.invoke
echo "quickstart: ok"
