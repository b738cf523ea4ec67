//! What the handles of one recorder share: the recorder of this process, also after a fork.

use std::sync::Arc;

use llm_audit_process::cell::PerProcess;
use llm_audit_process::exit::{self, CloseAtExit};
use llm_audit_process::fork::Process;

use crate::config::Settings;
use crate::writer::{self, Shared};

/// Closes the recorder when the last handle is dropped.
pub(super) struct LoggerHandle {
    /// The recorder of the process that built it. A child only reads the parts of it that never
    /// change.
    pub(super) shared: Arc<Shared>,
    home: Process,
    /// The recorder of a forked child, after the child has emitted.
    in_child: PerProcess<Arc<Shared>>,
}

impl LoggerHandle {
    /// Makes the handle of a recorder that the process `home` has built.
    pub(super) fn new(shared: Arc<Shared>, home: Process) -> Self {
        Self { shared, home, in_child: PerProcess::new() }
    }

    /// Returns the recorder of this process. If this is a forked child without one, it starts one.
    #[inline]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        if self.home.is_current() { &self.shared } else { self.start_in_child() }
    }

    #[cold]
    fn start_in_child(&self) -> &Arc<Shared> {
        if !self.shared.settings.enabled {
            return &self.shared;
        }
        let (shared, is_new) = self.in_child.get_or_make(|| self.shared.for_forked_child());
        if is_new {
            writer::spawn_writer_in_child(shared);
            exit::close_at_exit(shared);
        }
        shared
    }

    /// Returns the recorder of this process, if it has one.
    pub(super) fn started_shared(&self) -> Option<&Arc<Shared>> {
        if self.home.is_current() { Some(&self.shared) } else { self.in_child.get() }
    }

    /// Returns the settings, which are the same in every process.
    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn close_and_wait(&self) {
        self.started_shared().into_iter().for_each(|shared| shared.close_and_wait());
    }
}

impl Drop for LoggerHandle {
    fn drop(&mut self) {
        self.close_and_wait();
    }
}
