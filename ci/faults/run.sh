#!/usr/bin/env bash
# Real faults, done to a process that logs. Disks are full, fail, hang and go away; others move files
# and folders. Rights, descriptors and readers are missing; processes are stopped and killed.
# Prints a line each: events emitted, written, counted as lost, and unexplained (in no line and in no
# count), and whether the fault was survived. It was if nothing panicked, every line parses, counts
# agree with the files, and writing goes on afterwards. NAME: only the faults with this in their
# description. A fault is skipped, with a line, if it needs root, a tool or a file system not here.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
source ci/faults/common.sh

only=${1:-}
faults=0 failed=0 skipped=0

# Compares what the load reports with the files, and prints the row. The arguments name what else is
# right: `taken` if others took lines away, which `verify` names; `may-lose` if the disk may have.
# `ends-in-fault` if nothing goes on; `killed` and `retired` if files are gone or without an end.
# `more` if others wrote there too.
check() {
    local emitted written lost unexplained events told rest
    "$command" verify --json --dir "$dir" >"$here/verified" || (($? == 1)) || return 1
    unexplained=$(number unexplained "$here/verified")
    events=$(grep -oE '"events": ?[0-9]+,"files' "$here/verified" | grep -oE '[0-9]+' | head -1)
    told=$(($(number overwritten "$here/verified") + $(number io_lost "$here/verified")))
    rest=$(findings "$here/verified" || true)
    if [[ " $* " == *" killed "* ]]; then
        # What it had emitted at its end nobody knows.
        echo "- $events $told $unexplained" >"$here/row"
        rest=$(grep -v '^killed: no audit.stop' <<<"$rest" || true)
        [[ -z $rest ]] || wrong "verify: $rest"
        return
    fi
    emitted=$(number emitted "$here/result") written=$(number written "$here/result")
    lost=$(($(number overwritten "$here/result") + $(number io_lost "$here/result")))
    echo "$emitted $written $lost $unexplained" >"$here/row"
    grep -q '"adds_up":true' "$here/result" || wrong "the accounting does not add up"
    (($(number panics "$here/result") == 0)) || wrong "a panic: $(cat "$here/stderr")"
    (($(number queued "$here/result") == 0)) || wrong "events are left in the queue"
    (($(number descriptors_end "$here/result") <= $(number descriptors_start "$here/result"))) ||
        wrong "descriptors are left open"
    (($(number threads_end "$here/result") <= $(number threads_start "$here/result"))) ||
        wrong "threads are left"
    [[ " $* " == *" ends-in-fault "* ]] || grep -q '"goes_on":true' "$here/result" ||
        wrong "writing does not go on"
    if [[ " $* " == *" may-lose "* ]]; then
        # A disk that fails may have zeros in place of lines that it was given, and `verify` then names these.
        rest=''
    elif [[ " $* " == *" taken "* ]]; then
        ((unexplained > 0)) || wrong "verify does not miss what was taken"
        ((events + unexplained == written + lost - told)) ||
            wrong "$written written, $lost lost; $events and $told found, $unexplained unexplained"
        rest=$(grep -vE 'in no line and in no audit.loss|^[0-9]+ gaps; |^audit.stop says ' <<<"$rest" || true)
    elif [[ " $* " == *" retired "* ]]; then
        (($(number retired "$here/verified") > 0)) || wrong "no file was retired"
    elif [[ " $* " != *" more "* ]]; then
        ((events == written)) || wrong "$written written, $events found"
        ((told == lost)) || wrong "$lost lost, $told told of"
    fi
    [[ " $* " =~ " taken "|" may-lose " ]] || ((unexplained == 0)) || wrong "lines are missing"
    [[ -z $rest ]] || wrong "verify: $rest"
}

# --- The table ---

