#!/usr/bin/env bash
# The library builds without features, with each alone and with every pair that shares code, without a warning. Its
# crates and the command build with and without theirs. Each feature adds the crates of others that
# the table of features says. Features of other crates that change what serde_json serializes change
# no record.
set -euo pipefail
cd "$(dirname "$0")/.."

# These record, and share code. So each is built with each other one. `axum` and `reqwest` bring `tower`.
recording=(macros axum rmcp tracing replay reqwest)
features=("${recording[@]}" tower alerts cloudwatch cloudwatch-logs gzip otlp otlp-grpc prometheus regex slo sns zstd)

# The number of crates of others in the library's tree.
crates() {
    cargo tree -e normal -p llm-audit --prefix none --format '{p}' "$@" | sed 's/ (.*//' |
        grep -v '^llm-audit' | sort -u | wc -l
}

# In the target of the other gates, which have checked most of the dependencies. Cargo says nothing but warnings.
check() {
    local said
    echo "features: $*"
    said=$(cargo check -q -p "$@" 2>&1) && [[ -z $said ]] && return
    echo "$said" >&2
    exit 1
}

pages=(README.md)
for page in docs/*.md; do
    if [[ -e $page ]]; then pages+=("$page"); fi
done
base=$(crates)
wrong=0
for feature in "${features[@]}"; do
    added=$(($(crates --features "$feature") - base))
    if ! grep -qE "^\| \`$feature\` \|.*\| $added \|$" "${pages[@]}"; then
        echo "features: \`$feature\` adds $added crates; no table of ${pages[*]} says so" >&2
        wrong=1
    fi
done
((wrong == 0)) || exit 1

check llm-audit
for feature in "${features[@]}"; do
    check llm-audit --features "$feature"
done
for ((one = 0; one < ${#recording[@]}; one++)); do
    for ((two = one + 1; two < ${#recording[@]}; two++)); do
        check llm-audit --features "${recording[one]},${recording[two]}"
    done
done
check llm-audit --features axum,prometheus
check llm-audit --features prometheus,slo
check llm-audit --features alerts,axum,prometheus
check llm-audit --features gzip,zstd
check llm-audit-log
check llm-audit-log --features gzip
check llm-audit-log --features zstd
check llm-audit-log --features replay
check llm-audit-ship
check llm-audit-ship --features cloudwatch
check llm-audit-ship --features cloudwatch-logs
check llm-audit-ship --features otlp
check llm-audit-ship --features otlp-grpc
check llm-audit-receive
check llm-audit-redact
check llm-audit-redact --features regex
check llm-audit-slo
check llm-audit-slo --features notify
check llm-audit-cli --no-default-features
check llm-audit-cli --no-default-features --features alerts
check llm-audit-cli --no-default-features --features cloudwatch-logs
check llm-audit-cli --no-default-features --features demo
check llm-audit-cli --no-default-features --features otlp
check llm-audit-cli --no-default-features --features otlp-grpc
check llm-audit-demo --features alerts
check llm-audit-cli --no-default-features --features receive
check llm-audit-cli --no-default-features --features tls
check llm-audit-cli --no-default-features --features zstd
cargo test -q -p llm-audit-cli --features parquet --bin llm-audit parquet
echo "features: those of serde_json that any crate of a build can turn on"
cargo test -q -p serde-features
echo "features: ok"
