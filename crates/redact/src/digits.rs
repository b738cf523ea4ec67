//! What a name says about sixteen digits: the id of a span or a trace, or a time in microseconds.

/// The number of digits of a card of the floor.
pub(super) const CARD_DIGITS: usize = 16;

/// Returns whether these digits, alone in a string, are a time in microseconds.
pub(super) fn is_microseconds(digits: &[u8]) -> bool {
    let range = *b"1500000000000000"..=*b"2099999999999999";
    digits.iter().all(u8::is_ascii_digit)
        && digits.try_into().is_ok_and(|digits: [u8; CARD_DIGITS]| range.contains(&digits))
}

/// Returns whether a name is that of the id of a span or a trace: `span_id`, `parentSpanId`.
pub(super) fn is_id_name(name: &[u8]) -> bool {
    ends_with_any(name, &[b"spanid", b"span_id", b"span-id", b"traceid", b"trace_id", b"trace-id"])
}

/// Returns whether a name is that of a time, by its end.
pub(super) fn is_time_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 15] = [
        b"ts", b"time", b"stamp", b"epoch", b"start", b"end", b"since", b"until", b"at", b"date",
        b"created", b"updated", b"expires", b"us", b"micros",
    ];
    ends_with_any(name, &ENDS)
}

fn ends_with_any(name: &[u8], ends: &[&[u8]]) -> bool {
    ends.iter().any(|end| {
        name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
    })
}
