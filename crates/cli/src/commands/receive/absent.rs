//! What `receive` says without the feature `receive`.

use std::ffi::OsString;

use crate::ui::{CommandExit, CommandFailure};

/// Record OTLP from other programs as events (not in this build)
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReceiveArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

pub(crate) fn run_receive(_: &ReceiveArgs) -> Result<CommandExit, CommandFailure> {
    Err(CommandFailure::new(
        "this build has no receive; `cargo install --path crates/cli --features receive` in the repository \
         installs it",
    ))
}
