"""Sends an export to Phoenix, and compares what Phoenix knows of it with the log.

  phoenix.py send EXPORT URL        the spans of `llm-audit export otlp-json`, as OTLP in protobuf
  phoenix.py check FOLDER URL       compares spans by kind, tokens and cost with the lines of a log
  phoenix.py page FOLDER URL        prints the address of the page of a call of a model
"""

import glob
import json
import sys
import urllib.request
from collections import Counter
from decimal import Decimal

from otlp_json import messages

KINDS = {
    "request.end": "agent", "agent.invoke": "agent", "llm.invoke": "llm", "llm.error": "llm",
    "tool.result": "tool", "tool.error": "tool",
}  # fmt: skip
BEGINNINGS = ("request.start", "tool.call")
SPANS = """{ projects { edges { node { spans(first: 1000, after: CURSOR) {
    pageInfo { hasNextPage endCursor }
    edges { node { id spanKind trace { traceId } tokenCountPrompt tokenCountCompletion costSummary { total { cost } } attributes } }
} } } } }"""


def post(url, body, content_type):
    request = urllib.request.Request(url, body, {"content-type": content_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def send(export, url):
    for message, has_spans in messages(export):
        if has_spans:
            post(url + "/v1/traces", message.SerializeToString(), "application/x-protobuf")


def ask(url, query):
    answer = json.loads(post(url + "/graphql", json.dumps({"query": query}).encode(), "application/json"))
    assert not answer.get("errors"), answer["errors"]
    return answer["data"]


def spans_of(url):
    """All spans that Phoenix has."""
    cursor, found = None, []
    while True:
        (project,) = (edge["node"] for edge in ask(url, SPANS.replace("CURSOR", json.dumps(cursor)))["projects"]["edges"])
        found += [edge["node"] for edge in project["spans"]["edges"]]
        if not project["spans"]["pageInfo"]["hasNextPage"]:
            return found
        cursor = project["spans"]["pageInfo"]["endCursor"]


def events_of(folder):
    for path in glob.glob(folder + "/*.jsonl"):
        with open(path, encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def attribute(span, *path):
    """A member of the attributes, which Phoenix nests by the dots in their names."""
    of = json.loads(span["attributes"])
    for name in path:
        of = (of or {}).get(name)
    return of


def check(folder, url):
    events = [event for event in events_of(folder) if "latency_ms" in event and event["event_type"] not in BEGINNINGS]
    found = spans_of(url)
    kinds = Counter(KINDS.get(event["event_type"], "chain") for event in events)
    assert Counter(span["spanKind"] for span in found) == kinds, (Counter(span["spanKind"] for span in found), kinds)
    assert all(kinds[kind] for kind in ("agent", "llm", "tool")), kinds
    models = [span for span in found if span["spanKind"] == "llm"]
    for figure, of in (("tokens_input", "tokenCountPrompt"), ("tokens_output", "tokenCountCompletion")):
        one, two = sum(span[of] or 0 for span in models), sum(event.get(figure, 0) for event in events)
        assert one == two, (figure, one, two)
    spent = sum(Decimal(str(event.get("cost_usd", 0))) for event in events if event["event_type"].startswith("llm."))
    # Phoenix has prices of its own, and floating point numbers.
    phoenix = sum(Decimal(str(span["costSummary"]["total"]["cost"] or 0)) for span in models if span["costSummary"])
    assert abs(phoenix - spent) < Decimal("1e-9"), (phoenix, spent)
    given = sum(Decimal(str(attribute(span, "llm", "cost", "total") or 0)) for span in models)
    assert abs(given - spent) < Decimal("1e-9"), (given, spent)
    print(f"phoenix: {dict(kinds)}, {spent} USD, as in the log")


def page(folder, url):
    calls = Counter(event["trace_id"] for event in events_of(folder) if event["event_type"] == "llm.invoke")
    trace = calls.most_common(1)[0][0]
    (project,) = (edge["node"]["id"] for edge in ask(url, "{ projects { edges { node { id } } } }")["projects"]["edges"])
    call = next(span for span in spans_of(url) if span["spanKind"] == "llm" and span["trace"]["traceId"] == trace)
    print(f"{url}/projects/{project}/traces/{trace}?selectedSpanNodeId={call['id']}")


if __name__ == "__main__":
    {"send": send, "check": check, "page": page}[sys.argv[1]](*sys.argv[2:])
