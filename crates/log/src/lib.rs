//! The contract of an audit log's line: its schema, and the readers of the files that hold it.
//!
//! ```no_run
//! use llm_audit_log::Folder;
//!
//! let folder = Folder::open("logs")?;
//! let mut lines = folder.lines();
//! while let Some(mut entry) = lines.next_line()? {
//!     let Ok(line) = entry.parse() else { continue };
//!     println!("{:?} {:?}", line.agent(), line.action());
//! }
//! # Ok::<(), llm_audit_log::Error>(())
//! ```
//!
//! - [`schema`]: the fields, event types, status, ids, exact money, and the log's own lines.
//! - [`parse`] and [`Line`]: one line, field by field. [`json`]: any JSON object, without a schema.
//! - [`Folder`], [`Lines`], [`Follow`]: the lines of a folder, now and as they come.
//! - [`Filter`] and [`Expression`]: which lines are wanted.
//! - [`Trace`]: the events of one trace as a tree of spans.
//! - [`replay`]: recorded events as values, for tests.
//! - [`verify`]: whether a log is whole.
//!
//! # Features
//!
//! - `replay`: fixtures of replays.
//! - `zstd`: compressed files, `.jsonl.zst`, are read. Needs a C compiler.

mod closest;
mod error;
mod file_name;
mod folder;
mod gzip;
pub mod json;
mod json_skip;
mod query;
mod recent;
pub mod replay;
pub mod schema;
mod shell;
mod trace;
mod verify;
mod writers;
pub mod zst;

pub use closest::edit_distance;
pub use error::Error;
pub use file_name::{FileName, compressed_path, with_suffix};
#[doc(hidden)]
pub use folder::index_blocks;
pub use folder::{
    Acknowledged, Ending, Entry, Folder, Follow, Input, LINE_BYTES_MAX, Lines, LogFile, Position,
    PrivateFolder, REFUSED_FOLDER, SHIP_FOLDER, destination_of_file, index_path,
    line_bytes_in_file, lines_end, read_line, refused_file_day,
};
pub use json::{DEPTH_MAX, Items, Json, Members};

pub use query::{
    Basis, Counting, Estimate, Expression, Failure, Failures, Figures, Filter, GroupBy, Groups,
    Scan, Scanned, Sums, Timeline, parse_time,
};
#[doc(hidden)]
pub use recent::Recent;
pub use schema::{CaptureContent, EventType, Line, Status, Usd, is_event_type_name, parse};
pub use shell::shell_word;
pub use trace::{Choice, Event, Found, Span, Step, Trace};
pub use verify::{Finding, Instance, State, Verification, verify, verify_folder, verify_with};
pub use writers::Writers;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
