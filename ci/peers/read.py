#!/usr/bin/env python3
"""Times of llm-audit and of peers that answer the same question, and whether the answers agree.

usage: read.py LLM_AUDIT DIR [--runs N]

Files are in the page cache. A time is the median of several runs, memory the peak of all. The peers
`rg` (else `grep`), `jq` and the Python package `duckdb` are left out if they are missing. The script
runs itself again as `read.py --duckdb QUESTION FILES`, so that DuckDB's memory is measured as well.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# jq gets the first lines of the log, and its time is multiplied.
JQ_SHARE = 20

# Every type is named: DuckDB would otherwise read a part of the file twice to guess them.
COLUMNS = (
    "columns={event_type:'VARCHAR', agent:'VARCHAR', action:'VARCHAR', status:'VARCHAR',"
    " latency_ms:'DOUBLE', timestamp:'VARCHAR', trace_id:'VARCHAR', tokens_input:'BIGINT',"
    " tokens_output:'BIGINT', cost_usd:'DECIMAL(18,9)', data:'%s', error:'%s'}"
)
EVENT = "event_type NOT LIKE 'audit.%'"
QUERIES = {
    "stats --by action": (
        "SELECT action, count(*), count(*) FILTER (status IN ('error', 'timeout')),"
        " quantile_disc(latency_ms, [0.5, 0.9, 0.99]), max(latency_ms), sum(cost_usd)"
        f" FROM log WHERE {EVENT} GROUP BY action"
    ),
    "errors": (
        "SELECT event_type, agent, action, error.type,"
        " regexp_replace(error.message, '[0-9a-f]*[0-9][0-9a-f.]*', '#', 'g') AS kind, count(*),"
        " min(timestamp), max(timestamp), max_by(trace_id, timestamp) FROM log"
        " WHERE status IN ('error', 'timeout') GROUP BY ALL"
    ),
    "cost --by model": (
        "SELECT coalesce(data.model, data.response_model), count(*), sum(tokens_input),"
        f" sum(tokens_output), sum(cost_usd) FROM log WHERE {EVENT} AND event_type NOT LIKE"
        " 'request.%' AND coalesce(tokens_input, tokens_output, cost_usd) IS NOT NULL GROUP BY 1"
    ),
}
JQ = {
    "stats --by action": 'reduce (inputs | select(.seq)) as $e ({}; .[$e.action] += [$e.latency_ms])'
    " | map_values([length, (map(values) | sort | .[length * 0.99 | floor])])",
    "errors": 'reduce (inputs | select(.status == "error" or .status == "timeout")) as $e ({};'
    ' .[[$e.event_type, $e.agent, $e.action, $e.error.type] | join(" ")] += 1)',
    "cost --by model": "reduce (inputs | select(.cost_usd or .tokens_input)) as $e ({};"
    ' .[$e.data.model // "-"] += $e.cost_usd)',
}


def duckdb_answer(question, files):
    """Runs in a process of its own."""
    import duckdb

    data = "STRUCT(model VARCHAR, response_model VARCHAR)" if "cost" in question else "JSON"
    error = "STRUCT(type VARCHAR, message VARCHAR)" if "errors" in question else "JSON"
    columns = COLUMNS % (data, error)
    wanted = {"data": "cost", "error": "errors"}
    for name, of in wanted.items():
        if of not in question:
            columns = columns.replace(f", {name}:'JSON'", "")
    log = f"read_json({files!r}, format='newline_delimited', {columns})"
    rows = duckdb.sql(QUERIES[question].replace("FROM log", f"FROM {log}")).fetchall()
    if "errors" in question:
        print(json.dumps(sum(row[5] for row in rows)))
    else:
        print(json.dumps(sorted([row[0], row[1]] for row in rows)))


class Measured(NamedTuple):
    seconds: float
    peak: int
    cpu: float
    output: bytes


def measure(command, runs):
    """Median seconds, peak bytes, median seconds of processors, output."""
    # A child begins with the memory of what starts it, so a small program starts it.
    command = ["/usr/bin/time", "-f", "%M %U %S", *command]
    times, cpu, peak = [], [], 0
    for _ in range(runs):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
            begin = time.monotonic()
            code = subprocess.call(command, stdout=out, stderr=told)
            times.append(time.monotonic() - begin)
            out.seek(0)
            told.seek(0)
            if code != 0:
                sys.exit(f"read: {' '.join(command)[:200]} exits with {code}: {told.read()[-500:]}")
            kilobytes, user, system = told.read().split()[-3:]
            cpu.append(float(user) + float(system))
            peak = max(peak, int(kilobytes) * 1024)
            output = out.read()
    return Measured(statistics.median(times), peak, statistics.median(cpu), output)


def answer_of(question, output):
    """What has to be the same as DuckDB's."""
    told = json.loads(output)
    if question == "errors":
        return told["failed"]
    count = lambda group: group["events"]
    return sorted([group["values"][0], count(group)] for group in told["groups"])


