#!/usr/bin/env bash
# Alerts go to a real Alertmanager, which it installs on Debian and Ubuntu, and from there to a webhook. The webhook
# gets one alert that fires and one that is resolved. They are the same that a webhook without Alertmanager gets, over
# TLS with an authority of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

if ! command -v prometheus-alertmanager >/dev/null; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        fail "prometheus-alertmanager is not installed; on Debian and Ubuntu: apt-get install prometheus-alertmanager"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus-alertmanager >/dev/null
fi

cargo build -q -p llm-audit-slo --features notify --example notify
notify=$(realpath "${CARGO_TARGET_DIR:-target}/debug/examples/notify")
# Nothing of the caller's shell changes where alerts go, and nothing goes through a proxy.
unset "${!AUDIT_@}"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

# A webhook, on a free port. It keeps what it gets, a line for each request, in a file for each path.
cat >"$work/receiver.py" <<'END'
import http.server, os, ssl, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(os.path.join(sys.argv[1], os.path.basename(self.path)), "ab") as file:
            file.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
if sys.argv[2] == "https":
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.path.join(sys.argv[1], "cert.pem"), os.path.join(sys.argv[1], "key.pem"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
with open(os.path.join(sys.argv[1], sys.argv[2]), "w") as file:
    file.write(f"{sys.argv[2]}://127.0.0.1:{server.server_port}\n")
server.serve_forever()
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
for scheme in http https; do
    python3 "$work/receiver.py" "$work" "$scheme" &
    started+=($!)
    until_ok "the webhook of $scheme" test -s "$work/$scheme"
done

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
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
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

# Prints the state of the alert in each line of a file: firing or resolved.
states() {
    python3 -c '
import json, sys
print(*[alert["status"] for line in open(sys.argv[1]) for alert in json.loads(line)["alerts"]])' "$work/$1"
}
has_states() { [[ $(states "$1") == "$2" ]]; }

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
