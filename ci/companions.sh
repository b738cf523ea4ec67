#!/usr/bin/env bash
# The packages that bring the AWS SDK and rig-core, built and run against services on loopback: the
# store of transcripts against moto's S3.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
moto="$target/moto"
if [[ ! -x $moto/bin/moto_server ]]; then
    echo "companions: installing moto into $moto"
    python3 -m venv "$moto"
    "$moto/bin/pip" install --quiet 'moto[server]==5.2.1'
fi

work=$(mktemp -d)
# Port 0 is any free one; the server says which.
"$moto/bin/moto_server" -H 127.0.0.1 -p 0 >"$work/moto.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
port=
for _ in {1..300}; do
    port=$(sed -n 's/.*Running on http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/moto.log" | head -n 1)
    [[ -z $port ]] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
if [[ -z $port ]]; then
    echo "companions: moto does not start" >&2
    cat "$work/moto.log" >&2
    exit 1
fi

echo "companions: benefits-agent-s3 and rig-agent-example, S3 at 127.0.0.1:$port"
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
cargo test -p benefits-agent-s3 -p rig-agent-example -- --nocapture 2>&1 | tee "$work/tests.log"
if grep -q '^skipped:' "$work/tests.log"; then
    echo "companions: a test was skipped" >&2
    exit 1
fi
echo "companions: ok"