def row(question, who, measured, note=""):
    seconds, peak, cpu, _ = measured
    print(
        f"{question:<20} {who:<10} {seconds * 1e3:9.1f} ms {cpu * 1e3:9.1f} ms of processors"
        f" {peak / 1e6:7.1f} MB  {note}",
        flush=True,
    )


def main():
    command, folder = sys.argv[1], Path(sys.argv[2])
    runs = int(sys.argv[4]) if sys.argv[3:4] == ["--runs"] else 5
    files = sorted(folder.glob("audit-*.jsonl"), key=lambda f: (len(f.name), f.name))
    files = [str(file) for file in files]
    size = sum(os.path.getsize(file) for file in files)
    for file in files:  # into the page cache
        with open(file, "rb") as content:
            while content.read(1 << 20):
                pass
    drop_index = lambda: shutil.rmtree(folder / ".index", ignore_errors=True)
    with open(files[len(files) // 2], "rb") as middle:
        middle.seek(os.path.getsize(middle.name) // 2)
        middle.readline()
        trace = json.loads(middle.readline())["trace_id"]
    print(f"read: {size / 1e9:.2f} GB in {len(files)} files, medians of {runs}")
    at = ["--dir", str(folder)]
    ask = lambda *words: measure([command, *words, *at], runs)

    drop_index()
    row("tail -n 20", "llm-audit", ask("tail", "-n", "20"))
    searched = ask("trace", trace, "--json")
    row("trace ID, no index", "llm-audit", searched)
    found = sum(len(span["events"]) for span in json.loads(searched.output)["spans"])
    grep = ["rg", "-F", "-I"] if shutil.which("rg") else ["grep", "-F", "-h"]
    peer = measure([*grep, trace, *files], runs)
    is_same = peer.output.count(b"\n") == found
    row("trace ID, no index", grep[0], peer, "" if is_same else "DIFFERS")

    for question in QUERIES:
        drop_index()
        first = measure([command, *question.split(), "--json", *at], 1)
        ours = ask(*question.split(), "--json")
        row(question, "llm-audit", ours, f"first run {first.seconds * 1e3:.0f} ms, which makes an index")
        compare_with_duckdb(question, files, ours, runs)
        compare_with_jq(question, files, size, ours)

    warm = ask("trace", trace, "--json")
    row("trace ID, index", "llm-audit", warm, "" if warm.output == searched.output else "DIFFERS")
    drop_index()
    verified = ask("verify")
    row("verify", "llm-audit", verified, f"{size / verified.seconds / 1e9:.2f} GB/s")
    drop_index()


def compare_with_duckdb(question, files, ours, runs):
    empty = [sys.executable, "-c", "import duckdb"]
    if subprocess.call(empty, stderr=subprocess.DEVNULL) != 0:
        return print("read: duckdb is missing")
    theirs = measure([sys.executable, __file__, "--duckdb", question, *files], runs)
    start = measure(empty, runs)
    theirs = theirs._replace(seconds=theirs.seconds - start.seconds, cpu=theirs.cpu - start.cpu)
    is_same = json.loads(theirs.output) == answer_of(question, ours.output)
    ratios = f"{theirs.seconds / ours.seconds:.1f} times, without its import"
    row(question, "duckdb", theirs, ratios if is_same else "DIFFERS")


def compare_with_jq(question, files, size, ours):
    if not shutil.which("jq"):
        return print("read: jq is missing")
    with tempfile.NamedTemporaryFile() as part:
        with open(files[0], "rb") as whole:
            part.write(whole.read(size // JQ_SHARE).rsplit(b"\n", 1)[0] + b"\n")
        part.flush()
        share = size / os.path.getsize(part.name)
        theirs = measure(["jq", "-n", JQ[question], part.name], 1)
    theirs = theirs._replace(seconds=theirs.seconds * share, cpu=theirs.cpu * share)
    row(question, "jq", theirs, f"{theirs.seconds / ours.seconds:.0f} times, from a part of the log")


if __name__ == "__main__":
    if sys.argv[1] == "--duckdb":
        duckdb_answer(sys.argv[2], sys.argv[3:])
    else:
        main()
