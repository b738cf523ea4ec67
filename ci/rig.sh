#!/usr/bin/env bash
# llm-audit-rig builds against the newest rig that the installed stable compiler can build, among the versions
# that it supports. Another toolchain may be named: `rig.sh nightly`.
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=${1:-stable}
rust=$(rustc "+$toolchain" --version | sed -E 's/^rustc ([0-9.]+).*/\1/')
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
mkdir "$project/src"
echo 'pub use llm_audit_rig::AuditHook;' >"$project/src/lib.rs"
cat >"$project/Cargo.toml" <<TOML
[package]
name = "rig-newest"
version = "0.0.0"
edition = "2024"
rust-version = "$rust"

[dependencies]
llm-audit-rig = { path = "$PWD/crates/rig" }

[workspace]
TOML

# Its own lock file: Cargo takes the newest version that this compiler can build.
cd "$project"
cargo "+$toolchain" generate-lockfile --quiet
version=$(cargo "+$toolchain" tree --prefix none --format '{p}' --invert rig-agent --depth 0)
echo "rig: $version, Rust $rust"
cargo "+$toolchain" check --quiet --target-dir "${CARGO_TARGET_DIR:-$OLDPWD/target}"
echo "rig: ok"
