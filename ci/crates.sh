#!/usr/bin/env bash
# Who uses the library builds at most 40 crates, the library included, with default features.
set -euo pipefail
cd "$(dirname "$0")/.."

crates_max=40
tree=$(cargo tree -e normal -p llm-audit --prefix none --format '{p}')
crates=$(sed 's/ (.*//' <<<"$tree" | sort -u)
count=$(wc -l <<<"$crates")
echo "crates: $count of at most $crates_max"
if ((count > crates_max)); then
    echo "$crates" >&2
    exit 1
fi
echo "crates: ok"
