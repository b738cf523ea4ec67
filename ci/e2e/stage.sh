#!/usr/bin/env bash
# The model of the example service fails for a while. The alert fires in a real Prometheus, by the rules that `slo
# rules` writes, and goes through a real Alertmanager to a webhook. It also fires in the service, which tells another
# webhook, with the same labels and within two evaluations. Then both are resolved. It installs Prometheus and
# Alertmanager on Debian and Ubuntu.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

needs prometheus prometheus promtool
needs prometheus-alertmanager prometheus-alertmanager

cargo build -q -p llm-audit-demo --features alerts --bin benefits-agent
cargo build -q -p llm-audit-cli
bin=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
# Nothing of the caller's shell changes the service, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!BENEFITS_@}" "${!OPENAI_@}" "${!OTEL_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

# One rule, with the shortest window. Its objective is about the model, since the service answers in any case.
cat >"$work/slo.toml" <<END
[[objective]]
name = "model-errors"
indicator = "ratio"
of = { type = ["llm.invoke", "llm.error"] }
bad = { status = ["error", "timeout"] }
target = 0.9
window = "1d"

[[rule]]
name = "model-errors-high"
objective = "model-errors"
above = 0.5
window = "1m"
min_bad = 5
severity = "page"
END

start_webhook http
webhook=$(cat "$work/http")

port=$(free_port)
service="http://127.0.0.1:$port"
mkdir "$work/logs"
AUDIT_LOG_DIR="$work/logs" AUDIT_SLO_FILE="$work/slo.toml" AUDIT_ALERT_WEBHOOK="$webhook/engine" \
    OTEL_SERVICE_NAME=benefits BENEFITS_ADDRESS="127.0.0.1:$port" "$bin/benefits-agent" &
started+=($!)
until_ok "the service" curl -sf -o /dev/null "$service/health"

# Alertmanager, which tells each alert at once.
cat >"$work/alertmanager.yml" <<END
route: { receiver: webhook, group_by: ["..."], group_wait: 10ms, group_interval: 100ms, repeat_interval: 1h }
receivers:
  - name: webhook
    webhook_configs: [{ url: "$webhook/prometheus", send_resolved: true }]
END
alertmanager_port=$(free_port)
prometheus-alertmanager --config.file="$work/alertmanager.yml" --storage.path="$work/alertmanager" \
    --web.listen-address="127.0.0.1:$alertmanager_port" --cluster.listen-address= --log.level=warn &
started+=($!)
until_ok "alertmanager" curl -sf -o /dev/null "http://127.0.0.1:$alertmanager_port/-/ready"

# Prometheus, which scrapes every second and evaluates every five. In a service it is a minute.
"$bin/llm-audit" slo rules --file "$work/slo.toml" --service benefits --match 'job="benefits"' |
    sed 's/interval: 1m/interval: 5s/' >"$work/rules.yml"
promtool check rules "$work/rules.yml" >/dev/null || fail "promtool refuses the rules"
cat >"$work/prometheus.yml" <<END
global: { scrape_interval: 1s }
rule_files: ["$work/rules.yml"]
alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:$alertmanager_port"] }] }] }
scrape_configs:
  - job_name: benefits
    static_configs: [{ targets: ["127.0.0.1:$port"] }]
END
prometheus_port=$(free_port)
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus-data" \
    --web.listen-address="127.0.0.1:$prometheus_port" --log.level=error &
started+=($!)
until_ok "prometheus" curl -sf -o /dev/null "http://127.0.0.1:$prometheus_port/-/ready"

# Prints the answer to a question. The stand-in for the model does what the number of the case says.
ask() {
    local question="{\"case\": $1, \"contact\": \"ana@example.com\", \"question\": \"Is the dentist covered?\"}"
    curl -sf -H 'content-type: application/json' -d "$question" "$service/benefits/M$1"
}
bad_events() {
    curl -sf "$service/metrics" | awk '/^llm_audit_slo_events_total\{.*result="bad"/ { sum += $NF } END { print sum + 0 }'
}

# A case in which no model answers, and one in which nothing fails.
failing='' fine=''
for case in $(seq 0 19); do
    before=$(bad_events)
    answer=$(ask "$case")
    if [[ $answer == *"will answer it by mail"* ]]; then
        failing=$case
    elif [[ $(bad_events) == "$before" ]]; then
        fine=$case
    fi
done
[[ -n $failing && -n $fine ]] || fail "no case fails, or none goes well"

# Asks questions of this case until a command succeeds, at most for five minutes. Two evaluations take two.
ask_until() {
    local case=$1 until=$((SECONDS + 300))
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS < until)) || fail "$*: not in time. engine: $(states engine), prometheus: $(states prometheus)"
        ask "$case" >/dev/null || fail "case $case: no answer"
    done
}
both() { has_states engine "$1" && has_states prometheus "$1"; }

began=$SECONDS
ask_until "$failing" both firing
echo "stage: both fire after $((SECONDS - began)) s"
curl -sf "$service/health" | python3 -c '
import json, sys
health = json.load(sys.stdin)
assert health["status"] == "ok", health
assert [firing["rule"] for firing in health["alerts"]["firing"]] == ["model-errors-high"], health' ||
    fail "the page of health lacks the alert"
began=$SECONDS
ask_until "$fine" both "firing resolved"
echo "stage: both are resolved after $((SECONDS - began)) s"

python3 - "$work/engine" "$work/prometheus" <<'END' || fail "the alerts differ"
import datetime, json, sys

def alerts(path):
    return [alert for line in open(path) for alert in json.loads(line)["alerts"]]

def time(alert, name):
    return datetime.datetime.fromisoformat(alert[name])

for engine, prometheus in zip(*map(alerts, sys.argv[1:]), strict=True):
    if engine["labels"] != prometheus["labels"]:
        sys.exit(f"labels: {engine['labels']} and {prometheus['labels']}")
    apart = abs((time(engine, "startsAt") - time(prometheus, "startsAt")).total_seconds())
    # Two evaluations of the engine, which come every minute.
    if apart > 120:
        sys.exit(f"the alerts began {apart} s apart")
print("stage: labels", json.dumps(engine["labels"]), f"began {apart:.0f} s apart")
END

# The log says so, too, and is whole.
for state in fired resolved; do
    lines=$("$bin/llm-audit" tail --dir "$work/logs" --type "alert.$state" --json | grep -c model-errors-high) || true
    [[ $lines == 1 ]] || fail "the log has $lines lines of alert.$state"
done
"$bin/llm-audit" verify --dir "$work/logs" >/dev/null || fail "verify finds something in the log"
echo "stage: ok"
