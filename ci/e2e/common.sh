# Sourced by the scripts beside it: a folder that goes at the end with the programs that were started, and waiting.
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
