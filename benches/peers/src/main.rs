//! Measures what an event costs the caller, in llm-audit and in the loggers that people use.
//!
//! Each logger writes the same four fields as a line of JSON to a file in memory, in a process of
//! its own. The caller has a core alone, and the threads of the logger share another. Before
//! anything is timed, the lines of each logger are read back as JSON. A round runs each logger
//! once, and the figures are medians of rounds.
//!
//! ```sh
//! cargo run --release    # all loggers: a table, results.json and docs/emit-peers.svg
//! cargo run --release -- growth    # how the cost grows: docs/growth-….svg
//! ```
//!
//! `--only NAME` measures one logger and writes no file; it may be given more than once. `--quick`
//! tries all of it once, and `--check-only` stops before it measures.
#![recursion_limit = "512"] // an event of tracing with 100 fields

mod chart;
mod check;
mod child;
#[path = "../../common/mod.rs"]
mod common;
mod compare;
mod event;
mod figures;
mod growth;
mod loggers;
mod report;
#[path = "../../common/sequential.rs"]
mod sequential;

use std::env;
use std::error::Error;
use std::path::Path;

use loggers::PEERS;

/// What to do, from the arguments.
#[derive(Default)]
struct Options {
    growth: bool,
    quick: bool,
    check_only: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            match &*arg {
                "growth" => options.growth = true,
                "--quick" => options.quick = true,
                "--check-only" => options.check_only = true,
                "--only" => options.only.push(args.next().ok_or("--only needs a name")?),
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        if options.growth && (options.check_only || !options.only.is_empty()) {
            return Err("growth measures two loggers, and takes only --quick".to_owned());
        }
        match options.only.iter().find(|name| loggers::named(name).is_none()) {
            Some(name) => {
                let names = PEERS.map(|peer| peer.name).join("\", \"");
                Err(format!("unknown logger \"{name}\"; there are \"{names}\""))
            }
            None => Ok(options),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [what, task, folder] = &*args
        && ["run", "check"].contains(&what.as_str())
    {
        return answer(what, task, Path::new(folder));
    }
    let options = Options::parse(args.into_iter())?;
    if options.growth { growth::draw(options.quick) } else { compare::all(&options) }
}

/// Does what a child of this program is for, and prints the answer.
fn answer(what: &str, task: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let task = serde_json::from_str(task)?;
    let answer = match what {
        "check" => serde_json::to_string(&check::run(&task, folder)?)?,
        _ => serde_json::to_string(&child::run(&task, folder)?)?,
    };
    println!("{answer}");
    Ok(())
}
