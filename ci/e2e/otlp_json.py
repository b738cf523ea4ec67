"""Reads what `llm-audit export otlp-json` writes, as messages of protobuf."""

import base64
import json

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TYPES = {"resourceSpans": ExportTraceServiceRequest, "resourceLogs": ExportLogsServiceRequest}
IDS = ("traceId", "spanId", "parentSpanId")


def messages(export):
    """The requests, and whether each has spans."""
    with open(export, encoding="utf-8") as lines:
        for request in map(json.loads, lines):
            (name,) = request
            yield ParseDict(with_base64(request), TYPES[name]()), name == "resourceSpans"


def with_base64(of):
    """The same with ids in base64, as protobuf has them in JSON. In OTLP they are hexadecimal."""
    if isinstance(of, list):
        return [with_base64(member) for member in of]
    if not isinstance(of, dict):
        return of
    return {name: id_of(member) if name in IDS else with_base64(member) for name, member in of.items()}


def id_of(text):
    return base64.b64encode(bytes.fromhex(text)).decode()
