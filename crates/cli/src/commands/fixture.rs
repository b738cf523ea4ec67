//! `fixture`: one trace as a replay fixture, and a test that replays it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use llm_audit::reader::{Found, Trace};
use llm_audit::replay::ReplayFixture;

use crate::arguments::{LogInput, complain_of_damage};
use crate::ui::{
    CommandExit, CommandFailure, Progress, complain_on_stderr, escape_for_terminal,
    escape_json_for_terminal, fit_to_width, format_count,
};

/// Write one trace as a fixture, from which a test replays it without network.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FixtureArgs {
    /// The trace id, or its first digits (4 or more)
    id: String,
    #[command(flatten)]
    input: LogInput,
    /// The fixture's file [default: stdout; with --test: tests/fixtures/replay_ID.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write a Rust test into tests/, which fails as the trace failed until that is fixed
    #[arg(long)]
    test: bool,
    /// The function that the test calls with the recorded inputs [default: CRATE::replay_root, by the
    /// crate that the error names]
    #[arg(long, value_name = "PATH", requires = "test", value_parser = parse_rust_path)]
    root: Option<String>,
}

const AFTER_HELP: &str = "\
What the log does not have comes first, on stderr. A line that says \"cannot replay\" means that the
fixture is for reading alone: it is written, but no test. Files that exist are not overwritten.

Exit codes: 0 written, 1 cannot replay, 2 bad input or usage, 3 no such trace.

Examples:
  llm-audit fixture 2a8f65dd > failure.json
  llm-audit fixture 2a8f65dd --test && cargo test --test replay_2a8f65dd93b1
  llm-audit fixture 2a8f65dd --test --root my_agent::testing::replay_root";

/// The digits of a trace's id in the names of files and tests.
const ID_DIGITS: usize = 12;
/// How many things that are missing are printed.
const SHOWN_GAPS: usize = 20;
/// The columns of the error in a test.
const ERROR_WIDTH: usize = 90;
/// Names that a path of Rust cannot have, or that mean the test itself.
const KEYWORDS: &str = " Self _ abstract as async await become box break const continue crate do dyn else \
    enum extern false final fn for gen if impl in let loop macro match mod move mut override priv pub ref \
    return self static struct super trait true try type typeof unsafe unsized use virtual where while yield ";

pub(crate) fn run_fixture(args: &FixtureArgs) -> Result<CommandExit, CommandFailure> {
    let Some(trace) = find_trace(args)? else { return Ok(CommandExit::NoData) };
    let fixture = ReplayFixture::from_trace(&trace)?;
    complain_of_gaps(&fixture);
    let test = match args.test && fixture.is_replayable() {
        true => Some(test_function(args, &fixture)?),
        false => None,
    };
    match (&args.out, args.test) {
        (None, false) => {
            let json = escape_json_for_terminal(&fixture.to_json()).into_owned();
            io::stdout().write_all(json.as_bytes()).map_err(CommandFailure::writing)?;
        }
        (out, _) => {
            let default = || format!("tests/fixtures/{}.json", test_name(&fixture)).into();
            let file = out.clone().unwrap_or_else(default);
            let test = test.map(|root| {
                let path = PathBuf::from(format!("tests/{}.rs", test_name(&fixture)));
                (path, test_text(&fixture, &file, &root))
            });
            let fixture = (file, fixture.to_json());
            write_new_files(&[Some(fixture), test].into_iter().flatten().collect::<Vec<_>>())?;
        }
    }
    Ok(if fixture.is_replayable() { CommandExit::Fine } else { CommandExit::Finding })
}

fn find_trace(args: &FixtureArgs) -> Result<Option<Box<Trace>>, CommandFailure> {
    let Some(folder) = args.input.open()? else { return Ok(None) };
    let mut progress = Progress::new();
    let (of, service) = (folder.bytes(), args.input.service.as_deref());
    let show = |done| progress.show_share(done, of);
    let mut damage = Vec::new();
    let found = Trace::find_despite(&folder, &args.id, service, &mut damage, show)?;
    progress.clear();
    if let (Found::Nothing, Some(error)) = (&found, damage.pop_if(|_| true)) {
        complain_of_damage(&damage);
        return Err(error.into());
    }
    complain_of_damage(&damage);
    match found {
        Found::One(trace) => Ok(Some(trace)),
        Found::Several(ids) => {
            let ids = ids.join("\n  ");
            Err(CommandFailure::new(format!("several traces begin so, among them\n  {ids}")))
        }
        _ => {
            complain_on_stderr("no data: no such trace");
            args.input.complain_of_unknown_service(&folder);
            Ok(None)
        }
    }
}

