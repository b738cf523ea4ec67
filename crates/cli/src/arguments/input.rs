//! Where a subcommand reads the log: a folder or files, of all services or one.

use std::io;
use std::path::{Path, PathBuf};

use llm_audit::reader::Folder;
use llm_audit_log::shell_word;

use super::LogDir;
use crate::ui::{CommandFailure, complain_on_stderr};

/// The log that is read, and whose lines of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogInput {
    /// Files instead of a folder, such as what a program wrote to stdout (.zst and .gz too); - is stdin
    #[arg(value_name = "FILE", conflicts_with = "dir")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) dir: LogDir,
    /// Only this service's, by the audit.start lines
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
}

impl LogInput {
    /// Lists the files, or those of the folder if it exists and has any. Otherwise prints that there
    /// is no data.
    pub(crate) fn open(&self) -> Result<Option<Folder>, CommandFailure> {
        if self.files.is_empty() {
            let folder = self.dir.open()?;
            if folder.is_none() && is_stdin_redirected() {
                complain_on_stderr("stdin is read if FILE is -");
            }
            return Ok(folder);
        }
        // `trace` may find only later that a word is a file.
        if self.dir.is_given() {
            return Err(CommandFailure::new("FILE and --dir exclude each other"));
        }
        if let Some(dir) = self.files.iter().find(|path| path.is_dir()) {
            let dir = dir.display();
            return Err(CommandFailure::new(format!(
                "{dir} is a folder; --dir {dir} reads its log"
            )));
        }
        Ok(Some(Folder::of_files(&self.files)?))
    }

    /// Returns what a further command needs to read the same log, with a blank before it. Returns `None` if no
    /// command can, because stdin is read once.
    pub(crate) fn words(&self) -> Option<String> {
        if self.files.iter().any(|file| file.as_os_str() == "-") {
            return None;
        }
        let dir = self.dir.is_given().then(|| format!(" --dir {}", shell_word(&self.dir.path())));
        let files = self.files.iter().map(|file| format!(" {}", shell_word(file)));
        Some(dir.into_iter().chain(files).collect())
    }

    /// Refuses an output that is a file of a log, or one of the files that are read.
    pub(crate) fn refuse_as_output(&self, path: &Path) -> Result<(), CommandFailure> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_log = name.starts_with("audit-") && name.contains(".jsonl");
        let real = |path: &Path| path.canonicalize().ok();
        let is_read =
            self.files.iter().any(|file| real(file).is_some_and(|f| Some(f) == real(path)));
        if is_log || is_read {
            let path = path.display();
            return Err(CommandFailure::new(format!(
                "{path} is a log, which would be overwritten; name another file"
            )));
        }
        Ok(())
    }
}

/// Whether somebody feeds stdin: it is a pipe or a file. `/dev/null` is neither.
#[cfg(unix)]
fn is_stdin_redirected() -> bool {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let file_type = stdin.and_then(|stdin| stdin.metadata()).map(|metadata| metadata.file_type());
    file_type.is_ok_and(|file_type| file_type.is_fifo() || file_type.is_file())
}

#[cfg(not(unix))]
fn is_stdin_redirected() -> bool {
    use std::io::IsTerminal;

    !io::stdin().is_terminal()
}
