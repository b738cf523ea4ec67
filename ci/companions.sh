#!/usr/bin/env bash
# The examples with heavy companions: the agent with its transcripts in S3, against a real server of
# the S3 protocol (moto) on loopback, and rig-core's own instrumentation. Needs Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${CARGO_TARGET_DIR:-target}/moto"
log=$(mktemp)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null; rm -f "$log"' EXIT

if ! "$venv/bin/moto_server" --version >/dev/null 2>&1; then
    echo "companions: installing moto into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q 'moto[s3,server]==5.2.5'
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$log" 2>&1 &
server=$!
for _ in $(seq 300); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$log" >&2
        exit 1
    fi
    sleep 0.1
done

export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing
echo "companions: benefits-agent-s3 against moto on port $port, rig-agent"
output=$(cargo test -p benefits-agent-s3 -p rig-agent -- --nocapture 2>&1) || {
    echo "$output" >&2
    exit 1
}
grep -E '^test |^test result' <<<"$output"
if grep -q '^skipped: ' <<<"$output"; then
    echo "companions: a test was skipped" >&2
    exit 1
fi
echo "companions: ok"
