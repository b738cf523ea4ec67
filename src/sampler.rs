//! Which events are kept.

use crate::context::TraceContext;
use crate::event::Status;

/// Policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingPolicy {}

impl SamplingPolicy {
    /// Whether to keep.
    pub fn should_record(
        &self,
        _status: Status,
        _latency_ms: Option<f64>,
        _context: Option<&TraceContext>,
    ) -> bool {
        todo!()
    }
}
