//! Ids and times made of digits: the form of a UUID, and what a name says about sixteen digits.

/// The number of digits of a card of the floor.
pub(super) const CARD_DIGITS: usize = 16;

/// The length of a UUID.
pub(super) const UUID_BYTES: usize = 36;

/// Returns whether this is hexadecimal digits in the groups of a UUID, of any version.
pub(super) fn has_uuid_form(uuid: &[u8; UUID_BYTES]) -> bool {
    uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Returns whether these digits, alone in a string, are a time in microseconds.
pub(super) fn is_microseconds(digits: &[u8]) -> bool {
    let range = *b"1500000000000000"..=*b"2099999999999999";
    digits.iter().all(u8::is_ascii_digit)
        && digits.try_into().is_ok_and(|digits: [u8; CARD_DIGITS]| range.contains(&digits))
}

/// Returns whether a name is that of the id of a span or a trace: `span_id`, `parentSpanId`, `trace.id`.
pub(super) fn is_id_name(name: &[u8]) -> bool {
    let Some((of, id)) = name.split_last_chunk::<2>() else { return false };
    let of =
        of.strip_suffix(b"_").or(of.strip_suffix(b"-")).or(of.strip_suffix(b".")).unwrap_or(of);
    id.eq_ignore_ascii_case(b"id") && ends_with_any(of, &[b"span", b"trace", b"parent"])
}

/// Returns whether a name is that of a time, by its end.
pub(super) fn is_time_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 34] = [
        b"ts",
        b"time",
        b"stamp",
        b"epoch",
        b"start",
        b"end",
        b"since",
        b"until",
        b"at",
        b"date",
        b"created",
        b"updated",
        b"expires",
        b"us",
        b"micros",
        b"started",
        b"ended",
        b"begin",
        b"began",
        b"finish",
        b"finished",
        b"completed",
        b"stopped",
        b"modified",
        b"changed",
        b"seen",
        b"received",
        b"observed",
        b"issued",
        b"expiry",
        b"deadline",
        b"when",
        b"now",
        b"usec",
    ];
    ends_with_any(name, &ENDS)
}

fn ends_with_any(name: &[u8], ends: &[&[u8]]) -> bool {
    ends.iter().any(|end| {
        name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
    })
}
