//! Stub.
pub(crate) mod jsonl;
