#!/usr/bin/env bash
# A process that logs is killed (SIGKILL) at COUNT random moments under load, by default 20. Every file
# parses except at most one torn last line, and `verify` names the open end. The next process cuts that
# line off and goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
source ci/faults/common.sh

count=${1:-20}
here=$work
export AUDIT_MAX_FILE_BYTES=1000000 AUDIT_LOG_DIR=$work/logs

# What `verify` says, except losses that the log reports; its exit code is that of a finding.
look() {
    local rc=0
    "$command" verify --json --dir "$AUDIT_LOG_DIR" >"$work/verified" || rc=$?
    ((rc == 1)) || wrong "verify ended with $rc: $(cat "$work/verified")"
    (($(number unexplained "$work/verified") == 0)) || wrong "lines are missing"
    found=$(findings "$work/verified")
    [[ $(grep -c '^killed: no audit.stop' <<<"$found") == 1 ]] || wrong "the open end is not named: $found"
    found=$(grep -v '^killed: no audit.stop' <<<"$found" || true)
}

build
echo "kills: $count moments"
events=0 torn=0 files=0
for ((n = 1; n <= count; n++)); do
    begin --rate 40000 --bytes 1000
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    : >"$work/started"
    look
    case $found in
    "") ;;
    "torn: the line has no newline") torn=$((torn + 1)) ;;
    *) wrong "kill $n: verify: $found" ;;
    esac
    events=$((events + $(number events "$work/verified") / 2))
    files=$((files + $(number files "$work/verified")))
    "$load" --events 1000 --wait --result "$work/result"
    grep -q '"written":1001\b' "$work/result" || wrong "kill $n: the next process did not write: $(cat "$work/result")"
    look
    [[ -z $found ]] || wrong "kill $n: after the next start, verify: $found"
    rm -r "$AUDIT_LOG_DIR"
done
echo "kills: $count survived: $events events in $files files, $torn torn last lines, cut off by the next start"
echo "kills: ok"
