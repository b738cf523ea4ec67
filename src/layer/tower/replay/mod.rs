//! What a replay answers the calls of a client.

#[cfg(not(feature = "replay"))]
mod absent;
#[cfg(feature = "replay")]
mod present;

#[cfg(not(feature = "replay"))]
pub(super) use absent::{
    HttpAnswer, RecordedBody, continued_context, is_here, is_of, poll_answer, recorded_answer,
};
#[cfg(feature = "replay")]
pub(super) use present::{
    HttpAnswer, RecordedBody, continued_context, is_here, is_of, poll_answer, recorded_answer,
};
