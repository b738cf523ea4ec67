#!/usr/bin/env bash
# The aims of speed and what this machine reaches, in one table. It runs the benches and the other loggers, and
# installs valgrind, strace and jq if it may. Forty minutes on two cores, with the builds; nothing else should run.
#
#   ci/peers/speed.sh [--only ROWS]...    ROWS: instructions, loggers, service, threads, pipeline, command, ring
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
for tool in valgrind strace jq; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        echo "speed: not installed: ${missing[*]}; on Debian and Ubuntu: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
fi
exec python3 ci/peers/speed.py "$@"