/// Prints what was not captured, what blocks a replay first, and then what the fixture has.
fn complain_of_gaps(fixture: &ReplayFixture) {
    let gaps = &fixture.not_captured;
    let (blocking, others): (Vec<_>, Vec<_>) = gaps.iter().partition(|gap| gap.blocks);
    for gap in blocking.iter().chain(&others).take(SHOWN_GAPS) {
        let weight = if gap.blocks { "cannot replay" } else { "not captured" };
        let place = fixture.short_path_of_step(gap.step);
        complain_on_stderr(format_args!("{weight}: {} ({place})", gap.what));
    }
    if let Some(more) = gaps.len().checked_sub(SHOWN_GAPS).filter(|more| *more > 0) {
        complain_on_stderr(format_args!("and {more} more, in the fixture under not_captured"));
    }
    let error = fixture.error.as_ref().map_or("nothing failed".to_owned(), ToString::to_string);
    let calls = format_count(fixture.calls.len() as u64, "call");
    complain_on_stderr(format_args!("{calls}; {error}"));
}

/// The function that the test calls: of the crate that recorded an error, otherwise of the one that has its type.
fn test_function(args: &FixtureArgs, fixture: &ReplayFixture) -> Result<String, CommandFailure> {
    let package = fixture.environment.get("crate").and_then(|package| package.as_str());
    let named = package.and_then(|package| package.split(' ').next());
    let of_crate = |name: &str| format!("{}::replay_root", name.replace('-', "_"));
    let default = named.map(of_crate).filter(|path| parse_rust_path(path).is_ok());
    if let Some(path) = args.root.clone().or(default) {
        return Ok(path);
    }
    let of_type = fixture.error.as_ref().and_then(|error| error.error_type.split_once("::"));
    let of_type = of_type.filter(|(name, _)| !["alloc", "core", "std"].contains(name));
    match of_type.map(|(name, _)| of_crate(name)).filter(|path| parse_rust_path(path).is_ok()) {
        Some(path) => {
            complain_on_stderr(format_args!(
                "the test calls {path}, by the type of the error; --root PATH names another function"
            ));
            Ok(path)
        }
        None => Err(CommandFailure::new(
            "no error of the trace names its crate; --root PATH names the function that the test calls, as \
             my_agent::replay_root",
        )),
    }
}

fn test_name(fixture: &ReplayFixture) -> String {
    // Ids of 64 bits and less are padded with zeros.
    let id = match fixture.trace_id.strip_prefix("0000000000000000") {
        Some(id) => id.trim_start_matches('0'),
        None => &fixture.trace_id,
    };
    format!("replay_{}", id.get(..ID_DIGITS).unwrap_or(id))
}

/// Writes all files or, if one exists, none.
fn write_new_files(files: &[(PathBuf, String)]) -> Result<(), CommandFailure> {
    let mut created = Vec::new();
    for (path, text) in files {
        let written = create_new_file(path).and_then(|mut file| {
            created.push(path);
            file.write_all(text.as_bytes())
        });
        if let Err(error) = written {
            for path in created {
                // What stays makes the next try say so.
                let _ = fs::remove_file(path);
            }
            let advice = match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    "; remove it first, or name another file with --out"
                }
                _ => "",
            };
            let path = path.display();
            return Err(CommandFailure::new(format!("cannot write {path}: {error}{advice}")));
        }
    }
    for (path, _) in files {
        complain_on_stderr(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

/// Creates a file for its owner alone, as those of the log: it has the same content.
fn create_new_file(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The test, which needs nothing but the library with its feature `replay`.
fn test_text(fixture: &ReplayFixture, file: &Path, root: &str) -> String {
    let error = match &fixture.error {
        // A comment ends with its line, and may not change the direction of text.
        Some(error) => {
            let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            fit_to_width(&escape_for_terminal(&error), ERROR_WIDTH)
        }
        None => "nothing failed".to_owned(),
    };
    let file = file.display().to_string();
    let path = match Path::new(&file).is_absolute() {
        true => format!("{file:?}"),
        false => format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?})", format!("/{file}")),
    };
    let (id, name) = (&fixture.trace_id, test_name(fixture));
    format!(
        "//! Replays trace {id}.\n\
         //!\n\
         //! It failed with: {error}\n\
         //!\n\
         //! Written by `llm-audit fixture`. The test fails with this error until it is fixed. Then it checks that\n\
         //! the calls are still those of the trace.\n\
         \n\
         use llm_audit::replay::Replayer;\n\
         \n\
         #[test]\n\
         fn {name}() {{\n    \
             let path = {path};\n    \
             let replayer = Replayer::from_file(path).expect(\"a fixture\");\n    \
             replayer.run({root}).assert_fixed();\n\
         }}\n"
    )
}

/// Reads the path of a function: names joined by `::`.
fn parse_rust_path(text: &str) -> Result<String, &'static str> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !KEYWORDS.contains(&format!(" {name} "))
    };
    match text.split("::").all(is_name) {
        true => Ok(text.to_owned()),
        false => Err("accepted: the path of a function, as my_agent::replay_root"),
    }
}
