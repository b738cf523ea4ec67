#!/usr/bin/env python3
"""A large log out of a small one, for measurements.

usage: lines.py FROM.jsonl DIR BYTES

Repeats the events of one instance with new trace ids, later times and continued numbers, until DIR holds
this many bytes in files of 256 MiB. The accounting of `audit.stop` fits, so `verify` finds nothing.
"""
import json
import random
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

FILE_BYTES = 256 << 20
HEAD = re.compile(
    rb'(\{"event_version":"3.0","instance":"[0-9a-f]{16}","seq":)\d+(,"trace_id":")([0-9a-f]{32})'
    rb'(",.*?"timestamp":")([^"]*)(".*)',
    re.DOTALL,
)


def time_of(text):
    return datetime.fromisoformat(text.decode().replace("Z", "+00:00"))


class Log:
    """Files of a log, each with `audit.start` as its first line."""

    def __init__(self, folder, start):
        self.folder, self.start, self.files, self.bytes, self.in_file = folder, start, 0, 0, 0
        folder.mkdir(parents=True)
        self.begin()

    def begin(self):
        number = f".{self.files}" if self.files else ""
        day = self.start["timestamp"][:10]
        self.out = open(self.folder / f"audit-{day}{number}.jsonl", "wb", 1 << 20)
        self.start["data"]["first"] = self.files == 0
        self.files, self.in_file = self.files + 1, 0
        self.write(json.dumps(self.start, separators=(",", ":")).encode() + b"\n")

    def write(self, line):
        if self.in_file + len(line) > FILE_BYTES:
            self.out.close()
            self.begin()
        self.out.write(line)
        self.in_file += len(line)
        self.bytes += len(line)


def main():
    source, folder, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    lines = source.read_bytes().splitlines(keepends=True)
    start, stop = json.loads(lines[0]), json.loads(lines[-1])
    begin, rng = time_of(start["timestamp"].encode()), random.Random(1)
    events = []
    for match in filter(None, map(HEAD.fullmatch, lines)):
        before, id_key, trace, between, time, rest = match.groups()
        events.append((before, id_key, trace, between, time_of(time) - begin, rest))
    length = time_of(stop["timestamp"].encode()) - begin
    log, seq, later = Log(folder, start), 0, begin
    while log.bytes < size:
        ids = {}
        for before, id_key, trace, between, after, rest in events:
            seq += 1
            new = ids.get(trace)
            if new is None:
                new = ids[trace] = b"%032x" % (rng.getrandbits(128) | 1 << 127)
            time = (later + after).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
            log.write(b"%s%d%s%s%s%s%s" % (before, seq, id_key, new, between, time, rest))
        later += length + timedelta(milliseconds=1)
    stop["timestamp"] = later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    stop["data"].update(emitted=seq, written=seq)
    log.write(json.dumps(stop, separators=(",", ":")).encode() + b"\n")
    log.out.close()


if __name__ == "__main__":
    main()
