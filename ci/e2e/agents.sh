#!/usr/bin/env bash
# Claude Code, Codex and Gemini CLI, which it installs, and Python and JavaScript clients with instrumentations send what
# they do to `llm-audit receive`. A stand-in plays their models, so none of them needs an account. Every call is in the log
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

# A folder of its own: version 6 of the AI SDK has another name, beside version 7.
javascript=$target/javascript
npm install --silent --no-audit --no-fund --prefix "$javascript" \
    ai@7.0.173 @ai-sdk/openai@4.0.118 @ai-sdk/otel@1.0.173 ai-6@npm:ai@6.0.326 ai-6-openai@npm:@ai-sdk/openai@3.0.141 \
    openai@6.49.0 @opentelemetry/instrumentation-openai@0.21.0 @opentelemetry/api@1.9.1 \
    @opentelemetry/sdk-node@0.223.0 @opentelemetry/exporter-trace-otlp-proto@0.223.0

# What each instrumentation works with.
make_venv genai httpx 'openai>=3.57,<4' opentelemetry-instrumentation-genai-openai==1.3b0 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
make_venv genai-2025 httpx 'openai<2' opentelemetry-instrumentation-openai-v2==2.1b0 \
    opentelemetry-sdk==1.36.0 opentelemetry-exporter-otlp-proto-http==1.36.0
make_venv openllmetry httpx 'openai<2' opentelemetry-instrumentation-openai==0.62.4 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
make_venv openinference httpx 'openai>=2.8,<3' openinference-instrumentation-openai==0.1.66 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2

cargo build -q -p llm-audit-cli --features otlp-grpc,receive
command=$target/debug/llm-audit

python3 ci/e2e/model.py "$work/model" &
started+=($!)
until_ok "the model" test -s "$work/model"
model=http://127.0.0.1:$(<"$work/model")

# Runs a sender against a receiver of its own, on a port that the sender's settings may name. Variables and program
# follow the name.
record() {
    local name=$1 port=$2 receiver
    shift 2
    "$command" receive --listen "127.0.0.1:$port" --dir "$work/$name/log" 2>"$work/$name.receive" >/dev/null &
    receiver=$!
    started+=("$receiver")
    until_ok "the receiver" curl -sf -o /dev/null "http://127.0.0.1:$port/health"
    mkdir -p "$work/$name/home"
    # Nothing of the caller's shell, and no proxy.
    (cd "$work/$name/home" && env -i PATH="$PATH" HOME="$work/$name/home" \
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$port" OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \
        timeout 120 env "$@" </dev/null >"$work/$name.out" 2>&1) || [[ $name == *-fails ]] || {
        cat "$work/$name.out" >&2
        fail "$name did not end well"
    }
    kill -TERM "$receiver"
    wait "$receiver" || { cat "$work/$name.receive" >&2; fail "$name: the receiver ended with $?"; }
    if grep -rq 'ana@example.com' "$work/$name/log"; then fail "$name: an address is in the log"; fi
    echo "agents: $name: $("$command" stats --json --dir "$work/$name/log" | figures)"
}

# Prints each type of event with its count, and tokens that the events own.
figures() {
    python3 -c '
import json, sys
for row in json.load(sys.stdin)["groups"]:
    tokens = [row.get("tokens_input") or 0, row.get("tokens_output") or 0]
    print(*row["values"], row["events"], *(tokens if any(tokens) else []), sep=" ", end="; ")'
}

# Expects these figures of one type, as they are printed above.
expect() {
    local name=$1 type=${2%% *} seen
    seen=$("$command" stats --json --type "$type" --dir "$work/$name/log" | figures)
    [[ $seen == *"$2; "* ]] || fail "$name: expected $2, found $seen"
}

# Expects this sum of the costs.
costs() {
    local name=$1 sum=$2 seen
    seen=$("$command" cost --json --dir "$work/$name/log" | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["cost_usd"])')
    [[ $seen == "$sum" ]] || fail "$name: expected a cost of $sum, found $seen"
}

for which in genai genai-2025 openllmetry openinference; do
    record "$which" "$(free_port)" "$target/$which-venv/bin/python" "$PWD/ci/e2e/instrumented.py" "$which" "$model/v1"
    expect "$which" 'llm.invoke 3 60 27'
    expect "$which" 'llm.error 1'
done
expect openinference 'tool.result 1'

for which in openai-js ai-sdk ai-sdk-6; do
    record "$which" "$(free_port)" node "$PWD/ci/e2e/instrumented.mjs" "$which" "$javascript" "$model/v1"
done
expect openai-js 'llm.invoke 3 60 27'
expect openai-js 'llm.error 1'
for which in ai-sdk ai-sdk-6; do
    expect "$which" 'llm.invoke 4 80 36'
    expect "$which" 'llm.error 1'
    expect "$which" 'agent.invoke 4'
    expect "$which" 'tool.result 1'
    # Five of the 20 tokens of each call come from the cache.
    costs "$which" 0.000535
    whose=$("$command" stats --json --type llm --by user,data.conversation --dir "$work/$which/log" | figures)
    [[ $whose == 'u-1 chat-7 5 80 36; ' ]] || fail "$which: users are $whose"
done

claude=(
    CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_LOGS_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp OTEL_TRACES_EXPORTER=otlp
    CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 OTEL_LOG_USER_PROMPTS=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
    ANTHROPIC_API_KEY=none ANTHROPIC_BASE_URL="$model"
    "$agents/node_modules/.bin/claude" --allowedTools 'Bash(echo:*)' --model claude-sonnet-4-5 -p
)
record claude "$(free_port)" "${claude[@]}" 'Write to ana@example.com'
# The 25 tokens that Anthropic names, and 10 of the cache.
expect claude 'llm.invoke 2 70 30'
expect claude 'tool.result 1'
record claude-fails "$(free_port)" "${claude[@]}" 'FAIL'
expect claude-fails 'llm.error 1'


# Codex and Gemini CLI take the collector from their settings.
port=$(free_port)
mkdir -p "$work/codex/home/.codex" "$work/gemini/home/.gemini"
cat >"$work/codex/home/.codex/config.toml" <<END
model = "gpt-5-codex"
model_provider = "standin"
[model_providers.standin]
name = "standin"
base_url = "$model/v1"
wire_api = "responses"
[otel]
log_user_prompt = true
exporter = { otlp-http = { endpoint = "http://127.0.0.1:$port/v1/logs", protocol = "binary" } }
trace_exporter = { otlp-http = { endpoint = "http://127.0.0.1:$port/v1/traces", protocol = "json" } }
END
record codex "$port" "$agents/node_modules/.bin/codex" exec --skip-git-repo-check \
    --dangerously-bypass-approvals-and-sandbox 'Write to ana@example.com'
expect codex 'llm.invoke 2 60 24'
expect codex 'tool.result 1'

port=$(free_port)
cat >"$work/gemini/home/.gemini/settings.json" <<END
{
    "telemetry": {
        "enabled": true, "target": "local", "otlpProtocol": "http", "logPrompts": true,
        "otlpEndpoint": "http://127.0.0.1:$port"
    },
    "security": {"auth": {"selectedType": "gemini-api-key"}}
}
END
record gemini "$port" GEMINI_API_KEY=none GOOGLE_GEMINI_BASE_URL="$model" \
    "$agents/node_modules/.bin/gemini" --yolo --skip-trust -m gemini-2.5-pro -p 'Write to ana@example.com'
expect gemini 'llm.invoke 2 80 30'
expect gemini 'tool.result 1'
echo "agents: ok"
