#!/usr/bin/env bash
# Alerts go to a real Alertmanager, which it installs on Debian and Ubuntu, and from there to a webhook. The webhook
# gets one alert that fires and one that is resolved. They are the same that a webhook without Alertmanager gets, over
# TLS with an authority of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

needs prometheus-alertmanager prometheus-alertmanager

cargo build -q -p llm-audit-slo --features notify --example notify
notify=$(realpath "${CARGO_TARGET_DIR:-target}/debug/examples/notify")
# Nothing of the caller's shell changes where alerts go, and nothing goes through a proxy.
unset "${!AUDIT_@}"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
start_webhook http
start_webhook https

# Alertmanager, which tells each alert at once. The alert that always fires goes nowhere.
cat >"$work/alertmanager.yml" <<END
route:
  receiver: webhook
  group_by: ["..."]
  group_wait: 10ms
  group_interval: 100ms
  repeat_interval: 1h
  routes: [{ receiver: nowhere, matchers: ['alertname = LlmAuditAlive'] }]
receivers:
  - name: nowhere
  - name: webhook
    webhook_configs: [{ url: "$(cat "$work/http")/through", send_resolved: true }]
END
port=$(free_port)
alertmanager="http://127.0.0.1:$port"
prometheus-alertmanager --config.file="$work/alertmanager.yml" --storage.path="$work/data" \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= --log.level=warn &
started+=($!)
until_ok "alertmanager" curl -sf -o /dev/null "$alertmanager/-/ready"

# An alert that began two minutes ago, and the same when it is resolved a minute later.
alert() {
    python3 - "$1" <<'END'
import json, sys

start, end = (json.loads(part) for part in sys.argv[1].split())
print(json.dumps({
    "rule": "error-rate", "objective": "errors", "service": "benefits", "severity": "page",
    "subject": ["user", "u_<17> \"x\" ü"], "starts_at": start, "ends_at": end,
    "summary": "6.2 % of 480 requests failed in 1h, and at most 5 % may.", "value": "6.2 %", "target": "5 %",
    "window": "1h", "traces": ["4bf92f3577b34da6a3ce929d0e0e4736"], "command": "",
}))
END
}
start=$((($(date +%s) - 120) * 1000000))

mkfifo "$work/alerts"
AUDIT_ALERTMANAGER_URL="$alertmanager" AUDIT_ALERT_WEBHOOK="$(cat "$work/https")/direct" \
    SSL_CERT_FILE="$work/cert.pem" "$notify" <"$work/alerts" &
sender=$!
started+=("$sender")
exec 3>"$work/alerts"
# Told twice, as by two evaluations.
alert "$start null" >&3
alert "$start null" >&3
until_ok "the alert that fires" has_states through firing
curl -sf "$alertmanager/api/v2/alerts" | python3 -c '
import json, sys
labels = [alert["labels"] for alert in json.load(sys.stdin)]
alive = {"alertname": "LlmAuditAlive", "service": "benefits", "severity": "none"}
sys.exit(alive not in labels or len(labels) != 2)' || fail "LlmAuditAlive does not fire beside the alert"
alert "$start $((start + 60000000))" >&3
until_ok "the resolved alert" has_states through "firing resolved"
exec 3>&-
wait "$sender" || fail "not everything was sent"

has_states direct "firing resolved" || fail "without Alertmanager the webhook got: $(states direct)"
python3 - "$work/through" "$work/direct" <<'END' || fail "the two webhooks got different alerts"
import datetime, json, sys

def alerts(path):
    found = [alert for line in open(path) for alert in json.loads(line)["alerts"]]
    for alert in found:
        for name in ("startsAt", "endsAt"):
            alert[name] = datetime.datetime.fromisoformat(alert[name])
    return found

through, direct = map(alerts, sys.argv[1:])
for name in ("status", "labels", "annotations", "startsAt", "endsAt", "fingerprint"):
    for one, other in zip(through, direct, strict=True):
        if one[name] != other[name]:
            sys.exit(f"{name}: {one[name]} and {other[name]}")
print("alertmanager: fingerprint", through[0]["fingerprint"], "labels", json.dumps(through[0]["labels"]))
END
has_states through "firing resolved" || fail "through Alertmanager the webhook got: $(states through)"
echo "alertmanager: ok"
