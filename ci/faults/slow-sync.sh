#!/usr/bin/env bash
# A disk that takes a second for every fsync, SECONDS (5) long for each way of AUDIT_FSYNC. One thread
# emits as fast as it can into a queue of 16,384 places. A line each: events emitted, written and
# overwritten, and the number of fsyncs. Last is the longest time in which nothing was written, by
# looks 20 ms apart. If an fsync blocked the writer, that would be a second, and the script says so. For
# the rest it decides by every event having its end, and by `verify` finding no other loss.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
source ci/faults/common.sh

seconds=${1:-5}
export AUDIT_QUEUE_CAPACITY=16384

# In place of the C library's.
shim() {
    cat >"$work/slow.c" <<'C'
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int slow(void) {
    struct timespec second = {1, 0};
    nanosleep(&second, 0);
    int out = open(getenv("SYNCS"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (out < 0 || write(out, "x", 1) != 1) abort();
    return close(out);
}

int fsync(int file) { (void)file; return slow(); }
int fdatasync(int file) { (void)file; return slow(); }
C
    cc -shared -fPIC -o "$work/slow.so" "$work/slow.c"
}

# The longest run of looks at which the same number was written, in ms.
longest_pause() {
    grep -oE '"written":[0-9]+' "$here/status" |
        uniq -c | sort -n | tail -n 1 | awk '{ print ($1 - 1) * 20 }'
}

[[ $(uname) == Linux ]] || { echo "slow-sync: skipped: LD_PRELOAD is Linux's" >&2; exit 0; }
build
shim
printf '%-8s %12s %12s %12s %7s %12s\n' fsync emitted written overwritten fsyncs 'pause in ms'
for fsync in never 1s batch; do
    here=$work/$fsync
    mkdir "$here"
    export AUDIT_LOG_DIR=$here/logs AUDIT_FSYNC=$fsync SYNCS=$here/syncs
    LD_PRELOAD=$work/slow.so "$load" --threads 1 --seconds "$seconds" --deadline 120 \
        --status "$here/status" --result "$here/result" 2>"$here/stderr" || wrong "$(cat "$here/stderr")"
    grep -q '"adds_up":true' "$here/result" || wrong "the accounting does not add up"
    "$command" verify --json --dir "$AUDIT_LOG_DIR" >"$here/verified" || (($? == 1))
    others=$(findings "$here/verified" || true)
    [[ -z $others ]] || wrong "verify: $others"
    written=$(number written "$here/result")
    syncs=0
    [[ ! -e $SYNCS ]] || syncs=$(wc -c <"$SYNCS")
    [[ $fsync == never ]] || ((syncs > 1)) || wrong "nothing was synced"
    pause=$(longest_pause)
    ((pause < 900)) || wrong "the writer waited for a sync: $pause ms"
    printf '%-8s %12s %12s %12s %7s %12s\n' "$fsync" "$(number emitted "$here/result")" "$written" \
        "$(number overwritten "$here/result")" "$syncs" "$pause"
    rm -rf "$here"
done
