#!/usr/bin/env bash
# Alerts go to a topic of SNS, which moto plays: a queue that subscribes to the topic gets one message when an alert
# fires and one when it is resolved.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

cargo build -q -p llm-audit-slo --features sns --example notify
notify=$(realpath "${CARGO_TARGET_DIR:-target}/debug/examples/notify")
cargo test -q -p llm-audit-slo --features sns --test notify topic
# Nothing of the caller's shell changes where alerts go, and nothing goes through a proxy.
unset "${!AUDIT_@}" "${!AWS_@}"
start_moto

# The topic names its region: another one than that of the environment.
cat >"$work/topic.py" <<'END'
import json, sys

import boto3

sns, sqs = boto3.client("sns", "eu-west-1"), boto3.client("sqs", "eu-west-1")


def create(suffix):
    fifo = {"FifoTopic": "true"} if suffix else {}
    topic = sns.create_topic(Name=f"alerts{suffix}", Attributes=fifo)["TopicArn"]
    fifo = {"FifoQueue": "true"} if suffix else {}
    queue = sqs.create_queue(QueueName=f"alerts{suffix}", Attributes=fifo)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    print(topic)


def check(suffix):
    queue = sqs.get_queue_url(QueueName=f"alerts{suffix}")["QueueUrl"]
    told = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    seen = []
    for notification in told:
        payload = json.loads(notification["Message"])
        attributes = {name: of["Value"] for name, of in notification["MessageAttributes"].items()}
        seen.append((notification["Subject"], payload["status"], payload["alerts"][0]["labels"]["alertname"], attributes))
    expected = [
        (f"[{status.upper()}] error-rate of benefits", status, "error-rate", {"status": status, "severity": "page"})
        for status in ("firing", "resolved")
    ]
    # A queue that is not FIFO promises no order.
    if sorted(seen, key=lambda one: one[1]) != expected:
        sys.exit(f"expected {expected}, got {seen}")
    print(*(one[0] for one in seen), sep="\n")


{"create": create, "check": check}[sys.argv[1]](sys.argv[2])
END

for suffix in "" .fifo; do
    topic=$("$moto_python" "$work/topic.py" create "$suffix")
    [[ $topic == arn:aws:sns:eu-west-1:* ]] || fail "the topic is '$topic'"
    start=$((($(date +%s) - 120) * 1000000))
    # Told twice each, as by two evaluations.
    for end in null null $((start + 60000000)) $((start + 60000000)); do
        printf '{"rule": "error-rate", "objective": "errors", "service": "benefits", "severity": "page", '
        printf '"subject": null, "starts_at": %s, "ends_at": %s, "summary": "6.2 %% failed.", ' "$start" "$end"
        printf '"value": "6.2 %%", "target": "5 %%", "window": "1h", "traces": [], "command": ""}\n'
    done | AUDIT_ALERT_SNS_TOPIC="$topic" "$notify" || fail "$topic: not everything was sent"
    "$moto_python" "$work/topic.py" check "$suffix" || fail "$topic: wrong messages"
done
echo "sns: ok"
