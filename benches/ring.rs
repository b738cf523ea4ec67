//! Measures one push into a full ring, next to `ArrayQueue::force_push`. The ring is not public, so
//! the bench needs `LLM_AUDIT_INTERNALS=1`.
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
    println!("ring: not built; run LLM_AUDIT_INTERNALS=1 cargo bench --bench ring");
}
