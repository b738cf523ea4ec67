#!/usr/bin/env python3
"""Sends what no client should to `llm-audit receive`, kills it under load, and exports with OpenTelemetry's SDK.

usage: receive.py kills|sdk LLM_AUDIT DIR
       receive.py malformed LLM_AUDIT DIR REQUESTS
"""

import gzip
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

KILLS = 5
# What all requests together may take: bodies, decoded requests, the queue, and the program itself.
MEMORY_MIB_MAX = 448
MIB = 1 << 20


class Receiver:
    """A running `receive`."""

    def __init__(self, program, folder):
        command = [program, "receive", "--listen", "127.0.0.1:0", "--dir", folder, "--json"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AUDIT_")}
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        host, port = self.process.stderr.readline().strip().rsplit("http://")[1].split(":")
        self.address = (host, int(port))
        self.url = f"http://{host}:{port}"

    def health(self):
        with urllib.request.urlopen(self.url + "/health", timeout=20) as answer:
            return json.load(answer)["status"]

    def memory_peak(self):
        """Returns the peak in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def stop(self):
        """Ends it by SIGTERM, and returns its exit code and its accounting."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert all("further ones are counted as" in line for line in err.splitlines()), err
        return self.process.returncode, json.loads(out)

    def send(self, *parts, shut=False):
        """Sends bytes, and returns the status, or None if the connection was closed without one."""
        with socket.create_connection(self.address, timeout=60) as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                if shut:
                    connection.shutdown(socket.SHUT_WR)
                head = connection.recv(4096)
            except (BrokenPipeError, ConnectionResetError):
                return None
        return int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else None

    def post(self, path, body, media_type="application/x-protobuf", encoding=None):
        return self.send(head_of(path, len(body), media_type, encoding) + body)


def head_of(path, length, media_type="application/x-protobuf", encoding=None):
    packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{packed}"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def logs_of(ids):
    """Returns a request with a log record for each id."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "load"
    scope = resource.scope_logs.add()
    for number, name in enumerate(ids):
        record = scope.log_records.add(event_name="load.event", time_unix_nano=1_790_000_000_000_000_000 + number)
        record.trace_id = random.randbytes(16)
        record.span_id = random.randbytes(8)
        record.attributes.add(key="id").value.string_value = name
    return request


def field(number, inner):
    """Returns a field of protobuf that contains these bytes."""
    length, varint = len(inner), b""
    while length > 0x7F:
        varint += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([length]) + inner


def in_log_record(inner):
    return field(1, field(2, field(2, inner)))


def nested_value(depth):
    """Returns lists in lists, as the body of a log record."""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return in_log_record(field(5, value))


def malformed_cases(draw):
    """Returns pairs of what to send and the statuses that are right."""
    valid = logs_of([f"valid-{number}" for number in range(20)]).SerializeToString()
    bomb = gzip.compress(bytes(512 * MIB), compresslevel=9)
    text = field(1, b"x")

    def random_bytes(receiver):
        return receiver.post("/v1/logs", draw.randbytes(draw.randrange(1, 2_000)))

    def cut_protobuf(receiver):
        body = valid[: draw.randrange(1, len(valid))]
        return receiver.post("/v1/logs", body)

    def mutated(receiver):
        body = bytearray(valid)
        for _ in range(draw.randrange(1, 20)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        return receiver.post(draw.choice(["/v1/logs", "/v1/traces", "/v1/metrics"]), bytes(body))

    def mutated_json(receiver):
        body = bytearray(b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"00ff","body":{"intValue":"1"}}]}]}]}')
        body[draw.randrange(len(body))] = draw.randrange(256)
        return receiver.post("/v1/logs", bytes(body), "application/json")

    def mutated_gzip(receiver):
        body = bytearray(gzip.compress(valid))
        body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
        return receiver.post("/v1/logs", bytes(body), encoding="gzip")

    def cut_gzip(receiver):
        body = gzip.compress(valid)
        return receiver.post("/v1/logs", body[: draw.randrange(1, len(body) - 1)], encoding="gzip")

    def deep_json(receiver):
        depth = draw.randrange(200, 100_000)
        body = b'{"resourceLogs":' + draw.choice([b"[", b'{"a":']) * depth
        return receiver.post("/v1/logs", body, "application/json")

    def random_http(receiver):
        return receiver.send(draw.randbytes(draw.randrange(1, 500)) + b"\r\n\r\n", shut=True)

    def short_body(receiver):
        return receiver.send(head_of("/v1/logs", len(valid) + draw.randrange(1, 999)) + valid, shut=True)

    def bad_chunks(receiver):
        head = head_of("/v1/logs", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        return receiver.send(head + b"zz\r\nxx\r\n", shut=True)

    def endless_chunks(receiver):
        head = head_of("/v1/logs", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"100000\r\n" + bytes(MIB) + b"\r\n"
        return receiver.send(head, *[chunk] * 20)

    def two_lengths(receiver):
        head = head_of("/v1/logs", 5).replace(b"\r\n\r\n", b"\r\nContent-Length: 6\r\n\r\n")
        return receiver.send(head + b"x" * 5, shut=True)

    def many_headers(receiver):
        more = b"".join(b"X-%d: y\r\n" % number for number in range(500))
        return receiver.send(head_of("/v1/logs", 0)[:-2] + more + b"\r\n", shut=True)

    def post(path, body, *more):
        return lambda receiver: receiver.post(path, body, *more)

    # A connection whose head cannot be parsed may be closed without an answer.
    return [
        (random_bytes, {200, 400}),
        (cut_protobuf, {200, 400}),
        (mutated, {200, 400}),
        (mutated_json, {200, 400}),
        (mutated_gzip, {200, 400}),
        (cut_gzip, {400}),
        (deep_json, {400, 413}),
        (random_http, {400, 414, 431, None}),
        (short_body, {400, None}),
        (bad_chunks, {400, None}),
        (endless_chunks, {413, None}),
        (two_lengths, {400, None}),
        (many_headers, {431, None}),
        (post("/v1/logs", bomb, "application/x-protobuf", "gzip"), {413}),
        (post("/v1/traces", bomb, "application/x-protobuf", "gzip"), {413}),
        (post("/v1/logs", nested_value(50)), {400}),
        (post("/v1/logs", nested_value(100_000)), {400}),
        (post("/v1/logs", nested_value(30)), {200}),
        (post("/v1/logs", field(1, field(2, bytes([0x12, 0]) * MIB))), {413}),
        (post("/v1/logs", in_log_record(bytes([0x32, 0]) * MIB * 3)), {413}),
        (post("/v1/logs", in_log_record(bytes([0x32, 0]) * 2_000)), {200}),
        (post("/v1/logs", field(1, field(1, field(3, bytes([0x1A, 0]) * MIB * 3)))), {413}),
        (post("/v1/logs", in_log_record(field(5, field(1, b"\xff\xfe")))), {400}),
        (post("/v1/logs", b'{"resourceLogs":[' + b"{}," * MIB + b"{}]}", "application/json"), {413}),
        (post("/v1/logs", b"[" * MIB, "application/json"), {400, 413}),
        (post("/v1/logs", bytes(9 * MIB)), {413, None}),
        (post("/v1/logs", text, "text/plain"), {415}),
        (post("/v1/logs", text, "application/x-protobuf", "deflate"), {415}),
        (post("/v1/logs", text, "application/x-protobuf", "gzip"), {400}),
        (post("/v1/none", text), {404}),
    ]


def slow_body(receiver):
    """Sends a part of a body and waits."""
    return receiver.send(head_of("/v1/logs", 1_000) + b"x")


def check_malformed(program, folder, requests):
    receiver = Receiver(program, folder)
    draw = random.Random(21)
    cases = malformed_cases(draw)
    seen, wrong = Counter(), []

    def one(number):
        case, right = (slow_body, {503}) if number % 40 == 0 else cases[number % len(cases)]
        status = case(receiver)
        # Otherwise 503 says that the memory for bodies is taken. A client tries again.
        while status == 503 and 503 not in right:
            status = case(receiver)
        seen[status] += 1
        if status not in right:
            wrong.append((number, getattr(case, "__name__", "post"), number % len(cases), status, right))

    with ThreadPoolExecutor(16) as senders:
        list(senders.map(one, range(int(requests))))
    assert not wrong, wrong[:10]
    assert receiver.process.poll() is None
    assert receiver.health() == "ok"
    peak = receiver.memory_peak()
    code, accounting = receiver.stop()
    assert code == 0, (code, accounting)
    assert accounting["emitted"] == accounting["written"], accounting
    assert peak < MEMORY_MIB_MAX * MIB, f"{peak / MIB:.0f} MiB"
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(seen.items(), key=str))
    print(f"receive: {requests} malformed requests, by status: {statuses}; peak {peak / MIB:.0f} MiB")


def check_kills(program, folder):
    acknowledged, draw = [], random.Random(22)
    for round_number in range(KILLS):
        receiver = Receiver(program, folder)
        enough = len(acknowledged) + draw.randrange(500, 5_000)
        reached = threading.Event()

        def send_until_killed(sender):
            for number in range(1_000_000):
                ids = [f"k-{round_number}-{sender}-{number}-{at}" for at in range(50)]
                body = logs_of(ids).SerializeToString()
                try:
                    if receiver.post("/v1/logs", body) != 200:
                        return
                except OSError:
                    return
                acknowledged.extend(ids)
                if len(acknowledged) >= enough:
                    reached.set()

        senders = [threading.Thread(target=send_until_killed, args=(sender,)) for sender in range(4)]
        for sender in senders:
            sender.start()
        assert reached.wait(120), "no load"
        receiver.process.kill()
        receiver.process.communicate()
        for sender in senders:
            sender.join()
    lines = "".join(path.read_text(errors="replace") for path in Path(folder).glob("audit-*.jsonl"))
    written = Counter(part.split('"')[0] for part in lines.split('"k-')[1:])
    missing = [name for name in acknowledged if name[2:] not in written]
    assert not missing, (len(missing), missing[:5])
    assert max(written.values()) == 1, written.most_common(3)
    print(f"receive: {KILLS} kills under load: all {len(acknowledged)} acknowledged events are in the log, once")


def check_sdk(program, folder):
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    receiver = Receiver(program, folder)
    resource = Resource({"service.name": "sdk"})
    ids = []
    for compression in [Compression.NoCompression, Compression.Gzip]:
        tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
        spans = OTLPSpanExporter(receiver.url + "/v1/traces", compression=compression)
        logs = OTLPLogExporter(receiver.url + "/v1/logs", compression=compression)
        tracers.add_span_processor(BatchSpanProcessor(spans))
        loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
        tracer, logger = tracers.get_tracer("test"), loggers.get_logger("test")
        for number in range(1_000):
            name = f"sdk-{compression.value}-{number}"
            with tracer.start_as_current_span(f"chat {number}") as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.request.model", "gpt-5")
                span.set_attribute("request.name", name + "-span")
                record = LogRecord(
                    event_name="test.event", body="text", severity_number=SeverityNumber.INFO,
                    attributes={"request.name": name + "-log", "list": [1, 2], "bytes": b"\xff"},
                )
                logger.emit(record)
            ids += [name + "-span", name + "-log"]
        assert tracers.force_flush() and loggers.force_flush()
        tracers.shutdown()
        loggers.shutdown()
    lines = "".join(path.read_text() for path in Path(folder).glob("audit-*.jsonl"))
    for name in ids:
        assert lines.count(f'"{name}"') == 1, name
    code, accounting = receiver.stop()
    assert code == 0 and accounting["written"] == len(ids), accounting
    print(f"receive: the SDK's {len(ids)} spans and log records are in the log, once")


if __name__ == "__main__":
    checks = {"malformed": check_malformed, "kills": check_kills, "sdk": check_sdk}
    checks[sys.argv[1]](*sys.argv[2:])
