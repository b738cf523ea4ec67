#!/usr/bin/env bash
# The official Python SDK of the Model Context Protocol asks the server of `examples/mcp-agent`, over stdio and over
# streamable HTTP, by both handshakes. The server records every request once, below the span of the client's, and
# nothing but the protocol is on its stdout.
set -euo pipefail
cd "$(dirname "$0")/../.."
source ci/e2e/common.sh

make_venv mcp mcp==2.3.0 opentelemetry-sdk==1.45.2
cargo build -q -p mcp-agent-example
env -u AUDIT_CAPTURE_CONTENT AUDIT_DEBUG=true NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 \
    "$venv/bin/python" ci/e2e/mcp_sdk.py "${CARGO_TARGET_DIR:-target}/debug/mcp-plans" "$work"
echo "mcp: ok"
