"""Checks the dashboard for Grafana. `ci/e2e/prometheus.sh` runs it.

  dashboard.py schema FILE           it has the form that Grafana's own SDK knows, and no panels overlap
  dashboard.py queries FILE URL      each query returns a series, asked of a Prometheus that scraped the demo
"""

import itertools
import json
import re
import sys
import urllib.parse
import urllib.request

# Of Grafana's variables, and of those of the dashboard with all values.
VALUES = {"$__rate_interval": "1h", "$__range": "1h", "$job": ".*", "$agent": ".*"}
WIDTH = 24


def read(file):
    with open(file, encoding="utf-8") as text:
        return json.load(text)


def lost(before, after, path):
    """What is in a document and not in the same document after a decoder and an encoder of its schema."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after[key], f"{path}.{key}") if key in after else [f"{path}.{key}"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{at}]")
    elif before != after:
        yield f"{path}: {before!r}, {after!r}"


def schema(file):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import dashboard, stat, timeseries

    def check(kind, document, path):
        encoded = json.loads(JSONEncoder().encode(kind.from_json(document)))
        faults = list(lost(document, encoded, path))
        assert not faults, faults

    register_default_plugins()
    document = read(file)
    check(dashboard.Dashboard, document, "dashboard")
    assert document["uid"] and document["schemaVersion"] >= 36, "uid, schemaVersion"
    names = {variable["name"] for variable in document["templating"]["list"]}
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels), "ids are not unique"
    for panel in (panel for panel in panels if panel["type"] != "row"):
        title, kinds = panel["title"], {"stat": stat, "timeseries": timeseries}[panel["type"]]
        check(kinds.Options, panel["options"], title)
        if "custom" in panel["fieldConfig"]["defaults"]:
            check(kinds.FieldConfig, panel["fieldConfig"]["defaults"]["custom"], title)
        for of in (panel, *panel["targets"]):
            assert of["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
        for target in panel["targets"]:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"]))
            assert used <= names | {"__rate_interval", "__range"}, (title, used)
    check_places(panels)
    print(f"dashboard: {len(panels)} panels as Grafana's schema has them")


def check_places(panels):
    for panel in panels:
        assert 0 <= panel["gridPos"]["x"] <= WIDTH - panel["gridPos"]["w"], panel["title"]
    for one, other in itertools.combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        is_above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert is_beside or is_above, (one["title"], other["title"])


def queries(file, url):
    found, empty = 0, []
    document = read(file)
    for panel in document["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for variable, value in VALUES.items():
                expression = expression.replace(variable, value)
            series = ask(url, "query", query=expression)["result"]
            known = [one for one in series if one["value"][1] != "NaN"]
            found += bool(known)
            if not known:
                empty.append((panel["title"], target["legendFormat"]))
    assert not empty, f"no series: {empty}"
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            values = ask(url, f"label/{label}/values", **{"match[]": series.replace("$job", ".*")})
            assert values, variable["name"]
    print(f"dashboard: all {found} queries have a series")


def ask(url, path, **parameters):
    """Asks Prometheus, which refuses what it cannot parse."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with opener.open(request, timeout=20) as answer:
        return json.load(answer)["data"]


if __name__ == "__main__":
    {"schema": schema, "queries": queries}[sys.argv[1]](*sys.argv[2:])
