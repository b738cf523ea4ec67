//! Lines as they are written, whatever cannot be read.

use std::collections::BTreeSet;

use llm_audit::reader::{Entry, Follow};

use crate::ui::complain_on_stderr;

/// How many reasons are printed.
const PRINTED_MAX: usize = 100;

/// A followed log. What cannot be read is printed once, and tried again.
pub(crate) struct Followed {
    follow: Follow,
    printed: BTreeSet<String>,
}

impl Followed {
    pub(crate) fn new(follow: Follow) -> Self {
        Self { follow, printed: BTreeSet::new() }
    }

    /// The next line; `None` if there is nothing new for now, or something that cannot be read.
    pub(crate) fn next_line(&mut self) -> Option<Entry<'_>> {
        match self.follow.next_line() {
            Ok(entry) => entry,
            Err(error) => {
                let error = error.to_string();
                if self.printed.len() < PRINTED_MAX && self.printed.insert(error.clone()) {
                    complain_on_stderr(error);
                }
                None
            }
        }
    }

    pub(crate) fn take_truncated(&mut self) -> Vec<String> {
        self.follow.take_truncated()
    }
}
