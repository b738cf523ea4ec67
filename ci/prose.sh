#!/usr/bin/env bash
# Measures the prose of the project against fixed limits: Markdown, comments, documentation.
#   prose.sh [--list] [PATH]...
# Without a path the whole project is judged, and the exit code is 1 if it misses a limit.
# With paths only these are measured. `--list` prints each offending sentence with file and line.
set -euo pipefail
cd "$(dirname "$0")/.."

exec python3 ci/prose.py "$@"
