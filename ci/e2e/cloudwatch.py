"""A strict stand-in of CloudWatch Logs, and what must have arrived. `ci/e2e/cloudwatch.sh` runs it.

  cloudwatch.py serve FILE [FAULT]...    prints its port; a line of JSON in FILE is an event that it stored
  cloudwatch.py strict FOLDER FILE       compares what it stored with the lines of a log
  cloudwatch.py moto FOLDER GROUP STREAM compares the events of moto with the lines of a log
  cloudwatch.py events                   prints events for `record` that try every limit

Each FAULT is what happens to one request with events, in turn. The next request of the same events succeeds.
"""

import http.server
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
REQUEST_BYTES_MAX, EVENT_BYTES, EVENTS_MAX = 1_048_576, 26, 10_000
DAY = 24 * 60 * 60 * 1000
TOO_OLD, TOO_NEW = 14 * DAY, 2 * 60 * 60 * 1000
# Faults that the service answers with, and those of the connection.
ANSWERS = {
    "expired": (400, "ExpiredTokenException"), "throttled": (400, "ThrottlingException"),
    "unavailable": (503, "ServiceUnavailableException"), "failed": (500, "InternalFailure"),
}  # fmt: skip


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return self.answer(400, {"__type": "MissingAuthenticationTokenException"})
        operation = self.headers["x-amz-target"].removeprefix("Logs_20140328.")
        with self.server.lock:
            handle = {"PutLogEvents": self.put, "CreateLogGroup": self.create, "CreateLogStream": self.create}
            hangs = handle[operation](request)
        if hangs:
            threading.Event().wait()

    def create(self, request):
        key = request["logGroupName"], request.get("logStreamName")
        if key[1] and (key[0], None) not in self.server.names:
            return self.answer(400, {"__type": "ResourceNotFoundException"})
        if key in self.server.names:
            return self.answer(400, {"__type": "ResourceAlreadyExistsException"})
        self.server.names.add(key)
        return self.answer(200, {})

    def put(self, request):
        if (request["logGroupName"], request["logStreamName"]) not in self.server.names:
            return self.answer(400, {"__type": "ResourceNotFoundException"})
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault in ANSWERS:
            status, name = ANSWERS[fault]
            return self.answer(status, {"__type": name})
        if fault == "reset":
            return self.drop()
        if wrong := wrong_with(request["logEvents"]):
            print(f"cloudwatch: refused: {wrong}", file=sys.stderr)
            return self.answer(400, {"__type": "InvalidParameterException", "message": wrong})
        answer = self.store(request["logEvents"], is_acknowledged=fault not in ("lost", "hang"))
        if fault == "lost":
            return self.drop()
        if fault == "hang":
            return True
        return self.answer(200, answer, pause=0.05 if fault == "slow" else 0)

    def store(self, events, is_acknowledged):
        now = time.time() * 1000
        first = sum(event["timestamp"] < now - TOO_OLD for event in events)
        end = len(events) - sum(event["timestamp"] > now + TOO_NEW for event in events)
        with open(self.server.file, "a", encoding="utf-8") as file:
            for event in events[first:end]:
                file.write(json.dumps(event | {"is_acknowledged": is_acknowledged}) + "\n")
        info = {"tooOldLogEventEndIndex": first} if first else {}
        info |= {"tooNewLogEventStartIndex": end} if end < len(events) else {}
        return {"rejectedLogEventsInfo": info} if info else {}

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, body, pause=0):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        for byte in body if pause else [body]:
            self.wfile.write(bytes([byte]) if pause else byte)
            time.sleep(pause)

    def log_message(self, *_):
        pass


def wrong_with(events):
    """The rule that events break, if they break one."""
    times = [event["timestamp"] for event in events]
    sizes = [len(event["message"].encode()) + EVENT_BYTES for event in events]
    rules = {
        f"{len(events)} events": 1 <= len(events) <= EVENTS_MAX,
        f"{sum(sizes)} bytes": sum(sizes) <= REQUEST_BYTES_MAX,
        "an empty message": all(event["message"] for event in events),
        "the order of time": times == sorted(times),
        "more than 24 hours": max(times) - min(times) < DAY,
    }
    return ", ".join(rule for rule, holds in rules.items() if not holds)


