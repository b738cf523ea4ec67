#!/usr/bin/env bash
# The hot path takes no more instructions than ci/instructions.txt says, within the margin there:
# instructions.sh [--record | --print]. With --record it writes that file anew, and with --print it only prints
# what it would write.
#
# callgrind counts them, so a figure repeats exactly on any machine with the same tools. With other
# tools than those of the stored figures it prints both and compares nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

stored=ci/instructions.txt
option=${1:-}
if (($# > 1)) || [[ -n $option && $option != --record && $option != --print ]]; then
    echo "instructions: usage: ci/instructions.sh [--record | --print]" >&2
    exit 2
fi

fail() {
    echo "instructions: $*" >&2
    exit 1
}

# Prints by how many percent a work may become dearer.
margin() {
    case $1 in
    # Two instructions more are more than 3 % of these, and mean nothing.
    *disabled) echo 10 ;;
    *"asked first") echo 50 ;;
    *) echo 3 ;;
    esac
}

if ! command -v valgrind >/dev/null; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        fail "valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends valgrind
fi

# The flags and the profile are those of the benches, whatever the caller's shell has set.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
cargo build --profile bench -p llm-audit-load --bin instructions
program=${CARGO_TARGET_DIR:-target}/release/instructions

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$program" "$work/instructions"
valgrind=$(command -v valgrind)

# Runs the program under callgrind, which writes a file for each thread that worked between the
# marks. The program has a short name and no environment, so that neither moves its stack.
counted() (
    cd "$work"
    rm -rf log counts*
    env -i "$valgrind" --quiet --tool=callgrind --separate-threads=yes --callgrind-out-file=counts \
        --zero-before='*counting_begins*' --dump-before='*counting_ends*' ./instructions "$@" </dev/null
)

# Prints the instructions of a work, done once: those of the thread that worked most.
measure() {
    local name=$1 times
    times=$(counted "$name") || fail "$name: the program failed"
    compgen -G "$work/counts.1-*" >/dev/null || fail "$name: callgrind wrote no counts"
    awk -v times="$times" '
        $1 == "totals:" && $2 > most { most = $2 }
        END { printf "%.1f\n", most / times }
    ' "$work"/counts.1-*
}

vectors=$(counted vectors)
tools="$(rustc --version), $(valgrind --version), $(getconf GNU_LIBC_VERSION), $(uname -m) with $vectors"
echo "instructions: $tools"

counted >"$work/names"
while IFS= read -r name; do
    now=$(measure "$name")
    echo "$now $(margin "$name") $name" >>"$work/now"
done <"$work/names"
# The lines of the stored file.
rows() { awk '{ $1 = sprintf("%9.1f", $1); $2 = sprintf("%3d", $2); print }' "$work/now"; }
if [[ $option == --print ]]; then
    rows
    exit 0
fi
if [[ $option == --record ]]; then
    [[ $vectors == avx2 ]] || fail "the figures are those of AVX2, and this machine has $vectors"
    {
        echo "# What ci/instructions.sh counted: instructions, margin in percent, work."
        echo "# An emit is the caller's thread alone, an event the writer's thread alone."
        echo "# Disabled: most of it makes the event. Two instructions more are 3 % of it already."
        echo "# $tools"
        rows
    } >"$work/stored"
    cp "$work/stored" "$stored"
    cat "$stored"
    echo "instructions: recorded in $stored"
    exit 0
fi

[[ -e $stored ]] || fail "$stored is missing; ci/instructions.sh --record writes it"
# Prints the table, and lists what is wrong in a file of its own.
awk -v wrong="$work/wrong" '
    function name() { sub(/^ *[0-9.]+ +[0-9]+ /, ""); return $0 }
    BEGIN { row = "%-42s %9s %9s  %s\n"; printf row, "work", "stored", "now", "change" }
    FNR == NR { if (!/^#/ && NF) { count = $1; limit = $2; n = name(); was[n] = count; margin[n] = limit }; next }
    {
        now = $1; n = name(); seen[n] = 1
        if (!(n in was)) { printf row, n, "-", now, ""; print n ": not stored" >wrong; next }
        change = (now / was[n] - 1) * 100
        printf row, n, was[n], now, sprintf("%+.1f %%", change)
        if (change > margin[n]) print n ": " sprintf("%+.1f %%, allowed %d %%", change, margin[n]) >wrong
    }
    END { for (n in was) if (!(n in seen)) print n ": stored, and no work of the program" >wrong }
' "$stored" "$work/now"

# A work without a figure is wrong with any tools.
if grep -q 'not stored\|no work of' "$work/wrong" 2>/dev/null; then
    cat "$work/wrong" >&2
    fail "the works have changed: ci/instructions.sh --record"
fi
taken=$(sed -n 's/^# \(rustc .*\)/\1/p' "$stored")
if [[ $taken != "$tools" ]]; then
    echo "instructions: not compared. The stored figures were taken with"
    echo "    $taken"
    echo "and these with"
    echo "    $tools"
    echo "To hold these from now on: ci/instructions.sh --record, at a commit that was within the margin"
    exit 0
fi
if [[ -s $work/wrong ]]; then
    cat "$work/wrong" >&2
    fail "a change that is meant to cost this records it: ci/instructions.sh --record"
fi
echo "instructions: ok"
