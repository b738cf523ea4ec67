//! The header `traceparent` of [W3C Trace Context](https://www.w3.org/TR/trace-context/).

use std::ops::Range;

use super::TraceContext;
use super::trace_rate::{keeps_trace, process_trace_rate};
use crate::error::Error;

/// `00-` 32 digits `-` 16 digits `-` 2 digits.
pub(super) const TRACEPARENT_LEN: usize = 55;
/// The bit of the flags that says that the caller keeps this trace.
const SAMPLED_FLAG: u128 = 1;
/// The bit that says that the trace's id is random, as level 2 of the standard defines it.
const RANDOM_FLAG: u128 = 2;

impl TraceContext {
    /// Returns the `traceparent` header for a call made in this span: version `00`, lower case.
    ///
    /// The flag `sampled` is the one that this trace came with. If the trace began here, the flag
    /// says whether this process keeps the whole trace. The trace's id, or the `rv` in its
    /// `tracestate`, and `TRACE_SAMPLE_RATE` decide that. The flag `random` is set if the trace came with it, or if its id was drawn here.
    pub fn to_traceparent(&self) -> String {
        self.to_traceparent_at_rate(process_trace_rate())
    }

    /// Returns the same for a trace that began here, if this share of such traces is kept whole.
    pub(crate) fn to_traceparent_at_rate(&self, rate: f64) -> String {
        let sampled = self.sampled.unwrap_or_else(|| keeps_trace(self.randomness(), rate));
        let flags = u8::from(sampled) | u8::from(self.is_random) << 1;
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// Reads a `traceparent` header as W3C Trace Context, level 2, defines it.
    ///
    /// The span is the caller's: use [`new_span`](Self::new_span) of it for the work done here.
    /// If the version is later than `00`, the first 55 characters are read, and any text that
    /// follows their `-` is ignored. Flags other than `sampled` and `random` are ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if the version is `ff`, an id is zero, or the length is wrong. The same holds
    /// if a character is not a lower-case hex digit. The message says what
    /// is wrong and never repeats the header.
    pub fn from_traceparent(header: &str) -> Result<Self, Error> {
        let bytes = header.as_bytes();
        if bytes.len() < TRACEPARENT_LEN {
            return Err(traceparent_error(format!("{} bytes long, not 55", bytes.len())));
        }
        if let Some(at) = [2, 35, 52].into_iter().find(|at| bytes[*at] != b'-') {
            return Err(traceparent_error(format!("no `-` at byte {}", at + 1)));
        }
        let version = traceparent_field(bytes, 0..2)?;
        let trace_id = traceparent_field(bytes, 3..35)?;
        let span_id = traceparent_field(bytes, 36..52)?;
        let flags = traceparent_field(bytes, 53..55)?;
        match (version, bytes.get(TRACEPARENT_LEN)) {
            (0xff, _) => return Err(traceparent_error("version `ff` is not allowed")),
            (0, Some(_)) => {
                return Err(traceparent_error(format!("{} bytes long, not 55", bytes.len())));
            }
            (_, None | Some(b'-')) => {}
            (_, Some(_)) => return Err(traceparent_error("no `-` at byte 56")),
        }
        let Some(context) = Self::from_ids(trace_id, span_id as u64, None) else {
            return Err(traceparent_error("an id is all zeros"));
        };
        Ok(Self {
            sampled: Some(flags & SAMPLED_FLAG != 0),
            is_random: flags & RANDOM_FLAG != 0,
            ..context
        })
    }
}

fn traceparent_error(why: impl std::fmt::Display) -> Error {
    let accepted = "accepted: VERSION-TRACEID-SPANID-FLAGS of 2, 32, 16 and 2 lower-case hex \
                    digits, the ids not zero";
    Error::parse("traceparent", format!("{why}; {accepted}"))
}

/// Reads the number in a field of the header; only lower case is accepted.
fn traceparent_field(header: &[u8], field: Range<usize>) -> Result<u128, Error> {
    let start = field.start;
    header[field].iter().enumerate().try_fold(0, |number, (at, byte)| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => {
                let at = start + at + 1;
                return Err(traceparent_error(format!("not a lower-case hex digit at byte {at}")));
            }
        };
        Ok(number << 4 | u128::from(digit))
    })
}
