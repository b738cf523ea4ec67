# Sourced by scripts: a folder that goes at the end with the programs that were started, waiting, and servers.
script=$(basename "$0" .sh)
fail() {
    echo "$script: $*" >&2
    exit 1
}

# Nothing goes through a proxy.
curl() { command curl --noproxy '*' --max-time 20 "$@"; }

work=$(mktemp -d)
started=()
stop() {
    ((${#started[@]} == 0)) || kill -KILL "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

# Waits until the command succeeds, at most a minute.
until_ok() {
    local what=$1
    shift
    for _ in $(seq 300); do
        if "$@" 2>"$work/last-try"; then return; fi
        sleep 0.2
    done
    tail -n 20 "$work/last-try" >&2
    fail "$what: not within a minute"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Installs Python packages into a folder of their own, whose path is then in $venv: make_venv NAME PACKAGE...
make_venv() {
    venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/$1-venv
    if [[ ! -x $venv/bin/python ]]; then python3 -m venv "$venv"; fi
    "$venv/bin/pip" install -q --disable-pip-version-check "${@:2}"
}

# Copies the command that the README's test command builds, with `ship --to otlp` and `receive`; its path is then in
# $command. Other scripts may build another one in between, in the same place.
copy_tested_command() {
    source ci/test-features.sh
    command=$work/llm-audit
    for _ in 1 2 3; do
        cargo test -q --no-run --features "$test_features" --test receive
        cp "${CARGO_TARGET_DIR:-target}/debug/llm-audit" "$command"
        if [[ $("$command" receive --help) == *--listen* ]]; then return; fi
    done
    fail "cargo test --features $test_features builds no llm-audit with receive"
}

# Starts moto, which plays Amazon's services, on a free port, and sets the variables by which clients find it.
start_moto() {
    local venv port
    venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/moto
    if [[ ! -x $venv/bin/moto_server ]]; then
        echo "$script: installing moto into $venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet 'moto[server]==5.2.1'
    fi
    moto_python=$venv/bin/python
    # Port 0 is any free one; the server says which.
    "$venv/bin/moto_server" -H 127.0.0.1 -p 0 >"$work/moto.log" 2>&1 &
    started+=($!)
    until_ok "moto" grep -q 'Running on http://127.0.0.1:' "$work/moto.log"
    port=$(sed -n 's/.*Running on http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/moto.log" | head -n 1)
    export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_REGION=us-east-1
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
}

# Installs a Debian package, unless its programs are there.
needs() {
    local package=$1 program
    shift
    for program in "$@"; do
        if command -v "$program" >/dev/null; then continue; fi
        if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
            fail "$program is not installed; on Debian and Ubuntu: apt-get install $package"
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >/dev/null
    done
}

# Starts a webhook of this scheme. Its address is in the file "$work/$scheme".
start_webhook() {
    python3 ci/e2e/receiver.py "$work" "$1" &
    started+=($!)
    until_ok "the webhook of $1" test -s "$work/$1"
}

# Prints the state of the alert in each request that the webhook got under this path: firing or resolved.
states() {
    python3 -c '
import json, sys
print(*[alert["status"] for line in open(sys.argv[1]) for alert in json.loads(line)["alerts"]])' "$work/$1"
}
has_states() { [[ $(states "$1") == "$2" ]]; }