# Does the fault that function $1 is, and describes it.
fault() {
    local name=$1 what=$2 row survived=yes rc
    [[ $what == *"$only"* ]] || return 0
    here=$work/$name
    dir=$here/logs
    as=()
    mkdir "$here"
    set +e
    (
        set -e
        export AUDIT_LOG_DIR="$dir" AUDIT_MAX_FILE_BYTES=1000000 AUDIT_QUEUE_CAPACITY=16384
        "$name"
    ) 2>"$here/complaint"
    rc=$?
    set -e
    if ((rc == 77)); then
        skipped=$((skipped + 1))
        printf '     %-72s skipped: %s\n' "$what" "$(tail -n 1 "$here/complaint")"
    else
        faults=$((faults + 1))
        if ((rc != 0)); then survived=NO failed=$((failed + 1)); fi
        row=$(cat "$here/row" 2>/dev/null || echo "- - - -")
        # shellcheck disable=SC2086
        printf '%4d %-72s %9s %9s %9s %11s  %s\n' "$faults" "$what" $row "$survived"
        if ((rc != 0)); then sed 's/^/       /' "$here/complaint"; fi
    fi
    tidy_fault
}

# Nothing of one fault is left for the next.
tidy_fault() {
    local pid at
    while read -r pid; do
        kill -CONT "$pid" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done <"$work/started"
    : >"$work/started"
    while read -r _ at _; do
        case $at in "$here"/*) fsfreeze -u "$at" 2>/dev/null || true ;; esac
    done </proc/mounts
    while read -r _ at _; do
        case $at in "$here"/*) umount -l "$at" || true ;; esac
    done < <(tac /proc/mounts)
    [[ -n ${KEEP:-} ]] || rm -rf "$here"
}

skip() {
    echo "$*" >&2
    exit 77
}

needs() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip "there is no $tool"
    done
}

# A disk of its own at $here/disk, with the log on it: `tmpfs OPTIONS` or `ext4 OPTIONS`, 16 MB.
disk() {
    is_root || skip "needs root"
    mkdir -p "$here/disk"
    dir=$here/disk/logs
    export AUDIT_LOG_DIR=$dir
    case $1 in
    tmpfs) mount -t tmpfs -o "$2" tmpfs "$here/disk" 2>/dev/null || skip "no tmpfs can be mounted" ;;
    ext4)
        needs mkfs.ext4
        truncate -s 16M "$here/image"
        mkfs.ext4 -q -m 0 "$here/image"
        mount -o "loop${2:+,$2}" "$here/image" "$here/disk" 2>/dev/null || skip "no loop device can be mounted"
        ;;
    esac
}

# Fills the disk to the last byte.
fill() { dd if=/dev/zero of="$here/disk/hog" bs=4k 2>/dev/null || true; }

free() { rm "$here/disk/hog"; }

# The file that is written to.
file() { find "$dir" -maxdepth 1 -name 'audit-*.jsonl' -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }

# --- Disks ---

tmpfs_filled() {
    disk tmpfs size=8m
    export AUDIT_MAX_FILE_BYTES=268435456
    is_filled_and_freed
}

ext4_filled() {
    disk ext4
    is_filled_and_freed
}

is_filled_and_freed() {
    begin --rate 2000
    fill
    loses_more 1000
    free
    writes_more 1000
    end
    check
}

filled_by_the_log() {
    disk tmpfs size=2m
    begin
    loses_more 1000
    mount -o remount,size=64m "$here/disk"
    writes_more 1000
    end
    check
}

closed_on_a_full_disk() {
    disk ext4
    begin
    fill
    loses_more 1000
    end
    check ends-in-fault
}

no_inodes() {
    disk tmpfs size=64m,nr_inodes=5
    begin
    loses_more 1000
    mount -o remount,nr_inodes=100 "$here/disk"
    writes_more 1000
    end
    check
}

full_with_retention() {
    disk tmpfs size=8m
    export AUDIT_MAX_TOTAL_BYTES=1000000 AUDIT_COMPRESS=zstd
    begin
    until_true has written 20000
    fill
    loses_more 1000
    free
    writes_more 20000
    end
    check retired
}

failing_writes_remove_nothing() {
    local count
    disk tmpfs size=4m
    export AUDIT_MAX_TOTAL_BYTES=1000000000
    begin
    loses_more 1000
    count=$(find "$dir" -name 'audit-*' | wc -l)
    loses_more 5000
    (($(find "$dir" -name 'audit-*' | wc -l) == count)) || wrong "files were removed"
    mount -o remount,size=64m "$here/disk"
    writes_more 1000
    end
    check
}

file_size_limit() {
    needs prlimit
    export AUDIT_MAX_FILE_BYTES=268435456
    # The signal is ignored, so that the write fails instead.
    trap '' XFSZ
    begin
    prlimit --pid "$pid" --fsize=$(($(stat -c %s "$(file)") + 100000)):unlimited
    loses_more 1000
    prlimit --pid "$pid" --fsize=unlimited
    writes_more 1000
    end
    check
}

ext4_aborted() {
    disk ext4
    begin
    mount -o remount,abort "$here/disk" 2>/dev/null || true
    loses_more 1000
    umount -l "$here/disk"
    rmdir "$here/disk/logs" 2>/dev/null || true
    # Its folder is made anew, on the disk below.
    writes_more 1000
    end
    check taken
}

failed_sync() {
    disk tmpfs size=8m
    export AUDIT_FSYNC=batch
    needs mkfs.ext4
    # A disk that promises 64 MB and has 6: what does not fit fails when it is synced.
    truncate -s 64M "$here/disk/image"
    mkfs.ext4 -q -O ^has_journal -E nodiscard "$here/disk/image"
    mkdir "$here/thin"
    mount -o loop,errors=continue "$here/disk/image" "$here/thin" 2>/dev/null || skip "no loop device can be mounted"
    dir=$here/thin/logs
    export AUDIT_LOG_DIR=$dir
    begin
    until_true has emitted 60000
    mount -o remount,size=128m "$here/disk"
    writes_more 1000
    end
    # What the disk took and did not keep is in memory for a while; `verify` misses what is not.
    cp -r "$dir" "$here/copy"
    dir=$here/copy
    check may-lose
    # A file that could not be synced is left: there are more than their size asks for.
    (($(find "$dir" -name 'audit-*' | wc -l) > $(number bytes "$here/verified") / 1000000 + 3)) ||
        wrong "no sync has failed"
}

frozen_disk() {
    disk ext4
    needs fsfreeze
    begin
    fsfreeze -f "$here/disk" 2>/dev/null || skip "this disk cannot be frozen"
    overwrites_more 5000
    fsfreeze -u "$here/disk"
    writes_more 1000
    end
    check
}

disk_pulled_out() {
    disk ext4
    begin
    umount -l "$here/disk"
    until_true test -d "$dir"
    writes_more 1000
    end
    check taken
}

read_only_mount() {
    disk tmpfs size=64m
    begin
    mount -t tmpfs -o ro tmpfs "$here/disk"
    loses_more 1000
    umount "$here/disk"
    writes_more 1000
    end
    check
}

# --- Files and folders ---

folder_removed() {
    begin
    rm -r "$dir"
    writes_more 10000
    end
    check taken
}

folder_moved() {
    begin
    mv "$dir" "$here/elsewhere"
    until_true test -d "$dir"
    writes_more 1000
    end
    # Nothing is lost with it: under other names it is the log's again.
    bring_back "$here/elsewhere"/*.jsonl
    check
}

# Gives the log back the files that were moved, as files of the day before.
bring_back() {
    local at n=0
    for at; do
        mv "$at" "$dir/audit-2001-01-01.$((n += 1)).jsonl"
    done
}

folder_becomes_a_file() {
    begin
    mv "$dir" "$here/elsewhere"
    touch "$dir"
    loses_more 1000
    rm "$dir"
    writes_more 1000
    end
    bring_back "$here/elsewhere"/*.jsonl
    check
}

folder_is_a_file() {
    touch "$dir"
    if "$load" --events 1 >"$here/stdout" 2>"$here/stderr"; then wrong "it was begun"; fi
    grep -q "$dir" "$here/stderr" || wrong "not named: $(cat "$here/stderr")"
    echo "0 0 0 0" >"$here/row"
}

file_unlinked() {
    begin
    rm "$(file)"
    writes_more 10000
    end
    check taken
}

logrotate_create() {
    local at
    export AUDIT_MAX_FILE_BYTES=268435456
    begin
    at=$(file)
    mv "$at" "$here/moved"
    touch "$at"
    until_true test -s "$at"
    writes_more 1000
    end
    bring_back "$here/moved"
    check
}

logrotate_copytruncate() {
    local at
    export AUDIT_MAX_FILE_BYTES=268435456
    begin
    at=$(file)
    writes_more 5000
    cp "$at" "$here/copy"
    writes_more 1000
    truncate -s 0 "$at"
    writes_more 5000
    end
    check taken
}

cut_within_a_line() {
    local at
    export AUDIT_MAX_FILE_BYTES=268435456
    begin
    at=$(file)
    writes_more 1000
    truncate -s 100001 "$at"
    writes_more 5000
    end
    check taken
}

file_becomes() {
    local at
    export AUDIT_MAX_FILE_BYTES=268435456
    begin
    at=$(file)
    mv "$at" "$here/moved"
    "$@" "$at"
    until_true is_other "$at"
    writes_more 1000
    end
    [[ ! -e $here/target || $(cat "$here/target") == theirs ]] || wrong "the symlink was followed"
    rm -rf "$at"
    bring_back "$here/moved"
    check
}

# Whether another file is written to.
is_other() {
    local at
    at=$(file)
    [[ -n $at && $at != "$1" ]]
}

symlink_in_its_place() {
    echo theirs >"$here/target"
    file_becomes ln -s "$here/target"
}

folder_in_its_place() { file_becomes mkdir; }

fifo_in_its_place() { file_becomes mkfifo; }

others_write_into_it() {
    local at n
    export AUDIT_MAX_FILE_BYTES=268435456
    begin
    at=$(file)
    for ((n = 0; n < 100; n++)); do
        printf 'no line' >>"$at"
    done
    writes_more 5000
    end
    check
}

# As another user, for root may write anywhere.
as_nobody() {
    if is_root; then
        needs setpriv
        as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
        "${as[@]}" true 2>/dev/null || skip "no other user can be had"
        chown 65534 "$here"
    fi
}

permission_revoked() {
    as_nobody
    begin
    chmod 000 "$dir"
    loses_more 1000
    chmod 700 "$dir"
    writes_more 1000
    end
    check
}

folder_not_to_be_written() {
    as_nobody
    mkdir "$dir"
    chmod 555 "$dir"
    if "${as[@]}" "$load" --events 1 >"$here/stdout" 2>"$here/stderr"; then wrong "it was begun"; fi
    grep -q "$dir" "$here/stderr" || wrong "not named: $(cat "$here/stderr")"
    echo "0 0 0 0" >"$here/row"
}

# --- Descriptors, streams, exporters ---

no_descriptor() {
    needs prlimit
    begin
    prlimit --pid "$pid" --nofile=3:
    loses_more 1000
    prlimit --pid "$pid" --nofile=1024:
    writes_more 1000
    end
    check
}

stderr_closed() {
    rm -f "$here/stop"
    "$load" --rate 5000 --events 5000 --status "$here/status" --result "$here/result" 2>&-
    check
}

stdout_closed() {
    AUDIT_EXPORTER=jsonfile,stdout "$load" --rate 5000 --events 5000 --status "$here/status" \
        --result "$here/result" >&-
    check
}

stdout_full() {
    [[ -c /dev/full ]] || skip "there is no /dev/full"
    AUDIT_EXPORTER=jsonfile,stdout "$load" --rate 5000 --events 5000 --status "$here/status" \
        --result "$here/result" >/dev/full
    (($(number export_errors "$here/result") > 0)) || wrong "no error is counted"
    check
}

stdout_reader_gone() {
    export AUDIT_EXPORTER=jsonfile,stdout
    "$load" --rate 5000 --events 5000 --status "$here/status" --result "$here/result" | head -n 10 >/dev/null
    (($(number export_errors "$here/result") > 0)) || wrong "no error is counted"
    check
}

stdout_not_read() {
    export AUDIT_EXPORTER=jsonfile,stdout
    mkfifo "$here/stdout"
    # Open for reading as well, and never read.
    exec 9<>"$here/stdout"
    begin
    writes_more 5000
    end
    check
}

exporter_panics() {
    begin --exporter panics
    writes_more 5000
    end
    (($(number export_errors "$here/result") > 0)) || wrong "no error is counted"
    check
}

exporter_fails() {
    begin --exporter fails
    writes_more 5000
    end
    (($(number export_errors "$here/result") > 0)) || wrong "no error is counted"
    check
}

exporter_hangs() {
    export AUDIT_QUEUE_CAPACITY=1024
    launch --exporter hangs=1
    overwrites_more 1000
    writes_more 5000
    end
    check
}

exporter_hangs_for_ever() {
    AUDIT_QUEUE_CAPACITY=1024 "$load" --exporter hangs=1000000 --rate 5000 --seconds 1 --deadline 1 \
        --status "$here/status" --result "$here/result" 2>"$here/stderr" && wrong "it says that it closed"
    grep -q '"adds_up":true' "$here/result" || wrong "the accounting does not add up"
    (($(number longest_emit_us "$here/result") < 900000)) || wrong "an emit waited"
    (($(number emitted "$here/result") > 1000)) || wrong "emits were held up"
    check killed
}

# --- Processes ---

stopped_and_continued() {
    local n
    begin
    for ((n = 0; n < 5; n++)); do
        kill -STOP "$pid"
        sleep 0.1
        kill -CONT "$pid"
        emits_more 500
    done
    end
    check
}

another_holds_the_lock() {
    needs flock
    local at
    mkdir "$dir"
    at=$dir/audit-$(date -u +%F).jsonl
    touch "$at"
    exec 8<>"$at"
    flock 8
    begin
    end
    exec 8<&-
    [[ ! -s $at ]] || wrong "it wrote there all the same"
    check
}

killed_and_begun_again() {
    begin
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    "$load" --rate 5000 --events 5000 --status "$here/status2" --result "$here/result"
    "$command" verify --json --dir "$dir" >"$here/verified" || (($? == 1)) || return 1
    findings "$here/verified" | grep -q '^killed: no audit.stop' || wrong "verify does not name the killed one"
    check killed
}

torn_tail() {
    "$load" --rate 5000 --events 1000 --status "$here/status" --result "$here/result"
    printf '{"event_version":"3.0","inst' >>"$(file)"
    "$command" verify --json --dir "$dir" >"$here/verified" && wrong "verify does not find the torn line"
    findings "$here/verified" | grep -q '^torn: ' || wrong "verify does not name the torn line"
    "$load" --rate 5000 --events 1000 --status "$here/status" --result "$here/result"
    grep -qE '"torn_bytes": ?28' "$(file)" || wrong "audit.start does not tell of it"
    check more
}

terminated() {
    local rc=0
    begin
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null || rc=$?
    ((rc == 143)) || wrong "it ended with $rc, not by the signal"
    check killed
    ! findings "$here/verified" | grep -q '^killed' || wrong "the log is not closed"
}

children() {
    begin --children
    until_true has emitted 10000
    end
    (($(number children "$here/result") > 10)) || wrong "no child was started"
    check
}

four_processes() {
    local n pids=()
    for n in 1 2 3 4; do
        "$load" --rate 2500 --events 5000 --status "$here/status" --result "$here/result$n" &
        pids+=($!)
        echo "$!" >>"$work/started"
    done
    for n in "${pids[@]}"; do wait "$n"; done
    add_up "$here"/result?
    check
}

# Adds up results, as if they were one process's.
add_up() {
    local name
    {
        for name in emitted written overwritten io_lost queued panics descriptors_start descriptors_end \
            threads_start threads_end; do
            cat "$@" >"$here/all"
            echo "\"$name\":$(number "$name" "$here/all")"
        done
        grep -qv '"adds_up":true' "$here/all" || echo '"adds_up":true'
        grep -qv '"goes_on":true' "$here/all" || echo '"goes_on":true'
    } >"$here/result"
}

# --- Floods ---

small_queue_flooded() {
    AUDIT_QUEUE_CAPACITY=64 "$load" --threads 4 --events 300000 --status "$here/status" --result "$here/result"
    (($(number overwritten "$here/result") > 0)) || wrong "nothing was overwritten"
    check
}

small_memory_flooded() {
    AUDIT_QUEUE_BYTES=262144 "$load" --threads 4 --bytes 20000 --events 10000 --status "$here/status" \
        --result "$here/result"
    (($(number overwritten "$here/result") > 0)) || wrong "nothing was overwritten"
    check
}

flooded_and_rotated() {
    AUDIT_MAX_FILE_BYTES=100000 AUDIT_FSYNC=batch "$load" --threads 4 --events 100000 --status "$here/status" \
        --result "$here/result"
    check
}

build
printf '%4s %-72s %9s %9s %9s %11s  %s\n' "" fault emitted written lost unexplained survived
fault tmpfs_filled "a tmpfs is filled by somebody else, then freed"
fault ext4_filled "an ext4 disk is filled by somebody else, then freed"
fault filled_by_the_log "the log fills its disk, which then grows"
fault closed_on_a_full_disk "the disk is full to the end: the losses are told on it"
fault no_inodes "no inode is left for the next file, then there are some"
fault full_with_retention "the disk is full with retention and compression on, then freed"
fault failing_writes_remove_nothing "the disk is full: retention removes no file because of it"
fault file_size_limit "writes fail with EFBIG past a limit (as a quota does), then it is lifted"
fault ext4_aborted "the kernel gives the disk up (EROFS); it goes, its folder is made anew"
fault failed_sync "the disk fails while it is synced (EIO)"
fault frozen_disk "the disk hangs (frozen), then goes on"
fault disk_pulled_out "the disk is unmounted under the log"
fault read_only_mount "a read-only mount over the folder, then none"
fault folder_removed "the folder is removed"
fault folder_moved "the folder is moved away"
fault folder_becomes_a_file "the folder becomes a file, then none"
fault folder_is_a_file "the folder is a file at the start: refused, named"
fault file_unlinked "the file is unlinked"
fault logrotate_create "the file is renamed and a new one made (logrotate, create)"
fault logrotate_copytruncate "the file is copied and cut to nothing (logrotate, copytruncate)"
fault cut_within_a_line "the file is cut within a line"
fault symlink_in_its_place "a symlink takes the file's place: not followed"
fault folder_in_its_place "a folder takes the file's place"
fault fifo_in_its_place "a FIFO takes the file's place"
fault others_write_into_it "another process writes half lines into the file"
fault permission_revoked "the folder's permissions are revoked, then given back"
fault folder_not_to_be_written "the folder is not to be written to at the start: refused, named"
fault no_descriptor "no descriptor is left, then some"
fault stderr_closed "stderr is closed"
fault stdout_closed "stdout is closed, and an exporter"
fault stdout_full "stdout is full (/dev/full), and an exporter"
fault stdout_reader_gone "stdout is a pipe whose reader goes, and an exporter"
fault stdout_not_read "stdout is a pipe that nobody reads, and an exporter"
fault exporter_panics "an exporter panics at every batch"
fault exporter_fails "an exporter fails at every batch"
fault exporter_hangs "an exporter hangs for a second"
fault exporter_hangs_for_ever "an exporter hangs for ever: emits go on, the process ends"
fault stopped_and_continued "the process is stopped and continued (SIGSTOP), five times"
fault another_holds_the_lock "another process holds the lock of the file"
fault killed_and_begun_again "the process is killed (SIGKILL), the next goes on"
fault torn_tail "the last line is torn, the next process cuts it off"
fault terminated "the process is ended (SIGTERM): it closes its log"
fault children "the process starts others without a pause"
fault four_processes "four processes write into one folder"
fault small_queue_flooded "a queue of 64 is flooded by four threads"
fault small_memory_flooded "a queue of 256 KiB is flooded with events of 20 KB"
fault flooded_and_rotated "a flood, with a new file every 100 KB and every batch synced"

echo "faults: $((faults - failed)) of $faults survived, $skipped skipped"
((failed == 0 && faults > 0)) || exit 1
echo "faults: ok"
