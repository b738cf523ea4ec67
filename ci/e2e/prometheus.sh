#!/usr/bin/env bash
# A real Prometheus scrapes the example service, which it installs on Debian and Ubuntu. What it then knows
# must be what the service did, and promtool must find nothing wrong with the page. Every query of the
# dashboard for Grafana must have an answer, and Grafana's own SDK must know its form.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

needs prometheus prometheus promtool

cargo build -q -p llm-audit-demo --bin benefits-agent
service=$(realpath "${CARGO_TARGET_DIR:-target}/debug/benefits-agent")
# Nothing of the caller's shell changes the service, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!BENEFITS_@}" "${!OPENAI_@}" TRACE_SAMPLE_RATE SUCCESS_SAMPLE_RATE

# The service, on a free port. The services it asks are in the same process, under agents of their own.
port=$(free_port)
mkdir "$work/logs"
AUDIT_LOG_DIR="$work/logs" BENEFITS_ADDRESS="127.0.0.1:$port" "$service" &
started+=($!)
until_ok "the service" curl -sf -o /dev/null "http://127.0.0.1:$port/health"

# Prometheus, which asks it four times a second.
cat >"$work/prometheus.yml" <<END
global: { scrape_interval: 250ms }
scrape_configs:
  - job_name: benefits
    static_configs: [{ targets: ["127.0.0.1:$port"] }]
END
promtool check config "$work/prometheus.yml" >/dev/null || fail "promtool refuses the configuration"
prometheus_port=$(free_port)
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address="127.0.0.1:$prometheus_port" --log.level=error &
started+=($!)
until_ok "prometheus" curl -sf -o /dev/null "http://127.0.0.1:$prometheus_port/-/ready"

requests=40
for case in $(seq "$requests"); do
    question="{\"case\": $case, \"contact\": \"ana@example.com\", \"question\": \"Is the dentist covered?\"}"
    curl -s -o /dev/null -H 'content-type: application/json' -d "$question" "http://127.0.0.1:$port/benefits/M$case" ||
        fail "request $case: no answer"
done

# Prints the value of a query, or nothing.
ask() {
    curl -sf --data-urlencode "query=$1" "http://127.0.0.1:$prometheus_port/api/v1/query" |
        python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else "")'
}
equals() { [[ $(ask "$1") == "$2" ]]; }
until_ok "$requests requests in prometheus" equals 'sum(llm_audit_requests_total{agent="benefits"})' "$requests"
until_ok "as many latencies" equals 'sum(llm_audit_request_latency_seconds_count{agent="benefits"})' "$requests"
until_ok "no request under way" equals 'llm_audit_active_traces' 0

# Everything that Prometheus knows is what the page says, once nothing happens any more.
page() { curl -sf "http://127.0.0.1:$port/metrics"; }
for query in llm_audit_llm_calls_total llm_audit_tool_calls_total llm_audit_tokens_total llm_audit_errors_total; do
    expected=$(page | awk -v name="$query" 'index($1, name "{") == 1 { sum += $NF } END { print sum + 0 }')
    ((expected > 0)) || fail "$query: none"
    until_ok "$query in prometheus" equals "sum($query)" "$expected"
    echo "prometheus: $query: $expected"
done
cost=$(ask 'sum(llm_audit_cost_usd_total)')
page | awk -v cost="$cost" '
    index($1, "llm_audit_cost_usd_total{") == 1 { sum += $NF }
    END { exit !(sum > 0 && cost > sum * 0.999999 && cost < sum * 1.000001) }
' || fail "the cost is $cost, and the page has another"
quantile=$(ask 'histogram_quantile(0.95, sum by (le) (llm_audit_request_latency_seconds_bucket))')
[[ $quantile =~ ^[0-9.]+$ ]] || fail "the 95th percentile is '$quantile'"
echo "prometheus: cost $cost USD, p95 of requests $quantile s"

# Every query of the dashboard has an answer.
make_venv dashboard 'grafana-foundation-sdk==1769699998!10.1.0'
dashboard=contrib/grafana/llm-audit.json
"$venv/bin/python" ci/e2e/dashboard.py schema "$dashboard"
until_ok "an answer to every query of the dashboard" \
    python3 ci/e2e/dashboard.py queries "$dashboard" "http://127.0.0.1:$prometheus_port"

page >"$work/page"
promtool check metrics <"$work/page" || fail "promtool finds faults in the page"
echo "prometheus: ok"
