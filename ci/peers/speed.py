#!/usr/bin/env python3
"""The aims of speed, and what this machine reaches: a table in Markdown on stdout.

usage: speed.py [--only ROWS]...

ROWS is one of the groups below. What it runs, and how far it is, goes to stderr. A figure comes from the bench that
measures it, and this script only reads what that prints. Nothing here decides whether a test passes.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The helper of testdata, without a folder of compiled code beside it.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "testdata"))
import recordings

RUNS = 5
RECORDED = 1_000_000
REDACTED_BYTES = 60_000_000
TEXT = "The plan covers 80 percent of the visit after a deductible of 500 dollars; claim 20391 was paid"
TARGET = os.environ.get("CARGO_TARGET_DIR", "target")


def run(*command, **env):
    """What a command prints on stdout. Its stderr is shown."""
    print("speed:", " ".join(command), file=sys.stderr)
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **env}
    ).stdout


def found(pattern, text):
    """The groups of a pattern in a text, as numbers."""
    match = re.search(pattern, text)
    if not match:
        sys.exit(f"speed: nothing like {pattern!r} in:\n{text}")
    return [float(group.replace(",", "")) for group in match.groups()]


def instructions():
    lines = run("ci/instructions.sh", "--print")
    count = {line.split(None, 2)[2]: float(line.split()[0]) for line in lines.splitlines() if line and line[0] == " "}
    sizes = ["16 B of text", "256 B of text", "4 KB of text"]
    emits = [count[f"emit, {size}"] for size in sizes]
    kept, held = count["emit, 256 B, kept by a draw"], count["emit, 256 B, held"]
    yield (
        "emit, four fields, 16 B / 256 B / 4 KB of text, instructions",
        "1,500 / 2,000 / 8,000",
        " / ".join(f"{emit:,.0f}" for emit in emits),
    )
    yield "held, next to a kept one of 256 B, instructions", "as many", f"{held:,.0f} / {kept:,.0f}"
    yield "the mix at the default rates: 28 % kept, 72 % held", "", f"{0.28 * kept + 0.72 * held:,.0f}"
    yield "sampled out, instructions", "120", f"{count['emit, 256 B, sampled out']:,.0f}"
    disabled = [f"{count[f'emit, 256 B, disabled{asked}']:,.0f}" for asked in ["", ", asked first"]]
    yield "disabled / if the caller asks `is_enabled` first, instructions", "6", " / ".join(disabled)


def loggers():
    run("cargo", "run", "--release", "--manifest-path", "benches/peers/Cargo.toml")
    rows = json.loads(Path("benches/peers/results.json").read_text())["rows"]
    at = {(row["peer"], row["mode"], row["regex_first"]): row for row in rows}
    others = {row["peer"] for row in rows} - {"llm-audit", "llm-audit, sampling", "clock alone", "fastrace, in memory"}
    tracing = at["tracing", "saturated", False]["p50"] / at["llm-audit", "saturated", False]["p50"]
    yield "emit, 256 B, one thread: median of tracing + JSON + tracing-appender, times ours", "15", f"{tracing:.1f}"
    for mode in ["100/s, asleep", "100/s", "2,000/s", "20,000/s", "100,000/s", "saturated"]:
        ours = at["llm-audit", mode, False]
        cells = []
        for name in ["p50", "p999"]:
            below = sorted(peer for peer in others if at[peer, mode, False][name] < ours[name])
            cells.append(f"{ours[name] / 1000:.2f}" + (f" ({', '.join(below)} below)" if below else ""))
        aim = {"100,000/s": "below each other's", "saturated": "below each other's, p99.9 below 2"}
        yield f"emit, 256 B, {mode}: p50 / p99.9, µs", aim.get(mode, "1.2 / 10, below each other's"), " / ".join(cells)
    with_regex = [at[peer, "saturated", True]["p50"] for peer in others if (peer, "saturated", True) in at]
    ours = at["llm-audit", "saturated", False]["p50"]
    yield (
        "others with the floor's `regex` first, saturated median, times ours",
        "30",
        f"{min(with_regex) / ours:.1f} to {max(with_regex) / ours:.1f}",
    )


def service():
    cargo = ["cargo", "build", "--profile", "bench", "-p", "llm-audit-load", "--bin", "service"]
    run(*cargo)
    program = f"{TARGET}/release/service"
    printed = run(program)
    for rate in ["100", "2000", "20000"]:
        p50, _, p999 = found(rf"(?m)^ *{rate} events/s: p50 +(\d+) p99 +(\d+) p99.9 +(\d+) ns", printed)
        yield f"emit alone, 256 B, {rate}/s: p50 / p99.9, µs", "1.2 / 10", f"{p50 / 1000:.2f} / {p999 / 1000:.1f}"
    with tempfile.NamedTemporaryFile("r") as calls:
        traced = ["strace", "-f", "-e", "trace=execve,futex", "-o", calls.name]
        run(*traced, program, "50", "20")
        lines = [line.split(None, 1) for line in calls.read().splitlines()]
    # The first line is that of the caller's thread.
    wakes = [line for line in lines if line[0] == lines[0][0] and "FUTEX_WAKE" in line[1]]
    yield "wakes by the caller, 1,000 events at 50/s, a flush and a close", "one each", f"{len(wakes)}"
    [switches] = found(r"idle: ([\d.]+) context switches/s", printed)
    [after] = found(r"process: (\d+) KiB after one event", printed)
    yield "idle: MB over the bare process / wake-ups a second", "8 / 2", f"{after / 1024:.1f} / {switches:.1f}"


def threads():
    [times] = found(r"([\d.]+) times as many", run("cargo", "bench", "--bench", "hot_path", "--", "--held"))
    yield "two pinned threads, writer held: throughput, times one thread's", "1.7", f"{times:.2f}"


def pipeline():
    printed = run("cargo", "bench", "--bench", "pipeline", "--", "--end-to-end")
    size, rate, ratio = found(r"lines of (\d+) B .* per event, (\d+) events/s.*; ([\d.]+) times as long", printed)
    yield f"end to end, lines of {size:.0f} B, million events/s", "1.2", f"{rate / 1e6:.2f}"
    yield "the same, times as long as `simd_json` and `write` alone", "1.5", f"{ratio:.2f}"


def seconds(*command, stdin=os.devnull, codes=(0,), before=lambda: None, **env):
    """The median time of a command, without its output."""
    print("speed:", " ".join(command), file=sys.stderr)
    took = []
    for _ in range(RUNS):
        before()
        with open(stdin) as lines, open(os.devnull, "w") as nowhere:
            begin = time.monotonic()
            ended = subprocess.run(command, stdin=lines, stdout=nowhere, stderr=nowhere, env={**os.environ, **env})
            took.append(time.monotonic() - begin)
        if ended.returncode not in codes:
            sys.exit(f"speed: {' '.join(command)} ended with {ended.returncode}")
    return statistics.median(took)


def write_events(to):
    """Writes events of tool calls, eight of each trace."""
    with open(to, "w") as out:
        for n in range(RECORDED):
            event = {
                "event_type": "tool.call",
                "agent": "benefits",
                "action": "plan.search",
                "status": "ok",
                "latency_ms": n % 1000 / 8,
                "trace_id": f"{n // 8 + 1:032x}",
                "data": {"tool": "plan.search", "results": n % 97, "score": 0.875, "text": TEXT},
            }
            out.write(json.dumps(event) + "\n")


def write_agent_lines(program, to):
    """Writes lines of real agents, those of the recordings, or of the demo if there are none."""
    if source := recordings.recording("agent-events.jsonl"):
        what, lines = "recorded agents", source.read_bytes()
    else:
        what = "the demo's agents"
        with tempfile.TemporaryDirectory() as folder:
            run(program, "demo", "--dir", folder)
            lines = b"".join(file.read_bytes() for file in Path(folder).glob("audit-*.jsonl"))
    with open(to, "wb") as out:
        for _ in range(REDACTED_BYTES // len(lines) + 1):
            out.write(lines)
    return what


def command():
    run("cargo", "build", "--release", "-p", "llm-audit-cli")
    program = f"{TARGET}/release/llm-audit"
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        events, lines, log = f"{folder}/events.jsonl", f"{folder}/lines.jsonl", f"{folder}/log"
        write_events(events)
        size = os.path.getsize(events) / RECORDED

        def remove_log():
            shutil.rmtree(log, ignore_errors=True)

        took = seconds(program, "record", "--dir", log, stdin=events, before=remove_log, AUDIT_DEBUG="true")
        remove_log()
        jq = seconds("jq", "-c", ".", stdin=events)
        os.remove(events)
        yield f"`record`, events of {size:.0f} B, million/s", "1", f"{RECORDED / took / 1e6:.2f}"
        yield "the same, times the speed of `jq -c .`", "12", f"{jq / took:.1f}"
        what = write_agent_lines(program, lines)
        size = os.path.getsize(lines) / 1e9
        yield f"`redact`, JSON lines of {what}, GB/s", "1", f"{size / seconds(program, 'redact', stdin=lines):.2f}"
        # A scan that finds something ends with 1.
        took = seconds(program, "scan", lines, codes=(0, 1))
        yield f"`scan`, JSON lines of {what}, GB/s", "1", f"{size / took:.2f}"


def ring():
    printed = run("cargo", "bench", "--bench", "ring", LLM_AUDIT_INTERNALS="1")
    ratios = [found(rf"(?m)^ +8 B {n} producers:.*, ([\d.]+)x", printed)[0] for n in range(1, 5)]
    aim = "1 with two"
    yield "a full ring, 8 B, one to four threads: times the speed of `force_push`", aim, " / ".join(map(str, ratios))


GROUPS = [instructions, loggers, service, threads, pipeline, command, ring]


def main():
    names = {group.__name__: group for group in GROUPS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names, metavar="ROWS", help=", ".join(names))
    wanted = parser.parse_args().only or list(names)
    print("| work | aim | reached |\n|---|---:|---:|", flush=True)
    for name in wanted:
        for row in names[name]():
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
