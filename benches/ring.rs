//! Measures one push into a full ring, next to `ArrayQueue::force_push`. The ring is not public, so
//! the bench needs `--cfg llm_audit_internals`.
#![allow(missing_docs, clippy::print_stdout)]

#[cfg(llm_audit_internals)]
mod common;
#[cfg(llm_audit_internals)]
#[path = "ring/push.rs"]
mod push;

#[cfg(llm_audit_internals)]
fn main() {
    push::run();
}

#[cfg(not(llm_audit_internals))]
fn main() {
    println!("ring: not built; run RUSTFLAGS='--cfg llm_audit_internals' cargo bench --bench ring");
}
