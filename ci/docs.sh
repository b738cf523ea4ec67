#!/usr/bin/env bash
# The documentation builds without a warning: no broken link, no undocumented public item.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "docs: cargo doc, workspace, all features, warnings are errors"
RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --all-features --no-deps
echo "docs: ok"
