"""A receiver of OTLP spans and log records that can fail, and what must be in them.

  ship.py receive FILE [PORT] [FAULTS]   prints its port; a line of JSON in FILE is a request
  ship.py conventions FOLDER FILE        compares names and attributes with the conventions
  ship.py complete FOLDER FILE STATUS    every event arrived or was refused, and none came again without a reason;
                                         STATUS is what `ship status --json` prints

The file FAULTS contains the share of requests that fail, from 0 to 1. With it some events are refused for good, too,
and the receiver that dies is started again. The header `x-run` tells shippers apart. A line of FAULTS.seen is a request
that a shipper began.
"""

import base64
import glob
import gzip
import hashlib
import http.server
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from datetime import datetime

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

SIGNALS = {
    "/v1/traces": (
        ExportTraceServiceRequest, ExportTraceServiceResponse, "rejected_spans", "resource_spans", "scope_spans", "spans",
    ),
    "/v1/logs": (
        ExportLogsServiceRequest, ExportLogsServiceResponse, "rejected_log_records", "resource_logs", "scope_logs",
        "log_records",
    ),
}  # fmt: skip
FAULTS = ("die", "hang", "429", "503", "502", "reset", "lost")
# Events that are refused for good with all of their request, and those that are left out of a request.
POISON, REJECTED = 1997, 1499
# Seconds after which a client may have given up.
LATE = 2
MODEL_CALLS, TOOL_CALLS = ("llm.invoke", "llm.error"), ("tool.result", "tool.error")
BEGINNINGS = ("request.start", "tool.call")


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.began = time.monotonic()
        if self.server.faults:
            os.write(self.server.seen, f"{self.headers.get('x-run')}\n".encode())
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request_type, response_type, rejected_name, *names = SIGNALS[self.path]
        shown = digest_of if self.server.faults else dict_of
        records = list(records_of(request_type.FromString(body), names, shown))
        fault = random.choice(FAULTS) if random.random() < self.server.share() else ""
        if fault == "hang":
            threading.Event().wait()
        if fault in ("die", "reset"):
            return self.fail(fault)
        if fault.isdigit():
            return self.answer(int(fault), b"", {"retry-after": "1"} if fault == "429" else {})
        refuses = self.server.faults is not None
        if refuses and any(record["seq"] % POISON == 0 for record in records):
            return self.answer(400, b"")
        taken = [record for record in records if not (refuses and record["seq"] % REJECTED == 0)]
        self.keep(taken, is_acknowledged=fault != "lost")
        if fault == "lost":
            return self.fail("reset")
        response = response_type()
        if len(taken) < len(records):
            setattr(response.partial_success, rejected_name, len(records) - len(taken))
            response.partial_success.error_message = "left out"
        return self.answer(200, response.SerializeToString())

    def keep(self, records, is_acknowledged):
        is_acknowledged = is_acknowledged and time.monotonic() - self.began < LATE
        of = {"run": self.headers.get("x-run"), "is_acknowledged": is_acknowledged, "records": records}
        line = json.dumps(of) + "\n"
        # A collector sends several requests at once, and a killed receiver may not leave a part of a line.
        with self.server.lock:
            os.write(self.server.file, line.encode())

    def fail(self, how):
        if how == "die":
            os._exit(1)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in ({"content-type": "application/x-protobuf", "content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that is killed is expected."""

    def share(self):
        """The share of requests that fail now."""
        return float(open(self.faults).read()) if self.faults else 0


def receive(file, port="0", faults=None):
    parent = os.getpid()
    while faults and os.fork():
        os.wait()
    server = Server(("127.0.0.1", int(port)), Receiver)
    server.file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    server.faults, server.lock = faults, threading.Lock()
    if faults:
        server.seen = os.open(faults + ".seen", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever).start()
    # Not longer than the process that starts it again.
    while parent in (os.getpid(), os.getppid()):
        time.sleep(0.2)
    os._exit(1)


def value_of(value):
    name, of = next(iter(value.items()))
    return int(of) if name == "intValue" else of


def attributes_of(of):
    return {pair["key"]: value_of(pair["value"]) for pair in of.get("attributes", [])}


def records_of(request, names, shown):
    """Spans or log records, by the identity of their events."""
    resources, scopes, of_scope = names
    for group in getattr(request, resources):
        for scope in getattr(group, scopes):
            for record in getattr(scope, of_scope):
                own = {pair.key: pair.value for pair in record.attributes if pair.key in ("llm_audit.instance", "llm_audit.seq")}
                identity = {
                    "instance": own["llm_audit.instance"].string_value, "seq": own["llm_audit.seq"].int_value,
                }  # fmt: skip
                yield identity | shown(record, scope, group)


def dict_of(record, scope, group):
    record = MessageToDict(record)
    resource = attributes_of(MessageToDict(group.resource))
    return record | {"attributes": attributes_of(record), "resource": resource, "scope": MessageToDict(scope.scope)}


def digest_of(record, _, group):
    """What is equal in all copies: all but the span above, which a new process may know no more."""
    if hasattr(record, "parent_span_id"):
        record.parent_span_id = b""
    text = group.resource.SerializeToString() + record.SerializeToString()
    return {"digest": hashlib.sha256(text).hexdigest()}


def requests_of(file):
    with open(file, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def events_of(folder):
    """The events of the files, compressed ones too, by identity."""
    events = {}
    for path in glob.glob(folder + "/audit-*.jsonl*"):
        # A file is removed when its compressed one is there.
        if path.endswith(".tmp"):
            continue
        read = ["zstd", "-dcq", path] if path.endswith(".zst") else ["cat", path]
        for line in subprocess.run(read, check=True, capture_output=True).stdout.splitlines():
            event = json.loads(line)
            if not event["event_type"].startswith(("audit.", "alert.")):
                events[event["instance"], event["seq"]] = event
    return events


def nanos(event):
    moment = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    whole = int(moment.replace(microsecond=0).timestamp())
    return (whole * 10**6 + moment.microsecond) * 1000


def hex_of(record, name):
    return base64.b64decode(record.get(name, "")).hex()


def expected_attributes(event):
    """What the conventions have for an event; `None` for what it must not have."""
    data, kind = event.get("data", {}), event["event_type"]
    operation = "chat" if kind in MODEL_CALLS else "execute_tool" if kind in (*TOOL_CALLS, "tool.call") else None
    failed = event["status"] in ("error", "timeout")
    error = event.get("error", {}).get("type") or ({"timeout": "timeout"}.get(event["status"], "_OTHER") if failed else None)
    return {
        "gen_ai.operation.name": operation, "gen_ai.agent.name": event["agent"],
        "gen_ai.provider.name": data.get("provider"),
        "gen_ai.request.model": data.get("model") if operation == "chat" else None,
        "gen_ai.tool.name": data.get("tool", event["action"]) if operation == "execute_tool" else None,
        "gen_ai.usage.input_tokens": event.get("tokens_input"), "gen_ai.usage.output_tokens": event.get("tokens_output"),
        "http.request.method": data.get("http.method"), "http.response.status_code": data.get("http.status_code"),
        "user.id": data.get("user"), "error.type": error, "llm_audit.cost.usd": event.get("cost_usd"),
        "llm_audit.latency_ms": event.get("latency_ms"), "llm_audit.status": event["status"],
        "llm_audit.event_type": kind, "llm_audit.action": event["action"],
    }  # fmt: skip


def expected_name(event):
    attributes = expected_attributes(event)
    operation, of = attributes["gen_ai.operation.name"], attributes["gen_ai.request.model"] or attributes["gen_ai.tool.name"]
    return " ".join(filter(None, (operation, of))) if operation else event["action"]


def check_span(span, event):
    assert span["name"] == expected_name(event), (span["name"], event)
    server, client = event["event_type"] == "request.end", event["event_type"] in (*MODEL_CALLS, "api.call", "s3.write", "push.send")
    assert span["kind"] == f"SPAN_KIND_{'SERVER' if server else 'CLIENT' if client else 'INTERNAL'}", span
    assert (hex_of(span, "traceId"), hex_of(span, "spanId")) == (event["trace_id"], event["span_id"]), span
    assert int(span["endTimeUnixNano"]) == nanos(event), (span, event["timestamp"])
    took = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
    assert abs(took - event["latency_ms"] * 1e6) <= 1, (took, event["latency_ms"])
    failed = event["status"] in ("error", "timeout")
    assert (span.get("status", {}).get("code") == "STATUS_CODE_ERROR") == failed, span


def check_log(log, event):
    assert log["eventName"] == event["event_type"], log
    assert int(log["timeUnixNano"]) == nanos(event), log
    number = {"ok": "INFO", "retry": "WARN"}.get(event["status"], "ERROR")
    assert log["severityNumber"] == f"SEVERITY_NUMBER_{number}", log


def conventions(folder, file):
    events, spans, logs, seen = events_of(folder), 0, 0, set()
    for record in (record for request in requests_of(file) for record in request["records"]):
        event = events[record["instance"], record["seq"]]
        assert (record["instance"], record["seq"]) not in seen, record
        seen.add((record["instance"], record["seq"]))
        assert record["resource"]["service.name"] == "benefits", record["resource"]
        assert record["resource"]["service.instance.id"] == event["instance"], record["resource"]
        assert record["scope"]["name"] == "llm-audit", record["scope"]
        for name, value in expected_attributes(event).items():
            assert record["attributes"].get(name) == value, (name, record["attributes"].get(name), value)
        assert json.loads(record["attributes"].get("llm_audit.data", "{}")) == event.get("data", {}), record
        if "latency_ms" in event and event["event_type"] not in BEGINNINGS:
            check_span(record, event)
            spans += 1
        else:
            check_log(record, event)
            logs += 1
    assert seen == set(events) and spans and logs, (len(seen), len(events))
    print(f"ship: {spans} spans and {logs} log records, as the conventions have them")


def complete(folder, file, status):
    events, copies = events_of(folder), defaultdict(list)
    for request in requests_of(file):
        for record in request["records"]:
            copies[record["instance"], record["seq"]].append((request["run"], request["is_acknowledged"], record))
    refused = set()
    for path in glob.glob(folder + "/.ship/refused/*.jsonl"):
        with open(path, encoding="utf-8") as lines:
            refused |= {(event["instance"], event["seq"]) for event in map(json.loads, lines)}
    assert set(copies) | refused == set(events), (len(copies), len(refused), len(events))
    bad = {key for key in events if key[1] % POISON == 0 or key[1] % REJECTED == 0}
    assert bad and bad <= refused and not bad & set(copies), (bad - refused, bad & set(copies))
    with open(status, encoding="utf-8") as of:
        (counts,) = json.load(of)["destinations"]
    assert (counts["sent"], counts["refused"], counts["lost"]) == (len(events), len(bad), 0), (counts, len(events), len(bad))
    again = 0
    for of in copies.values():
        for (run, is_acknowledged, one), (next_run, _, other) in zip(of, of[1:]):
            # The position is lost only with its shipper.
            assert not is_acknowledged or run != next_run, (run, one)
            assert one == other, (one, other)
            again += 1
    runs = {run for of in copies.values() for run, _, _ in of}
    # Otherwise nothing was sent while shippers were killed.
    assert len(runs) > 10, runs
    print(f"ship: {len(events)} events, {len(copies)} arrived from {len(runs)} runs, {len(bad)} refused, {again} came again")


if __name__ == "__main__":
    {"receive": receive, "conventions": conventions, "complete": complete}[sys.argv[1]](*sys.argv[2:])
