//! Where a subcommand reads the log: a folder or files, of all services or one.

use std::path::PathBuf;

use llm_audit::reader::Folder;

use super::LogDir;
use crate::ui::CommandFailure;

/// The log that is read, and whose lines of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogInput {
    /// Files instead of a folder, such as what a program wrote to stdout (.zst too); - is stdin
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
            return self.dir.open();
        }
        if let Some(dir) = self.files.iter().find(|path| path.is_dir()) {
            let dir = dir.display();
            return Err(CommandFailure::new(format!(
                "{dir} is a folder; --dir {dir} reads its log"
            )));
        }
        Ok(Some(Folder::of_files(&self.files)?))
    }
}
