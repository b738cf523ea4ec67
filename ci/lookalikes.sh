#!/usr/bin/env bash
# Random timestamps, UUIDs, floats and ids are not redacted: lookalikes.sh [LINES], 1,000,000 by default.
# Under `precise` one in ten million may be. Of the exceptions of the floor (UUIDs, ids of spans,
# fractions, named times in microseconds) none may be, under either profile.
set -euo pipefail
cd "$(dirname "$0")/.."

lines="${1:-1000000}"
cargo build -q --release -p llm-audit-cli
command="${CARGO_TARGET_DIR:-target}/release/llm-audit"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "lookalikes: $lines lines"
python3 - "$lines" >"$work/lines" <<'PYTHON'
import random, sys

rng = random.Random(20261125)
hexadecimal = "0123456789abcdef"


def digits(count, of=hexadecimal):
    return "".join(rng.choices(of, k=count))


def uuid():
    return "-".join(digits(count) for count in (8, 4, 4, 4, 12))


makes = [
    lambda: f"at {rng.randrange(1_500_000_000_000, 1_900_000_000_000)} ms",
    lambda: f"at {rng.randrange(1_500_000_000_000_000, 1_900_000_000_000_000)} us",
    lambda: f"at {rng.randrange(1_500_000_000_000_000_000, 1_900_000_000_000_000_000)} ns",
    lambda: f"id {uuid()} done",
    lambda: f"value {rng.random()!r}",
    lambda: f"value {rng.uniform(-1e6, 1e6)!r}",
    lambda: f"commit {digits(40)}",
    lambda: f"trace {digits(32)} span {digits(16)}",
    lambda: f"01J{digits(23, '0123456789ABCDEFGHJKMNPQRSTVWXYZ')}",
    lambda: f"req_{digits(24, '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')}",
]
for at in range(int(sys.argv[1])):
    print(makes[at % len(makes)]())
PYTHON

echo "lookalikes: $lines exceptions of the floor"
python3 - "$lines" >"$work/exceptions" <<'PYTHON'
import random, sys

rng = random.Random(20261129)


def digits(count):
    # One in three has decimal digits alone, which the floor's rule for cards looks for.
    of = "0123456789" if rng.random() < 1 / 3 else "0123456789abcdef"
    return "".join(rng.choices(of, k=count))


def uuid(version):
    text = f"{digits(8)}-{digits(4)}-{version}{digits(3)}-{rng.choice('89ab')}{digits(3)}-{digits(12)}"
    return text.upper() if rng.random() < 0.2 else text


def uuid7():
    time = f"{rng.randrange(1_600_000_000_000, 2_000_000_000_000):012x}"
    return f"{time[:8]}-{time[8:]}-7{uuid(4)[15:]}"


def decimal(count):
    return "".join(rng.choices("0123456789", k=count))


def time():
    return rng.randrange(1_500_000_000_000_000, 2_100_000_000_000_000)


makes = [
    lambda: f"request {uuid(4)} done",
    lambda: f'{{"id": "{uuid(4)}", "parent": "{uuid7()}"}}',
    lambda: f"GET /v1/items/{uuid7()}/parts 200",
    lambda: f"trace_id={digits(32)} span_id={decimal(16)} ok",
    lambda: f'{{"traceId": "{digits(32)}", "spanId": "{decimal(16)}", "parentSpanId": "{decimal(16)}"}}',
    lambda: f'{{"trace_id": "{digits(32)}", "span_id": "{digits(16)}"}}',
    lambda: f"traceparent: 00-{'a' + digits(31)}-{decimal(16)}-01",
    lambda: f"loss=0.{decimal(16)} acc={rng.randrange(10)}.{decimal(16)}",
    lambda: f'{{"msg": "score {rng.random()!r}", "emb": [{rng.random()!r}, -{rng.random()!r}]}}',
    lambda: f"ts={time()} done",
    lambda: f'{{"start": "{time()}", "end_us": "{time()}", "created_at": {time()}}}',
    lambda: f"started at {time()}, until {time()}",
]
for at in range(int(sys.argv[1])):
    print(makes[at % len(makes)]())
PYTHON

status=0
for profile in precise full; do
    "$command" redact --profile "$profile" <"$work/exceptions" >"$work/redacted"
    touched=$(diff --speed-large-files "$work/exceptions" "$work/redacted" | grep -c '^>' || true)
    echo "lookalikes: $profile: $touched exceptions redacted"
    ((touched == 0)) || {
        diff "$work/exceptions" "$work/redacted" | grep '^>' | head -n 5 || true
        status=1
    }
done
for profile in precise full; do
    found=$("$command" scan --profile "$profile" --limit 0 "$work/lines" || true)
    echo "lookalikes: $profile: $found"
    if [[ $profile == precise ]]; then
        # Nothing at all of what is not a card.
        count=$(sed -n 's/.*: card \([0-9]*\)$/\1/p' <<<"$found")
        allowed=$(((lines + 9999999) / 10000000))
        [[ $found == nothing* ]] || { [[ -n $count ]] && ((count <= allowed)); } || status=1
    fi
done
((status == 0)) || { echo "lookalikes: FAILED" >&2; exit 1; }
echo "lookalikes: ok"
