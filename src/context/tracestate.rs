//! The header `tracestate`, and OpenTelemetry's member of it, which takes part in sampling.

use std::sync::Arc;

use super::TraceContext;
use super::trace_rate::{
    RANDOM_BITS, keeps_trace, process_trace_rate, randomness_of_id, rejection_threshold,
    threshold_member,
};

const TRACESTATE_MEMBERS_MAX: usize = 32;
/// The longest key, and the longest value.
const MEMBER_PART_BYTES_MAX: usize = 256;
/// 32 members of the longest key, `=`, the longest value and `,`.
pub(super) const TRACESTATE_BYTES_MAX: usize =
    TRACESTATE_MEMBERS_MAX * 2 * (MEMBER_PART_BYTES_MAX + 1);
/// The digits of a randomness, and the most of a threshold.
const DIGITS: usize = RANDOM_BITS as usize / 4;

/// The members of a `tracestate`, and what OpenTelemetry's `ot` among them says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TraceState {
    text: Box<str>,
    /// `rv`: the trace's randomness, in place of that of its id.
    randomness: Option<u64>,
    /// `th`: the randomness from which on the caller keeps traces.
    threshold: Option<u64>,
}

impl TraceContext {
    /// Carries the `tracestate` header that came with the `traceparent`.
    ///
    /// If there are several such headers, join them by `,` first. Empty members and the blanks
    /// around members are left out. A header is dropped if no member is left, or if it breaks the
    /// standard's limits. They are 32 members, keys and values of at most 256 characters, and only
    /// the allowed characters.
    ///
    /// If OpenTelemetry's member `ot` has an `rv`, that number decides whether the trace is kept
    /// whole, in place of the trace's id.
    pub fn with_tracestate(mut self, header: &str) -> Self {
        self.tracestate = TraceState::parse(header).map(Arc::new);
        self
    }

    /// Returns the text that [`with_tracestate`](Self::with_tracestate) carries.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref().map(|state| &*state.text)
    }

    /// Returns the `tracestate` header for a call made in this span, or `None` if it has no members.
    ///
    /// It is the text that [`with_tracestate`](Self::with_tracestate) carries, except for `th` in
    /// OpenTelemetry's member `ot`. `th` is the threshold by which the flag `sampled` was decided.
    /// If the trace began here, it has a `th` if this process keeps the whole trace. If the trace came
    /// from a caller, its `th` stays if it agrees with the flag, and is removed otherwise.
    pub fn to_tracestate(&self) -> Option<String> {
        self.to_tracestate_at_rate(process_trace_rate())
    }

    /// Returns the same, if this share of the traces that begin here is kept whole.
    pub(crate) fn to_tracestate_at_rate(&self, rate: f64) -> Option<String> {
        let (state, randomness) = (self.tracestate.as_deref(), self.randomness());
        let given = state.and_then(|state| state.threshold);
        let threshold = match self.sampled {
            Some(sampled) => given.filter(|threshold| (randomness >= *threshold) == sampled),
            None => keeps_trace(randomness, rate).then(|| rejection_threshold(rate)),
        };
        match state {
            Some(state) if threshold == given => Some(state.text.to_string()),
            Some(state) => state.text_with_threshold(threshold),
            None => threshold.map(|threshold| format!("ot={}", threshold_member(threshold))),
        }
    }

    /// Returns the number that decides whether the trace is kept whole: 56 random bits.
    pub(crate) fn randomness(&self) -> u64 {
        let given = self.tracestate.as_deref().and_then(|state| state.randomness);
        given.unwrap_or(randomness_of_id(self.trace_id))
    }
}

impl TraceState {
    /// Reads the members without what is around them, or returns `None` if the header is to be dropped.
    fn parse(header: &str) -> Option<Self> {
        if header.len() > TRACESTATE_BYTES_MAX {
            return None;
        }
        let members = header.split(',').map(|member| member.trim_matches([' ', '\t']));
        let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
        let is_valid = (1..=TRACESTATE_MEMBERS_MAX).contains(&members.len())
            && members.iter().all(|member| {
                member.split_once('=').is_some_and(|(key, value)| is_tracestate_member(key, value))
            });
        let ours = members.iter().find_map(|member| member.strip_prefix("ot="));
        let number = |name| ours.and_then(|ours| sub_value(ours, name));
        is_valid.then(|| Self {
            text: members.join(",").into(),
            randomness: number("rv").filter(|digits| digits.len() == DIGITS).and_then(left_digits),
            threshold: number("th").and_then(left_digits),
        })
    }

    /// Returns the members with this `th` in `ot`, or without one. A changed `ot` is the first member.
    /// The rightmost others are left out if there are more than allowed.
    fn text_with_threshold(&self, threshold: Option<u64>) -> Option<String> {
        let (ours, others): (Vec<&str>, Vec<&str>) =
            self.text.split(',').partition(|member| member.starts_with("ot="));
        let mut value = threshold.map_or_else(String::new, threshold_member);
        let given = ours.first().map_or("", |ours| &ours["ot=".len()..]);
        for sub in given.split(';').filter(|sub| !sub.is_empty() && !sub.starts_with("th:")) {
            if value.len() + 1 + sub.len() <= MEMBER_PART_BYTES_MAX {
                let separator = if value.is_empty() { "" } else { ";" };
                value.extend([separator, sub]);
            }
        }
        let ours = (!value.is_empty()).then(|| format!("ot={value}"));
        let members: Vec<&str> = ours.as_deref().into_iter().chain(others).collect();
        let members = &members[..members.len().min(TRACESTATE_MEMBERS_MAX)];
        (!members.is_empty()).then(|| members.join(","))
    }
}

/// Returns the value of a sub-key in the member `ot`.
fn sub_value<'v>(ours: &'v str, name: &str) -> Option<&'v str> {
    ours.split(';').find_map(|sub| sub.strip_prefix(name)?.strip_prefix(':'))
}

/// Reads 1 to 14 hexadecimal digits, as if zeros followed them to the end.
fn left_digits(digits: &str) -> Option<u64> {
    let are_digits =
        (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = are_digits.then(|| u64::from_str_radix(digits, 16).ok()).flatten()?;
    Some(number << (4 * (DIGITS - digits.len())))
}

fn is_tracestate_member(key: &str, value: &str) -> bool {
    let is_key_byte =
        |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    (1..=MEMBER_PART_BYTES_MAX).contains(&key.len())
        && matches!(key.as_bytes()[0], b'a'..=b'z' | b'0'..=b'9')
        && key.bytes().all(is_key_byte)
        && (1..=MEMBER_PART_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}
