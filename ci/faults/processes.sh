#!/usr/bin/env bash
# Four processes of two threads each log 400,000 events into one folder, with a new file at 1 MB,
# compression and retention on. Every event is accounted for, no line is torn, `verify` finds nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
source ci/faults/common.sh

here=$work
export AUDIT_LOG_DIR=$work/logs AUDIT_MAX_FILE_BYTES=1000000 AUDIT_MAX_TOTAL_BYTES=8000000 AUDIT_COMPRESS=zstd

build
echo "processes: 4, 100,000 events each, $AUDIT_MAX_TOTAL_BYTES bytes kept"
pids=()
for n in 1 2 3 4; do
    "$load" --threads 2 --events 100000 --rate 20000 --wait --result "$work/result$n" &
    pids+=($!)
    echo "$!" >>"$work/started"
done
for pid in "${pids[@]}"; do
    wait "$pid" || wrong "a process ended with $?"
done
: >"$work/started"

cat "$work"/result? >"$work/all"
# The last event of each is the load's own.
(($(number emitted "$work/all") == 400004)) || wrong "emitted: $(cat "$work/all")"
(($(number written "$work/all") == 400004)) || wrong "not all were written: $(cat "$work/all")"
(($(grep -c '"adds_up":true' "$work/all") == 4)) || wrong "the accounting does not add up: $(cat "$work/all")"
"$command" verify --json --dir "$AUDIT_LOG_DIR" >"$work/verified" || wrong "verify: $(cat "$work/verified")"
(($(number retired "$work/verified") > 0)) || wrong "retention removed nothing"
compressed=$(find "$AUDIT_LOG_DIR" -name '*.zst' | wc -l)
((compressed > 0)) || wrong "nothing was compressed"
left=$(find "$AUDIT_LOG_DIR" -name '*.tmp')
[[ -z $left ]] || wrong "left behind: $left"
echo "processes: 400,004 events written; $(number files "$work/verified") files left, $compressed compressed," \
    "$(number retired "$work/verified") told of as removed; nothing missing, nothing torn"
echo "processes: ok"
