//! `completions` and `man`: what is generated from the arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::ui::{CommandExit, CommandFailure};

/// Print completions for a shell.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = COMPLETIONS_AFTER_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the man page, or write those of all subcommands into a folder.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MAN_AFTER_HELP)]
pub(crate) struct ManArgs {
    /// Write a page for each subcommand into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const COMPLETIONS_AFTER_HELP: &str = "\
Examples:
  llm-audit completions bash > ~/.local/share/bash-completion/completions/llm-audit
  llm-audit completions zsh > ~/.zfunc/_llm-audit
  llm-audit completions fish > ~/.config/fish/completions/llm-audit.fish";

const MAN_AFTER_HELP: &str = "\
Examples:
  llm-audit man | man -l -
  llm-audit man --out ~/.local/share/man/man1";

pub(crate) fn run_completions(args: &CompletionsArgs) -> Result<CommandExit, CommandFailure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "llm-audit", &mut text);
    print(&text)
}

pub(crate) fn run_man(args: &ManArgs) -> Result<CommandExit, CommandFailure> {
    let Some(dir) = &args.out else {
        let mut text = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut text).map_err(CommandFailure::writing)?;
        return print(&text);
    };
    let failure = |error| CommandFailure::new(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failure)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failure)?;
    Ok(CommandExit::Fine)
}

fn print(text: &[u8]) -> Result<CommandExit, CommandFailure> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(CommandExit::Fine)
}
