//! `--dir`: the folder of the log.

use std::env;
use std::path::PathBuf;

use llm_audit::reader::Folder;

use crate::ui::{CommandFailure, complain_on_stderr};

/// How often a folder without a log is looked at again.
#[cfg(any(feature = "alerts", feature = "cloudwatch-logs", feature = "otlp"))]
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The folder of the log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogDir {
    /// Folder of the log [default: AUDIT_LOG_DIR, else logs]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl LogDir {
    pub(super) fn is_given(&self) -> bool {
        self.dir.is_some()
    }

    pub(crate) fn path(&self) -> PathBuf {
        let named = || env::var_os("AUDIT_LOG_DIR").filter(|dir| !dir.is_empty());
        self.dir.clone().or_else(|| named().map(PathBuf::from)).unwrap_or_else(|| "logs".into())
    }

    /// Waits until the folder has a file of the log. Until then nothing is written there.
    #[cfg(any(feature = "alerts", feature = "cloudwatch-logs", feature = "otlp"))]
    pub(crate) fn wait_for_log(&self) -> Result<(), CommandFailure> {
        let dir = self.path();
        let has_log = || {
            Ok::<_, llm_audit::reader::Error>(
                dir.exists() && !Folder::open(&dir)?.files().is_empty(),
            )
        };
        if !has_log()? {
            let dir = dir.display();
            complain_on_stderr(format_args!("there is no log in {dir} yet; it is waited for"));
        }
        while !has_log()? {
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Opens the folder if it exists and has files of the log. Otherwise prints that there is no data.
    pub(crate) fn open(&self) -> Result<Option<Folder>, CommandFailure> {
        let path = self.path();
        if !path.try_exists().unwrap_or(true) {
            complain_on_stderr(format_args!("no data: there is no folder {}", path.display()));
            return Ok(None);
        }
        let folder = Folder::open(&path)?;
        if folder.files().is_empty() {
            complain_on_stderr(format_args!(
                "no data: no audit-*.jsonl, audit-*.jsonl.zst or audit-*.jsonl.gz in {}",
                path.display()
            ));
            return Ok(None);
        }
        Ok(Some(folder))
    }
}
