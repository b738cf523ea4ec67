"""Measures the bytes of an event, and computes storage and cost from them. `ci/sizing.sh` runs it.

`sizing.py PAGE CLICKHOUSE NAME=FOLDER...` writes the tables into PAGE. Each FOLDER is a log with its export in
`otlp.jsonl`. The table of ClickHouse is made by the statements of the page CLICKHOUSE.
"""

import gzip
import os
import re
import sys
from pathlib import Path

import chdb.session
import zstandard

sys.path.insert(0, str(Path(__file__).parent / "e2e"))
from clickhouse import statements
from otlp_json import messages

# What one machine records.
EVENTS_A_DAY = 1_000_000
DAYS = 30
GB = 10**9
# Of June 2026, in us-east-1.
CLOUDWATCH_INGESTED, CLOUDWATCH_STORED, CLOUDWATCH_EVENT_BYTES = 0.50, 0.03, 26
S3_STORED, S3_PUT, S3_OBJECT_BYTES = 0.023, 0.005 / 1000, 256 << 20
# Storage with one backup, and a service of two replicas by the memory of each. One GiB for so many events a second.
CLICKHOUSE_STORED, CLICKHOUSE_GIB, CLICKHOUSE_GIB_MIN, EVENTS_OF_GIB = 2 * 25.30 / 1000, 436.95 / 8, 8, 1_800
# As the shipper makes requests.
REQUEST_BYTES = 2 << 20


def lines_of(folder):
    return b"".join(path.read_bytes() for path in sorted(Path(folder).glob("audit-*.jsonl")))


def requests_of(folder):
    """The export as requests of the shipper. Messages that follow each other are one message."""
    parts = {True: b"", False: b""}
    for message, has_spans in messages(Path(folder) / "otlp.jsonl"):
        parts[has_spans] += message.SerializeToString()
        if len(parts[has_spans]) >= REQUEST_BYTES:
            yield parts[has_spans]
            parts[has_spans] = b""
    yield from filter(None, parts.values())


def clickhouse_bytes(folder, page):
    of_page, before = statements(page), os.getcwd()
    os.chdir(folder)
    session = chdb.session.Session(f"{folder}/clickhouse")
    session.query("CREATE DATABASE audit; USE audit")
    session.query(of_page["table"])
    session.query(of_page["load"])
    session.query("OPTIMIZE TABLE audit FINAL")
    size = session.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'audit'", "CSV").data()
    session.close()
    os.chdir(before)
    return int(size)


def measured(folder, page):
    """Bytes of an event: plain, packed by zstd, by gzip, as OTLP packed by gzip, and in ClickHouse."""
    lines = lines_of(folder)
    events = sum(b'"seq":' in line for line in lines.splitlines())
    sizes = {
        "plain": len(lines),
        "zstd": len(zstandard.ZstdCompressor(level=3).compress(lines)),
        "gzip": len(gzip.compress(lines, 6)),
        "otlp": sum(len(gzip.compress(request, 6)) for request in requests_of(folder)),
        "clickhouse": clickhouse_bytes(folder, page),
    }
    return events, {name: size / events for name, size in sizes.items()}


def costs(machines, sizes):
    """US dollars a month, of data that is kept for 30 days."""
    kept = machines * EVENTS_A_DAY * DAYS
    ingested = (sizes["plain"] + CLOUDWATCH_EVENT_BYTES) * kept / GB
    cloudwatch = ingested * CLOUDWATCH_INGESTED + sizes["gzip"] * kept / GB * CLOUDWATCH_STORED
    # A machine uploads a file when it is full, or once a day.
    objects = machines * DAYS * max(1, sizes["plain"] * EVENTS_A_DAY / S3_OBJECT_BYTES)
    s3 = sizes["zstd"] * kept / GB * S3_STORED + objects * S3_PUT
    gib = max(CLICKHOUSE_GIB_MIN, machines * EVENTS_A_DAY / 86_400 / EVENTS_OF_GIB)
    clickhouse = sizes["clickhouse"] * kept / GB * CLICKHOUSE_STORED + gib * CLICKHOUSE_GIB
    return cloudwatch, s3, clickhouse


def bytes_text(size):
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size /= 1000
    return f"{size:.3g} {unit}" if size < 100 else f"{size:.0f} {unit}"


def money_text(cost):
    return f"{cost:,.2f}" if cost < 100 else f"{cost:,.0f}"


def tables(logs):
    yield "| log | events | line | zstd | OTLP, gzip | ClickHouse |"
    yield "|---|---|---|---|---|---|"
    for name, (events, sizes) in logs.items():
        row = (f"{sizes[kind]:.0f} B" for kind in ("plain", "zstd", "otlp", "clickhouse"))
        yield f"| {name} | {events:,} | {' | '.join(row)} |"
    yield ""
    yield "| log | machines | events a day | files a day | zstd, 30 days | CloudWatch | S3 | ClickHouse |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, (_, sizes) in logs.items():
        for machines in (1, 100, 10_000):
            day = machines * EVENTS_A_DAY
            files, kept = bytes_text(sizes["plain"] * day), bytes_text(sizes["zstd"] * day * DAYS)
            spent = " | ".join(money_text(cost) for cost in costs(machines, sizes))
            yield f"| {name} | {machines:,} | {day:,} | {files} | {kept} | {spent} |"


def main(page, clickhouse, *logs):
    clickhouse = os.path.abspath(clickhouse)
    found = {name: measured(folder, clickhouse) for name, folder in (log.split("=") for log in logs)}
    text = "\n".join(tables(found))
    print(text)
    old = Path(page).read_text(encoding="utf-8")
    new = re.sub(r"(?s)(<!-- sizing:start -->\n).*?(<!-- sizing:end -->)", lambda m: m[1] + text + "\n" + m[2], old)
    Path(page).write_text(new, encoding="utf-8")


main(*sys.argv[1:])
