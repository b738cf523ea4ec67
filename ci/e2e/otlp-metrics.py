"""A receiver of OTLP metrics, and what must be in them. `ci/e2e/otlp-metrics.sh` runs it.

  otlp-metrics.py receive FILE [CERTIFICATE KEY]    prints its port; a line of JSON in FILE is a request
  otlp-metrics.py check LOG FILE SEMCONV            compares the requests with the lines of a log
"""

import glob
import gzip
import http.server
import itertools
import json
import ssl
import sys
import threading
from collections import defaultdict
from decimal import Decimal

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

# As the conventions advise them.
CALL_BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKEN_BOUNDS = [4.0**power for power in range(14)]
OWN_BOUNDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
BOUNDS = {
    "gen_ai.client.token.usage": TOKEN_BOUNDS,
    "llm_audit.write_latency": OWN_BOUNDS,
    "llm_audit.sync_latency": OWN_BOUNDS,
}
USAGE = "gen_ai.client.inference.usage."
UNITS = {
    "gen_ai.client.operation.duration": "s",
    "gen_ai.execute_tool.duration": "s",
    "llm_audit.request_latency": "s",
    "llm_audit.requests": "{request}",
    "llm_audit.llm_calls": "{call}",
    "llm_audit.tool_calls": "{call}",
    "llm_audit.events": "{event}",
    "llm_audit.errors": "{event}",
    "llm_audit.timeouts": "{event}",
    "llm_audit.retries": "{event}",
    "llm_audit.cost_usd": "{USD}",
}
TOKEN_UNITS = {
    "stable": {"llm_audit.tokens": "{token}", "gen_ai.client.token.usage": "{token}"},
    "genai-0.1": {USAGE + "input_tokens": "{token}", USAGE + "output_tokens": "{token}"},
}
# The log does not contain what the recorder counts and measures of itself, except for the ends of events.
OWN_UNITS = {
    "llm_audit.recorder_events": "{event}",
    "llm_audit.redactions": "{redaction}",
    "llm_audit.recorder_faults": "{count}",
    "llm_audit.counts": "{count}",
    "llm_audit.written": "By",
    "llm_audit.write_latency": "s",
    "llm_audit.sync_latency": "s",
}
# The service has no streamed answers, caches or reasoning of its own. Their values are not compared.
OPTIONAL_UNITS = OWN_UNITS | {
    "llm_audit.token_kinds": "{token}",
    "gen_ai.client.operation.time_to_first_chunk": "s",
    USAGE + "cache_read.input_tokens": "{token}",
    USAGE + "cache_write.input_tokens": "{token}",
    USAGE + "reasoning.output_tokens": "{token}",
}
MODEL_CALLS, TOOL_CALLS = ("llm.invoke", "llm.error"), ("tool.result", "tool.error")


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        line = json.dumps(MessageToDict(ExportMetricsServiceRequest.FromString(body))) + "\n"
        # A collector sends several requests at once.
        with self.server.lock, open(self.server.file, "a", encoding="utf-8") as file:
            file.write(line)
        self.send_response(200)
        answer = ExportMetricsServiceResponse().SerializeToString()
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def receive(file, *certificate):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.file, server.lock = file, threading.Lock()
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # Clients have to show the same one.
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def labels(attributes):
    return frozenset((pair["key"], pair["value"]["stringValue"]) for pair in attributes)


