#!/usr/bin/env bash
# Random timestamps, UUIDs, floats and ids are taken for no card: lookalikes.sh [LINES], 1,000,000 by
# default. Under `precise` one in ten million may be; how many are under `full` is told.
set -euo pipefail
cd "$(dirname "$0")/.."

lines="${1:-1000000}"
cargo build -q --release -p llm-audit-cli --no-default-features
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

status=0
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
