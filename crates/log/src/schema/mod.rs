//! What a line is made of: event types, status, ids, exact money.

mod event_type;
pub mod ids;
mod status;
mod usd;

pub use event_type::{EventType, is_event_type_name};
pub use status::Status;
pub use usd::Usd;
