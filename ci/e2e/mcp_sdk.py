"""Asks the server of `examples/mcp-agent` with the official Python SDK, and checks the log: mcp_sdk.py SERVER FOLDER."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SERVER, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])

# What the server records of each request: action, type, and the type of the error.
REQUESTS = [
    ("tools/list", "mcp.request", None),
    ("resources/read", "mcp.request", None),
    ("prompts/get explain", "mcp.request", None),
    ("find_plan", "tool.result", None),
    ("find_plan", "tool.error", "tool_error"),
    ("find_plan", "tool.error", "tool_error"),
    ("find_plans", "tool.error", "-32602"),
]

# Unlike the SDK's own default, this records spans, and so the SDK sends them in `_meta`.
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)


async def ask(server, mode):
    """Makes the requests of the table. Returns the id of their trace."""
    with trace.get_tracer("trips").start_as_current_span("trip") as trip:
        info = Implementation(name="python", version="1")
        async with Client(server, mode=mode, client_info=info) as client:
            await client.list_tools()
            await client.read_resource("plan://gold")
            await client.get_prompt("explain")
            for tool, arguments in [
                ("find_plan", {"member": "ana@example.com"}),
                ("find_plan", {"member": "ben@example.com"}),
                ("find_plan", {"name": "ana"}),
                ("find_plans", {}),
            ]:
                try:
                    await client.call_tool(tool, arguments)
                except MCPError:
                    pass
    return f"{trip.get_span_context().trace_id:032x}"


def check(name, log, trace_id, handshake):
    """Compares the log with the table and with the client's spans."""
    lines = [json.loads(line) for file in log.glob("*.jsonl") for line in file.open()]
    ends = [
        line
        for line in sorted(lines, key=lambda line: line.get("seq", 0))
        if line["event_type"] in ("mcp.request", "tool.result", "tool.error")
    ]
    found = [(line["action"], line["event_type"], line.get("error", {}).get("type")) for line in ends]
    expected = [(handshake, "mcp.request", None), *REQUESTS]
    assert found == expected, f"{name}: {found}"
    calls = [line for line in lines if line["event_type"] == "tool.call"]
    assert len(calls) == 4, f"{name}: {len(calls)} calls"

    sent = {f"{span.context.span_id:016x}" for span in spans.get_finished_spans()}
    parents = {line.get("parent_span_id") for line in ends}
    assert {line["trace_id"] for line in ends} == {trace_id}, f"{name}: another trace"
    assert len(parents) == len(ends) and parents <= sent, f"{name}: {parents - sent} are no spans of the client"
    for line in ends:
        assert line["data"]["mcp.client.name"] == "python", line
    # The older version has sessions, over HTTP.
    sessions = {line["data"].get("mcp.session.id") for line in ends[1:]}
    has_session = name == "streamable HTTP, legacy"
    assert len(sessions) == 1 and (sessions != {None}) == has_session, f"{name}: {sessions}"
    assert ends[5]["error"]["message"] == "[REDACTED_email] is not a member", ends[5]
    assert "missing field `member`" in ends[6]["error"]["message"], ends[6]
    assert "find_plans" in json.dumps(ends[7]), ends[7]
    assert "@example.com" not in json.dumps(lines), f"{name}: an address is in the log"
    print(f"mcp: {name}: {len(ends)} requests, {len(calls)} calls of tools, one trace")


async def over_stdio(mode, handshake):
    log, said = FOLDER / f"stdio-{mode}", FOLDER / f"stdio-{mode}.out"
    # What the server says is kept, and it gets a variable that it warns of.
    server = StdioServerParameters(
        command="sh",
        args=["-c", 'exec 3>&1; { "$0" 2>"$1.err"; } | tee "$1" >&3', SERVER, str(said)],
        env={"AUDIT_DEBUG": "true", "AUDIT_LOG_DIR": str(log), "AUDIT_LOG_DIRS": "logs"},
    )
    trace_id = await ask(server, mode)
    check(f"stdio, {mode}", log, trace_id, handshake)
    messages = [json.loads(line) for line in said.read_text().splitlines()]
    assert messages and all(message["jsonrpc"] == "2.0" for message in messages)
    assert "AUDIT_LOG_DIRS" in pathlib.Path(f"{said}.err").read_text(), "there was no warning"


async def over_http(mode, handshake):
    log = FOLDER / f"http-{mode}"
    environment = {**os.environ, "AUDIT_LOG_DIR": str(log)}
    server = subprocess.Popen(
        [SERVER, "--http", "127.0.0.1:0"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        url = next(line for line in server.stderr if line.startswith("listening on ")).split()[-1]
        trace_id = await ask(url, mode)
    finally:
        server.terminate()
        server.wait(30)
    check(f"streamable HTTP, {mode}", log, trace_id, handshake)


async def main():
    for mode, handshake in [("legacy", "initialize"), ("auto", "server/discover")]:
        await over_stdio(mode, handshake)
        await over_http(mode, handshake)


asyncio.run(main())
