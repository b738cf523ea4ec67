#!/usr/bin/env bash
# Claude Code, Codex and Gemini CLI, which it installs, and Python clients with three instrumentations send what they
# do to `llm-audit receive`. A stand-in plays their models, so none of them needs an account. Every call is in the log
# once, with its tokens, and the tool that the model asked for. No address is.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

command -v npm >/dev/null || fail "npm is not installed; on Debian and Ubuntu: apt-get install npm"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
agents=$target/agents
npm install --silent --no-audit --no-fund --prefix "$agents" \
    @anthropic-ai/claude-code@2.1.197 @openai/codex@0.171.0 @google/gemini-cli@0.61.0
(cd "$agents/node_modules/@anthropic-ai/claude-code" && node install.cjs >/dev/null)

# Installs what an instrumentation works with.
python_with() {
    local venv=$agents/$1
    shift
    [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check httpx "$@"
}
python_with genai 'openai<2' opentelemetry-instrumentation-openai-v2==2.1b0 \
    opentelemetry-sdk==1.36.0 opentelemetry-exporter-otlp-proto-http==1.36.0
python_with openllmetry 'openai<2' opentelemetry-instrumentation-openai==0.62.4 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
python_with openinference 'openai>=2.8,<3' openinference-instrumentation-openai==0.1.66 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2

cargo build -q -p llm-audit-cli --features receive
command=$target/debug/llm-audit

python3 ci/e2e/model.py "$work/model" &
started+=($!)
until_ok "the model" test -s "$work/model"
model=http://127.0.0.1:$(<"$work/model")

# Runs a sender against a receiver of its own. The variables and the program follow the name.
record() {
    local name=$1 receiver
    shift
    port=$(free_port)
    "$command" receive --listen "127.0.0.1:$port" --dir "$work/$name/log" 2>"$work/$name.receive" >/dev/null &
    receiver=$!
    started+=("$receiver")
    until_ok "the receiver" curl -sf -o /dev/null "http://127.0.0.1:$port/health"
    mkdir -p "$work/$name/home"
    # Nothing of the caller's shell, and no proxy.
    (cd "$work/$name/home" && env -i PATH="$PATH" HOME="$work/$name/home" \
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$port" OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \
        timeout 120 "$@" </dev/null >"$work/$name.out" 2>&1) || [[ $name == *-fails ]] || {
        cat "$work/$name.out" >&2
        fail "$name ended with $?"
    }
    kill -TERM "$receiver"
    wait "$receiver" || { cat "$work/$name.receive" >&2; fail "$name: the receiver ended with $?"; }
    if grep -rq 'ana@example.com' "$work/$name/log"; then fail "$name: an address is in the log"; fi
}

# Compares the events of a type with what follows: how many there are, and for calls of a model their tokens.
expect() {
    local name=$1 type=$2 expected=$3 seen
    seen=$("$command" stats --json --by type --dir "$work/$name/log" --type "$type" | python3 -c '
import json, sys
rows = json.load(sys.stdin)["groups"]
print(*[f"{row[\"count\"]} {row.get(\"tokens_input\") or 0} {row.get(\"tokens_output\") or 0}" for row in rows])')
    [[ $seen == "$expected" ]] || fail "$name: $type: $seen, not $expected (count, tokens in, tokens out)"
}
