#!/usr/bin/env bash
# The library builds with every set of its features, without a warning; the command also without
# `demo` and `zstd`; and what each feature adds in crates is what the README says.
set -euo pipefail
cd "$(dirname "$0")/.."

features=(macros tower axum tracing regex zstd)

crates() {
    cargo tree -e normal -p llm-audit --prefix none --format '{p}' "$@" | sed 's/ (.*//' | sort -u | wc -l
}

echo "features: every set of ${features[*]}"
export RUSTFLAGS="${RUSTFLAGS:-} -D warnings"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/features"
for ((set = 0; set < 1 << ${#features[@]}; set++)); do
    chosen=()
    for ((n = 0; n < ${#features[@]}; n++)); do
        if ((set >> n & 1)); then chosen+=("${features[n]}"); fi
    done
    list=$(IFS=,; echo "${chosen[*]:-}")
    echo "features: [$list]"
    cargo check -q -p llm-audit --no-default-features --features "$list"
done
echo "features: the command without demo and zstd"
cargo check -q -p llm-audit-cli --no-default-features

base=$(crates)
wrong=0
for feature in "${features[@]}"; do
    added=$(($(crates --features "$feature") - base))
    if ! grep -qE "^\| \`$feature\` \|.*\| $added \|$" README.md; then
        echo "features: \`$feature\` adds $added crates; README.md says otherwise" >&2
        wrong=1
    fi
done
((wrong == 0)) || exit 1
echo "features: ok"