def serve(file, *faults):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.file, server.faults, server.names = file, list(faults), set()
    server.lock = threading.Lock()
    print(server.server_address[1], flush=True)
    server.serve_forever()


def lines_of(folder):
    """The lines of the files, in their order."""
    lines = []
    for path in sorted(Path(folder).glob("*.jsonl")):
        lines += path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line]


def time_of(line):
    """Milliseconds since the Unix epoch."""
    time = datetime.fromisoformat(json.loads(line)["timestamp"].replace("Z", "+00:00"))
    return (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)


def identity(line):
    event = json.loads(line)
    return event["instance"], event.get("seq"), event.get("notice")


def is_whole(line):
    return len(line.encode()) <= REQUEST_BYTES_MAX - EVENT_BYTES


def check_message(folder, message, line):
    """A line that is too long is cut, and says where all of it is."""
    if is_whole(line):
        assert message == line, (message[:200], line[:200])
        return
    sent, whole = json.loads(message), json.loads(line)
    place = sent.pop("cut")
    of_file = (Path(folder) / place["file"]).read_bytes()[place["offset"] :]
    assert of_file[: place["bytes"]] == line.encode() and of_file[place["bytes"] :][:1] == b"\n", place
    assert all(whole[name] == value for name, value in sent.items()), message[:200]
    assert {"trace_id", "timestamp", "event_type", "agent", "action", "status"} <= set(sent), sent


def strict(folder, file):
    lines = {identity(line): line for line in lines_of(folder)}
    refused = {identity(line) for path in Path(folder).glob(".ship/refused/*.jsonl") for line in path.read_text().splitlines()}
    with open(file, encoding="utf-8") as stored:
        events = [json.loads(line) for line in stored]
    copies = Counter(identity(event["message"]) for event in events if event["is_acknowledged"])
    for event in events:
        line = lines[identity(event["message"])]
        check_message(folder, event["message"], line)
        assert event["timestamp"] == time_of(line), line[:200]
    assert all(count == 1 for count in copies.values()), copies.most_common(3)
    assert set(copies) | refused == set(lines) and not set(copies) & refused, len(set(lines) - set(copies) - refused)
    now = time.time() * 1000
    expected = {key for key, line in lines.items() if not now - TOO_OLD <= time_of(line) <= now + TOO_NEW}
    assert refused == expected, (len(refused), len(expected))
    cut = sum(not is_whole(line) for line in lines.values())
    twice = len(events) - len(copies)
    print(f"cloudwatch: {len(copies)} events stored, {twice} of them twice, {cut} cut, {len(refused)} refused, {len(lines)} lines")
    assert cut and refused and twice


def moto(folder, group, stream):
    import boto3

    client, events, token = boto3.client("logs", os.environ["AWS_REGION"]), [], {}
    while True:
        page = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        events += page["events"]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    # Stable: events of one millisecond keep the order of the files.
    expected = sorted(lines_of(folder), key=time_of)
    assert [event["message"] for event in events] == expected, (len(events), len(expected))
    assert [event["timestamp"] for event in events] == [time_of(line) for line in expected]
    print(f"cloudwatch: moto has {len(events)} events in the order of the {len(expected)} lines")


def events():
    """Many, long ones, old ones, ones of the future, ones days apart, ones out of order, and text that is not ASCII."""
    now = datetime.now(timezone.utc)

    def event(ago, text):
        moment = (now - ago).isoformat(timespec="microseconds").replace("+00:00", "Z")
        head = {"event_type": "llm.invoke", "agent": "a", "action": "chat", "status": "ok", "timestamp": moment}
        print(json.dumps(head | {"data": {"text": text}}, ensure_ascii=False))

    for number in range(12_000):
        event(timedelta(milliseconds=12_000 - number), "short")
    for number in range(100):
        event(timedelta(hours=number), "é字😀" * 2_000)
    for number in range(10):
        event(timedelta(days=13 + number / 4), "old")
    event(timedelta(hours=-3), "of the future")
    for number in range(1_000):
        event(timedelta(seconds=number % 7), "out of order")
    for _ in range(3):
        event(timedelta(), "long " * 400_000)
    for _ in range(5):
        event(timedelta(), "x " * 120_000)


if __name__ == "__main__":
    {"serve": serve, "strict": strict, "moto": moto, "events": events}[sys.argv[1]](*sys.argv[2:])
