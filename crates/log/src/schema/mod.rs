//! The schema of a line: version, fields, event types, ids, exact money, the log's own lines.

mod capture_content;
mod event_start;
mod event_type;
mod fields;
pub mod gen_ai;
mod head;
pub mod ids;
pub mod json_text;
mod judgement;
mod latencies;
mod line;
mod metrics_row;
pub mod notices;
mod prefix;
mod shape;
mod spelled;
mod status;
mod token_histogram;
pub mod trace_rate;
mod usd;

pub use capture_content::CaptureContent;
pub use event_start::{EventIds, EventStart};
pub(crate) use event_type::is_llm_call;
pub use event_type::{EventType, is_event_type_name};
pub(crate) use fields::FaultCheck;
pub use fields::{FIELDS, Field, LineFields, Presence, event_fields};
pub use judgement::Judgement;
pub(crate) use judgement::is_judgement;
pub(crate) use latencies::bucket_micros_of_ms;
pub use latencies::{
    LATENCY_BUCKETS, LATENCY_MICROS_MAX, Latencies, latency_bucket, latency_of_ms,
};
pub(crate) use line::parse_in_order;
#[doc(hidden)]
pub use line::parse_whole;
pub use line::{Line, parse};
pub use metrics_row::{MetricsRow, TokenKinds};
pub use prefix::Prefix;
pub use shape::AppendJson;
pub(crate) use shape::{FieldShape, Time, spelled_time};
pub use status::Status;
pub use token_histogram::{TOKEN_BOUNDS, TOKEN_BUCKETS, TokenHistogram, token_bucket};
pub use usd::Usd;

/// The version as a literal, for texts that the compiler puts together.
macro_rules! version {
    () => {
        "3.0"
    };
}
use version;

/// The version of the schema, which every line has as its `event_version`.
pub const VERSION: &str = version!();
