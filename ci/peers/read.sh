#!/usr/bin/env bash
# The speed of reading: llm-audit beside ripgrep or grep, jq and DuckDB, which it installs, on the same log
# and with the same answers.
#
#   ci/peers/read.sh [--size BYTES] [--runs N] [--keep]
#
# The log is made of the demo's events under target/, of 1 GB by default, and removed at the end unless
# --keep is given. All files are in the page cache. Take ratios from it, not absolutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

size=1000000000
runs=5
keep=
while (($#)); do
    case $1 in
    --size) size="${2:?"$1 needs a number of bytes"}" && shift 2 ;;
    --runs) runs="${2:?"$1 needs a number"}" && shift 2 ;;
    --keep) keep=1 && shift ;;
    *) echo "usage: read.sh [--size BYTES] [--runs N] [--keep]" >&2 && exit 2 ;;
    esac
done

target="${CARGO_TARGET_DIR:-target}"
venv="$target/read-venv"
if [[ ! -x $venv/bin/pip ]]; then
    echo "peers: installing duckdb into $venv"
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.4.2
cargo build --release -q -p llm-audit-cli

log="$target/read-$size"
if [[ ! -d $log ]]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$target/release/llm-audit" demo --dir "$work" >/dev/null
    python3 ci/peers/lines.py "$work"/audit-*.jsonl "$log" "$size"
fi
"$venv/bin/python" ci/peers/read.py "$target/release/llm-audit" "$log" --runs "$runs"
[[ -n $keep ]] || rm -rf "$log"
