#!/usr/bin/env bash
# The rules that `slo rules` writes, evaluated by promtool, fire at the same minutes and with the same labels as
# the engine. A test of llm-audit-slo writes what the engine says.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "rules: $*" >&2
    exit 1
}

if ! command -v promtool >/dev/null; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        fail "promtool is not installed; on Debian and Ubuntu: apt-get install prometheus"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LLM_AUDIT_RULES_DIR=$work cargo test -q -p llm-audit-slo --lib the_engine_says_at_each_minute >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "the test failed"; }
[[ -s $work/tests.yml ]] || fail "the test wrote nothing"
promtool check rules "$work/rules.yml"
(cd "$work" && promtool test rules tests.yml) || fail "Prometheus and the engine disagree"

# The built-in rules, which have longer windows.
cargo run -q -p llm-audit-cli -- slo rules --service benefits >"$work/built-in.yml"
promtool check rules "$work/built-in.yml"
echo "rules: ok"
