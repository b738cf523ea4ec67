//! Which compiler builds the library? `#[audit_span]` names it in the `environment` of errors. And does the bench of the
//! ring need its internals?

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    println!("cargo::rerun-if-env-changed=LLM_AUDIT_INTERNALS");
    if std::env::var_os("LLM_AUDIT_INTERNALS").is_some() {
        println!("cargo::rustc-cfg=llm_audit_internals");
    }
    let version = version().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=LLM_AUDIT_RUSTC={version}");
}

/// The second word of `rustc 1.89.0 (29483883e 2025-08-04)`.
fn version() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
