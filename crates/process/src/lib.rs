//! Forks, exits, and the locks and cells that survive a fork.
//!
//! This crate is the foundation of `llm-audit`. It depends on nothing else of that project.
//!
//! - [`fork`] tells a process from its forked children.
//! - [`cell`] has cells without a "being made" state, and cells that each process has for itself.
//! - [`lock`] has locks that share no state with each other, and one that a child can open.
//! - [`exit`] closes what is registered when the process exits or a signal ends it.
//!
//! # Examples
//!
//! ```
//! use llm_audit_process::cell::PerProcess;
//!
//! static CACHE: PerProcess<Vec<u32>> = PerProcess::new();
//!
//! // A forked child finds no value and makes its own.
//! let (numbers, is_new) = CACHE.get_or_make(|| vec![1, 2, 3]);
//! assert!(is_new);
//! assert_eq!(numbers.len(), 3);
//! ```

pub mod cell;
pub mod exit;
pub mod fork;
pub mod lock;
