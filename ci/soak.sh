#!/usr/bin/env bash
# Eight threads emit for MINUTES, by default 10, while one random fault after the other is done to the
# process, its files and its disk. Prints one JSON line: events, each of their ends, faults survived,
# peak memory, descriptors. Exit code 1 if the accounting does not add up or a line does not parse. It
# is also 1 if writing does not go on after a fault or something is left open.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
source ci/faults/common.sh

minutes=${1:-10}
# 64 MiB of queue; the rest is what one file takes to be compressed, and the process itself.
memory_max_kib=$((128 * 1024))
here=$work
disk=$work/disk
dir=$disk/logs
mkdir "$disk"
export AUDIT_LOG_DIR=$dir AUDIT_MAX_FILE_BYTES=2000000 AUDIT_MAX_TOTAL_BYTES=16000000 AUDIT_COMPRESS=zstd

faults=(rename unlink copytruncate remove_folder stop no_descriptor)
if is_root && mount -t tmpfs -o size=48m tmpfs "$disk" 2>/dev/null; then
    faults+=(fill fill_long)
else
    echo "soak: no tmpfs can be mounted here: the disk is never full" >&2
fi

# The file that is written to; none if retention or a fault just took it.
file() { find "$dir" -maxdepth 1 -name 'audit-*.jsonl' -type f -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2-; }

rename() {
    mv "$(file)" "$disk/renamed" 2>/dev/null || true
    rm -f "$disk/renamed"
}
unlink() { rm -f "$(file)"; }
copytruncate() {
    local at
    at=$(file)
    [[ -n $at ]] || return 0
    cp "$at" "$disk/copy" 2>/dev/null || true
    truncate -c -s 0 "$at"
    rm -f "$disk/copy"
}
remove_folder() { rm -rf "$dir" 2>/dev/null || true; }
stop() {
    kill -STOP "$pid"
    sleep "0.$((RANDOM % 9 + 1))"
    kill -CONT "$pid"
}
no_descriptor() {
    prlimit --pid "$pid" --nofile=3:
    emits_more 20000
    prlimit --pid "$pid" --nofile=1024:
}
fill() {
    dd if=/dev/zero of="$disk/hog" bs=64k 2>/dev/null || true
    rm -f "$disk/hog"
}
fill_long() {
    dd if=/dev/zero of="$disk/hog" bs=64k 2>/dev/null || true
    emits_more 50000
    rm -f "$disk/hog"
}

build
begun=$SECONDS survived=0
declare -A done_to
begin --threads 8 --rate 30000
while ((SECONDS - begun < minutes * 60)); do
    fault=${faults[RANDOM % ${#faults[@]}]}
    "$fault"
    writes_more 1000 || wrong "after $fault nothing is written: $(tail -n 1 "$here/status")"
    survived=$((survived + 1))
    done_to[$fault]=$((${done_to[$fault]:-0} + 1))
    sleep "0.$((RANDOM % 9 + 1))"
done
end

rc=0
"$command" verify --json --dir "$dir" >"$work/verified" || rc=$?
((rc <= 1)) || wrong "verify ended with $rc"
# What others took away is in no line; everything else would be a fault of the log's.
rest=$(findings "$work/verified" | grep -vE 'in no line and in no audit.loss|^[0-9]+ gaps; |^audit.stop says ' || true)
kinds=$(for fault in "${!done_to[@]}"; do printf '"%s":%d,' "$fault" "${done_to[$fault]}"; done)
printf '{"faults_survived":%d,"faults":{%s},%s\n' "$survived" "${kinds%,}" "$(cut -c 2- "$here/result")"

[[ -z $rest ]] || wrong "verify: $rest"
grep -q '"adds_up":true' "$here/result" || wrong "the accounting does not add up"
grep -q '"goes_on":true' "$here/result" || wrong "writing does not go on"
(($(number queued "$here/result") == 0)) || wrong "events are left in the queue"
(($(number panics "$here/result") == 0)) || wrong "a panic: $(cat "$here/stderr")"
(($(number descriptors_end "$here/result") <= $(number descriptors_start "$here/result"))) ||
    wrong "descriptors are left open"
(($(number threads_end "$here/result") <= $(number threads_start "$here/result"))) || wrong "threads are left"
(($(number peak_memory_kib "$here/result") <= memory_max_kib)) || wrong "more memory than $memory_max_kib KiB"
