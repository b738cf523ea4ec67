//! Takes the content out of a record whose trace has not failed.

use std::borrow::Cow;

use super::decode::{MalformedRecord, RecordCursor};
use super::{COUNTED, END, ERROR, HEAD_BYTES, MAP, PAYLOAD, flag};

/// What every placeholder of the redactor begins with.
const PLACEHOLDER: &str = "[REDACTED";
/// The place of the flags in the head.
const FLAGS_AT: usize = 2;

/// The member of an error that is content: what the step was given.
const SNAPSHOT: &str = "input_snapshot";

/// Returns the record without the members of its data that are content, and without the snapshot of its error.
/// If no other member of the data is left, it has none.
///
/// # Errors
///
/// Returns an error if the bytes are not a record.
pub(crate) fn without_content(record: &[u8]) -> Result<Vec<u8>, MalformedRecord> {
    let mut cursor = RecordCursor(record);
    let head: [u8; HEAD_BYTES] = cursor.array()?;
    let has = |flag| head[FLAGS_AT] & flag != 0;
    let mut bare = record.to_vec();
    if !has(flag::CONTENT) {
        return Ok(bare);
    }
    if has(flag::COST) {
        cursor.take(16)?;
    }
    cursor.skip_names(head[0])?;
    bare.truncate(record.len() - cursor.0.len());
    bare[FLAGS_AT] &= !flag::CONTENT;
    let names = cursor.names()?;
    if has(flag::ERROR) {
        append_error(&mut bare, &mut cursor)?;
    }
    if has(flag::DATA) && !append_other_members(&mut bare, cursor, &names)? {
        bare[FLAGS_AT] &= !flag::DATA;
    }
    Ok(bare)
}

/// Appends an error without its snapshot, and leaves what comes after it.
fn append_error(bare: &mut Vec<u8>, error: &mut RecordCursor<'_>) -> Result<(), MalformedRecord> {
    let whole = error.0;
    match whole {
        [MAP, ..] | [ERROR, MAP, ..] => {
            let (tags, members) = whole.split_at(if whole[0] == MAP { 1 } else { 2 });
            bare.extend_from_slice(tags);
            error.0 = members;
            append_members(bare, error, |name| name == SNAPSHOT)?;
            bare.push(END);
        }
        _ => {
            error.skip_value()?;
            bare.extend_from_slice(&whole[..whole.len() - error.0.len()]);
        }
    }
    Ok(())
}

/// Appends data without the members of these names. Returns whether there are others; if not, it appends nothing.
fn append_other_members(
    bare: &mut Vec<u8>,
    mut data: RecordCursor<'_>,
    names: &[Cow<'_, str>],
) -> Result<bool, MalformedRecord> {
    let Some(counted) = data.0.strip_prefix(&[COUNTED]) else {
        return append_payload(bare, &mut data, names);
    };
    let start = bare.len();
    bare.push(COUNTED);
    data.0 = counted;
    let mut has_others =
        data.0.first() == Some(&PAYLOAD) && append_payload(bare, &mut data, names)?;
    // What the event has beside its payload is never content.
    has_others |= data.0 != [END];
    match has_others {
        true => bare.extend_from_slice(data.0),
        false => bare.truncate(start),
    }
    Ok(has_others)
}

/// Appends a payload without these members, as [`append_other_members`] does, and leaves what comes after it.
fn append_payload(
    bare: &mut Vec<u8>,
    data: &mut RecordCursor<'_>,
    names: &[Cow<'_, str>],
) -> Result<bool, MalformedRecord> {
    let (start, whole) = (bare.len(), data.0);
    let Some(members) = data.0.strip_prefix(&[PAYLOAD, MAP]) else {
        // A placeholder, or what a caller gave in place of an object, which the line has as `value`.
        data.skip_value()?;
        if names.iter().any(|name| name == "value") {
            return Ok(false);
        }
        bare.extend_from_slice(&whole[..whole.len() - data.0.len()]);
        return Ok(true);
    };
    bare.extend_from_slice(&[PAYLOAD, MAP]);
    data.0 = members;
    append_members(bare, data, |name| is_content(name, names))?;
    let has_others = bare.len() > start + 2;
    match has_others {
        true => bare.push(END),
        false => bare.truncate(start),
    }
    Ok(has_others)
}

/// Appends the members of an object that stay, without its end, and leaves what comes after that.
fn append_members(
    bare: &mut Vec<u8>,
    members: &mut RecordCursor<'_>,
    is_left_out: impl Fn(&str) -> bool,
) -> Result<(), MalformedRecord> {
    while !members.skip_tag(END)? {
        let member = members.0;
        let name = members.string()?;
        members.skip_value()?;
        if !is_left_out(&name) {
            bare.extend_from_slice(&member[..member.len() - members.0.len()]);
        }
    }
    Ok(())
}

/// Whether a member of this name is content. Names that redact alike are numbered, and the list of names does not
/// say in which order. So if redaction changed one of its names, all names that it changed are content.
fn is_content(name: &str, names: &[Cow<'_, str>]) -> bool {
    let is_redacted = |name: &str| name.contains(PLACEHOLDER);
    names.iter().any(|content| name == content || is_redacted(name) && is_redacted(content))
}
