#!/usr/bin/env bash
# A user of the library builds at most 46 crates of others with default features. The crates of this
# workspace do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

crates_max=46
tree=$(cargo tree -e normal -p llm-audit --prefix none --format '{p}')
crates=$(sed 's/ (.*//' <<<"$tree" | grep -v '^llm-audit' | sort -u)
count=$(wc -l <<<"$crates")
echo "crates: $count of others, at most $crates_max"
if ((count > crates_max)); then
    echo "$crates" >&2
    exit 1
fi
echo "crates: ok"
