//! The log files read back: lines, folders, completeness, and the tree of a trace.

mod folder;
mod follow;
mod input;
mod json;
mod line;
mod tree;
mod verify;

pub use folder::{Ending, Entry, Folder, LINE_BYTES_MAX, Lines, LogFile, read_line};
pub use follow::Follow;
pub use input::Input;
pub use json::{Items, Json, Members};
pub use line::{DEPTH_MAX, Line, parse};
pub use tree::{Event, Found, Span, Step, Trace};
pub use verify::{Finding, Instance, State, Verification, verify, verify_with};
