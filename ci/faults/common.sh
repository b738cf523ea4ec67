# What the scripts here share: the built programs, a load that is watched, and the count of what is left.
# To be sourced; it removes all it made, whatever happens.

export AUDIT_DEBUG=true AUDIT_REDACT_ENV=none
unset AUDIT_LOG_DIR AUDIT_EXPORTER AUDIT_MAX_TOTAL_BYTES AUDIT_RETENTION_DAYS AUDIT_COMPRESS

work=$(mktemp -d)
# What the load runs under, as another user.
as=()
# As nobody, too, into the folders made for it.
chmod 711 "$work"
# Processes started and not yet awaited.
touch "$work/started"

tidy_up() {
    trap - EXIT INT TERM
    set +e
    local pid at
    while read -r pid; do
        kill -CONT "$pid"
        kill -KILL "$pid"
    done <"$work/started"
    # Last mounted, first gone. One that is frozen cannot be unmounted.
    while read -r _ at _; do
        case $at in "$work"/*) fsfreeze -u "$at" ;; esac
    done </proc/mounts
    while read -r _ at _; do
        case $at in "$work"/*) umount -l "$at" ;; esac
    done < <(tac /proc/mounts)
    rm -rf "$work"
} 2>/dev/null
trap tidy_up EXIT
trap 'exit 130' INT TERM

build() {
    cargo build -q --release -p llm-audit-cli -p llm-audit-load
    local built=${CARGO_TARGET_DIR:-target}/release
    # A copy that anybody may run.
    install -m 755 "$built/llm-audit" "$built/llm-audit-load" "$work/"
    command=$work/llm-audit
    load=$work/llm-audit-load
}

# Waits until what is given is true, half a minute at most.
until_true() {
    local tries
    for ((tries = 0; tries < 1500; tries++)); do
        if "$@"; then return 0; fi
        sleep 0.02
    done
    echo "never: $*" >&2
    return 1
}

# The number of this name in a file of JSON; summed up if there are more.
number() {
    local name=$1 file=$2
    { grep -oE "\"$name\": ?[0-9]+" "$file" || true; } | awk -F: '{ sum += $2 } END { print sum + 0 }'
}

# What `verify` found beside losses that the log reports, a line each; from $1, its answer.
findings() {
    grep -oE '"what":"([^"\\]|\\.)*"' "$1" | sed 's/^"what":"//; s/"$//' | grep -vE '^[0-9]+ events? lost: '
}

# --- A load in the background, with its files in $here ---

# Starts the load, with these flags, and waits until it writes.
begin() {
    launch "$@"
    writes_more 100
}

launch() {
    rm -f "$here/stop"
    "${as[@]}" "$load" --stop "$here/stop" --status "$here/status" --result "$here/result" --rate 5000 \
        "$@" >"$here/stdout" 2>"$here/stderr" &
    pid=$!
    echo "$pid" >>"$work/started"
    until_true test -s "$here/status" || { cat "$here/stderr" >&2; return 1; }
}

# The number of this name at the moment, or before.
now() {
    local line
    line=$(tail -n 2 "$here/status" | grep '}$' | tail -n 1) || return
    line=${line##*\"$1\":}
    echo "${line%%[,\}]*}"
}

has() {
    local count
    count=$(now "$1") && ((count >= $2))
}

# Waits for so many more.
more() {
    local count
    until count=$(now "$1"); do sleep 0.02; done
    until_true has "$1" $((count + $2))
}

writes_more() { more written "$1"; }
loses_more() { more io_lost "$1"; }
overwrites_more() { more overwritten "$1"; }
emits_more() { more emitted "$1"; }

# Ends the load and waits for it.
end() {
    touch "$here/stop"
    wait "$pid" || { echo "the load ended with $?: $(tail -n 3 "$here/stderr")" >&2; return 1; }
    sed -i "/^$pid\$/d" "$work/started"
}

is_root() { ((EUID == 0)); }

wrong() {
    echo "$*" >&2
    return 1
}
