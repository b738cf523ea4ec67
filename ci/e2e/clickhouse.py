"""Loads a log into ClickHouse by the statements of a page, and compares its queries with `stats` and `cost`.

`clickhouse.py PAGE FOLDER`, in the folder of the log: FOLDER has `stats.json`, `cost.json` and `otlp.jsonl`.
"""

import json
import re
import sys
from decimal import Decimal

import chdb.session

# The tables of the collector's exporter for ClickHouse, without the columns that the views do not read.
# https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter
OTEL_TABLES = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String), Duration UInt64,
    StatusCode LowCardinality(String), StatusMessage String
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp));
CREATE TABLE otel_logs (
    Timestamp DateTime64(9), TimestampTime DateTime DEFAULT toDateTime(Timestamp), TraceId String, SpanId String,
    SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion LowCardinality(String),
    LogAttributes Map(LowCardinality(String), String)
) ENGINE = MergeTree PARTITION BY toDate(TimestampTime) ORDER BY (ServiceName, TimestampTime, Timestamp);
"""

# What the page's query and the command call the same figure.
COST_COLUMNS = {
    "calls": "events", "tokens_in": "tokens_input", "cached": "tokens_cached", "tokens_out": "tokens_output",
    "unpriced": "unpriced",
}  # fmt: skip
TIMES = "SELECT event_type, arraySort(groupArray(latency_ms)) AS times FROM audit FINAL GROUP BY event_type"


def statements(page):
    """The statements of the page, by the name in their first line."""
    with open(page, encoding="utf-8") as file:
        return dict(re.findall(r"```sql\n-- (\w+)\n(.*?);?\n```", file.read(), re.DOTALL))


def text_of(value):
    """The value of an attribute as the exporter writes it into a map of texts."""
    return str(next(iter(value.values())))


def attributes_of(of):
    return {attribute["key"]: text_of(attribute["value"]) for attribute in of["attributes"]}


def rows(requests, resources, scopes, records):
    """Resource, scope and record of each record."""
    for request in requests:
        for group in request.get(resources, []):
            for scope in group[scopes]:
                for record in scope[records]:
                    yield attributes_of(group["resource"]), scope["scope"], record


def span_row(resource, scope, span):
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    return {
        "Timestamp": f"{start // 10**9}.{start % 10**9:09}", "TraceId": span["traceId"], "SpanId": span["spanId"],
        "ParentSpanId": span.get("parentSpanId", ""), "TraceState": span.get("traceState", ""), "SpanName": span["name"],
        "ServiceName": resource["service.name"], "ResourceAttributes": resource, "ScopeName": scope["name"],
        "ScopeVersion": scope["version"], "SpanAttributes": attributes_of(span), "Duration": end - start,
    }  # fmt: skip


def log_row(resource, scope, log):
    time = int(log["timeUnixNano"])
    return {
        "Timestamp": f"{time // 10**9}.{time % 10**9:09}", "TraceId": log.get("traceId", ""),
        "SpanId": log.get("spanId", ""), "SeverityNumber": log["severityNumber"], "ServiceName": resource["service.name"],
        "Body": text_of(log["body"]), "ResourceAttributes": resource, "ScopeName": scope["name"],
        "ScopeVersion": scope["version"], "LogAttributes": attributes_of(log),
    }  # fmt: skip


def ask(session, query):
    answer = session.query(query, "JSONEachRow").data()
    return [json.loads(line, parse_float=Decimal) for line in answer.splitlines()]


def near_rank(values, share):
    """The values around the rank of the share, of which there are several definitions; `None` without values."""
    rank = round(len(values) * share)
    return values[max(rank - 2, 0) : rank + 1] or [None]


def is_near(one, other):
    """Percentiles of the command have two digits."""
    return one == other or (one is not None and abs(one - other) <= one / 100 + Decimal("0.001"))


def check(what, found, expected):
    if found != expected:
        sys.exit(f"clickhouse: {what}: {found}, and llm-audit has {expected}")


def compare(session, page, stats, cost):
    """Compares the answers of the page's queries with those of the command."""
    decimals = " SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_quote_decimals = 1"
    found = {row["event_type"]: row for row in ask(session, page["stats"] + decimals)}
    times = {row["event_type"]: row["times"] for row in ask(session, TIMES)}
    check("event types", sorted(found), sorted(group["values"][0] for group in stats["groups"]))
    for group in stats["groups"]:
        kind = group["values"][0]
        for figure in ("events", "failed"):
            check(f"{figure} of {kind}", found[kind][figure], group[figure])
        for share, figure in ((0.5, "p50_ms"), (0.99, "p99_ms"), (1, "max_ms")):
            near = near_rank(times.get(kind, []), share)
            if not (found[kind][figure] in near and any(is_near(one, group[figure]) for one in near)):
                sys.exit(f"clickhouse: {figure} of {kind}: {near}, and llm-audit has {group[figure]}")
    found = {row["model"]: row for row in ask(session, page["cost"] + decimals)}
    check("models", sorted(model for model in found if model), sorted(group["values"][0] for group in cost["groups"]))
    for group in cost["groups"]:
        model = group["values"][0]
        for column, figure in COST_COLUMNS.items():
            check(f"{figure} of {model}", found[model][column], group[figure])
        check(f"cost of {model}", Decimal(found[model]["cost"]), group["cost_usd"])
    check("holes", ask(session, page["holes"]), [])
    spent = sum(Decimal(row["cost"] or 0) for row in ask(session, page["tenants"] + decimals))
    check("cost of all tenants", spent, cost["total"]["cost_usd"])
    return sum(group["events"] for group in stats["groups"]), spent


def main(page, folder):
    page = statements(page)
    with open(f"{folder}/stats.json") as one, open(f"{folder}/cost.json") as two:
        figures = [json.load(file, parse_float=Decimal) for file in (one, two)]
    session = chdb.session.Session(f"{folder}/clickhouse")
    session.query("CREATE DATABASE audit; USE audit")
    session.query(page["table"])
    # Twice, since lines may come again.
    for _ in range(2):
        session.query(page["load"])
    events, spent = compare(session, page, *figures)
    print(f"clickhouse: {events} events from the files, {spent} USD")

    session.query("TRUNCATE TABLE audit")
    for statement in OTEL_TABLES.strip().split(";\n"):
        session.query(statement)
    session.query(page["traces"])
    session.query(page["logs"])
    with open(f"{folder}/otlp.jsonl", encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    tables = {
        "otel_traces": [span_row(*row) for row in rows(requests, "resourceSpans", "scopeSpans", "spans")],
        "otel_logs": [log_row(*row) for row in rows(requests, "resourceLogs", "scopeLogs", "logRecords")],
    }
    for table, of in tables.items():
        with open(f"{folder}/{table}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in of)
        for _ in range(2):
            session.query(f"INSERT INTO {table} SELECT * FROM file('{folder}/{table}.jsonl', 'JSONEachRow') ")
    events, spent = compare(session, page, *figures)
    print(f"clickhouse: {len(tables['otel_traces'])} spans and {len(tables['otel_logs'])} log records, {spent} USD")


if __name__ == "__main__":
    main(*sys.argv[1:])