def exported(file, semconv):
    """The figures of all requests: (metric, labels) with a value, or with a count, a sum and buckets."""
    units, figures, ends, services = UNITS | TOKEN_UNITS[semconv] | OPTIONAL_UNITS, {}, {}, set()
    with open(file, encoding="utf-8") as lines:
        requests = [json.loads(line) for line in lines]
    for resource in (resource for request in requests for resource in request.get("resourceMetrics", [])):
        services.add(dict(labels(resource["resource"]["attributes"]))["service.name"])
        for metric in (metric for scope in resource["scopeMetrics"] for metric in scope["metrics"]):
            name = metric["name"]
            assert metric["unit"] == units[name], (name, metric["unit"])
            data = metric.get("sum") or metric["histogram"]
            is_delta = data["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_DELTA"
            assert is_delta == (semconv == "genai-0.1"), name
            assert data.get("isMonotonic", "histogram" in metric), name
            for point in data["dataPoints"]:
                assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"]), name
                key = (name, labels(point.get("attributes", [])))
                figure = figure_of(name, metric, point)
                end = int(point["timeUnixNano"])
                if is_delta and key in figures:
                    figures[key] = [one + two for one, two in zip(figures[key], figure)]
                # Requests of a collector may overtake each other.
                elif end >= ends.get(key, 0):
                    figures[key], ends[key] = figure, end
    assert services == {"desk"}, services
    return figures, len(requests)


def figure_of(name, metric, point):
    if "sum" in metric:
        return [Decimal(str(point.get("asInt", point.get("asDouble"))))]
    bounds = BOUNDS.get(name, CALL_BOUNDS)
    assert point["explicitBounds"] == bounds, name
    buckets = [int(count) for count in point["bucketCounts"]]
    assert len(buckets) == len(bounds) + 1 and sum(buckets) == int(point["count"]), name
    return [int(point["count"]), point["sum"], *buckets]


def recorded(folder, semconv):
    """The sums, and the values of the histograms, from the lines of a log that has every event."""
    figures = defaultdict(lambda: [Decimal(0)])
    spreads = defaultdict(list)

    def add(name, value, **labels):
        figures[name, named(labels)][0] += Decimal(str(value))

    def named(labels):
        return frozenset((name.replace("__", "."), value) for name, value in labels.items() if value)

    def add_time(name, event, **labels):
        if "latency_ms" in event:
            spreads[name, named(labels)].append(event["latency_ms"] / 1000)

    for path in glob.glob(folder + "/*.jsonl"):
        with open(path, encoding="utf-8") as lines:
            events = [event for event in map(json.loads, lines) if not event["event_type"].startswith("audit.")]
        for event in events:
            data, kind, status = event.get("data", {}), event["event_type"], event["status"]
            agent, action, tenant = event["agent"], event["action"], data.get("tenant")
            model = data.get("model") if kind in MODEL_CALLS else None
            error = {"error": "_OTHER", "timeout": "timeout"}.get(status)
            add("llm_audit.events", 1, event_type=kind, status=status)
            for name, is_so in (
                ("errors", status == "error"),
                ("timeouts", status == "timeout"),
                ("retries", status == "retry" or kind == "agent.retry"),
            ):
                if is_so:
                    add("llm_audit." + name, 1, event_type=kind, agent=agent, action=action)
            if kind == "request.end":
                add("llm_audit.requests", 1, agent=agent, action=action, tenant=tenant, status=status)
                add_time("llm_audit.request_latency", event, agent=agent, action=action)
            if kind in TOOL_CALLS:
                add("llm_audit.tool_calls", 1, agent=agent, action=action, tenant=tenant, status=status)
                names = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": action}
                names |= {"gen_ai__agent__name": agent, "error__type": error}
                add_time("gen_ai.execute_tool.duration", event, **names)
            if kind in MODEL_CALLS:
                by = {"agent": agent, "model": model, "tenant": tenant}
                add("llm_audit.llm_calls", 1, action=action, status=status, **by)
                names = {"gen_ai__operation__name": "chat", "gen_ai__request__model": model}
                names |= {"gen_ai__agent__name": agent}
                add_time("gen_ai.client.operation.duration", event, error__type=error, **names)
                if event.get("cost_usd"):
                    add("llm_audit.cost_usd", event["cost_usd"], **by)
                for direction in ("input", "output"):
                    tokens = event.get("tokens_" + direction, 0)
                    if "tokens_" + direction in event and semconv == "stable":
                        spreads["gen_ai.client.token.usage", named(names | {"gen_ai__token__type": direction})].append(tokens)
                    if tokens and semconv == "stable":
                        add("llm_audit.tokens", tokens, direction=direction, **by)
                    elif tokens:
                        add(f"{USAGE}{direction}_tokens", tokens, gen_ai__token__modality="unknown", **names)
    return dict(figures), dict(spreads)


def check(folder, file, semconv):
    found, requests = exported(file, semconv)
    own = {name for name, _ in found} & set(OWN_UNITS)
    # The service asks for no counter of its own.
    assert own | {"llm_audit.counts", "llm_audit.recorder_faults"} == set(OWN_UNITS), own
    found = {key: figure for key, figure in found.items() if key[0] not in OPTIONAL_UNITS}
    sums, spreads = recorded(folder, semconv)
    assert set(found) == set(sums) | set(spreads), set(found) ^ (set(sums) | set(spreads))
    for key, (expected,) in sums.items():
        # Money is a floating point number in OTLP.
        assert abs(found[key][0] - expected) <= abs(expected) * Decimal("1e-12"), (key, found[key], expected)
    for key, values in spreads.items():
        (count, total, *buckets), expected = found[key], sum(values)
        assert count == len(values) and abs(total - expected) <= expected * 1e-3 + 1e-6 * count, (key, total, expected)
        for bound, below in zip(BOUNDS.get(key[0], CALL_BOUNDS), itertools.accumulate(buckets)):
            # A time just over the edge of a bucket may be in it: times are kept within 0.1 %.
            least, most = (sum(value <= edge for value in values) for edge in (bound, bound * 1.001 + 1e-6))
            assert least <= below <= most, (key, bound, below, sorted(values))
    missing = set(UNITS | TOKEN_UNITS[semconv]) - {name for name, _ in found} - {"llm_audit.retries"}
    assert not missing, missing
    calls = sum(found[key][0] for key in found if key[0] == "llm_audit.llm_calls")
    print(f"otlp-metrics: {semconv}: {requests} requests, {len(found)} series, {calls} model calls as in the log")


if __name__ == "__main__":
    {"receive": receive, "check": check}[sys.argv[1]](*sys.argv[2:])
