//! The fields of a line read in their fixed order, without parsing `data` and `error`.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use simd_json::{Node, StaticNode};

use super::Status;
use super::fields::{FIELD_KEYS, FIELDS, field_index};
use super::shape::micros_of_usual_time;
use crate::json::{Json, JsonObject};
use crate::json_skip::{is_plain_text, number_end, plain_string_end, value_end};

/// The fields before `data`. Each is one value without parts.
pub(super) const PLAIN_FIELDS: usize = field_index("data");
const ERROR: usize = field_index("error");
const _: () = assert!(PLAIN_FIELDS + 2 == FIELDS.len() && ERROR == PLAIN_FIELDS + 1);

/// The bytes of a key that are compared at once. Longer keys have one more.
const KEY_BYTES: usize = 16;

/// What the next bytes are compared with to find a key.
#[derive(Clone, Copy)]
struct KeyPattern {
    bytes: u128,
    mask: u128,
    length: usize,
}

const KEYS: [KeyPattern; FIELDS.len()] = {
    let mut keys = [KeyPattern { bytes: 0, mask: 0, length: 0 }; FIELDS.len()];
    let mut field = 0;
    while field < FIELDS.len() {
        let (key, mut at) = (FIELD_KEYS[field].as_bytes(), 0);
        assert!(key.len() <= KEY_BYTES + 1, "a longer key needs another comparison");
        while at < key.len() && at < KEY_BYTES {
            keys[field].bytes |= (key[at] as u128) << (8 * at);
            keys[field].mask |= 0xFF << (8 * at);
            at += 1;
        }
        keys[field].length = key.len();
        field += 1;
    }
    keys
};

/// The places of the values of a line; an empty range if the line lacks the field.
pub(super) struct FieldPlaces {
    plain: [(u16, u16); PLAIN_FIELDS],
    payloads: [(usize, usize); 2],
}

impl FieldPlaces {
    /// Finds the fields. Returns `None` if the whole line has to be parsed: it is not valid, has other
    /// members or another order than this library writes, or something unusual.
    pub(super) fn find(line: &[u8]) -> Option<Self> {
        let mut places = Self { plain: [(0, 0); PLAIN_FIELDS], payloads: [(0, 0); 2] };
        if line.first() != Some(&b'{') || !is_plain_text(line) {
            return None;
        }
        let (mut at, mut next) = (1, 0);
        loop {
            let field = field_at_key(line, at, next)?;
            let start = at + KEYS[field].length;
            let first = *line.get(start)?;
            at = match (places.plain.get_mut(field), first) {
                (Some(place), b'"') => {
                    let end = plain_string_end(line, start + 1)?;
                    // A string with an escape has another value than its bytes.
                    if line[end] != b'"' {
                        return None;
                    }
                    *place = (u16::try_from(start).ok()?, u16::try_from(end + 1).ok()?);
                    end + 1
                }
                (Some(place), b'0'..=b'9') => {
                    let end = number_end(line, start)?;
                    *place = (u16::try_from(start).ok()?, u16::try_from(end).ok()?);
                    end
                }
                (None, b'{') => {
                    let end = value_end(line, start)?;
                    places.payloads[field - PLAIN_FIELDS] = (start, end);
                    end
                }
                _ => return None,
            };
            next = field + 1;
            match *line.get(at)? {
                b',' => at += 1,
                b'}' if at + 1 == line.len() => return Some(places),
                _ => return None,
            }
        }
    }
}

/// Returns which field begins at `at`, of those from `next` on.
#[inline]
fn field_at_key(line: &[u8], at: usize, next: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    if let Some(bytes) = rest.first_chunk::<{ KEY_BYTES + 1 }>()
        && let Some((bytes, last)) = bytes.split_first_chunk::<KEY_BYTES>()
    {
        let bytes = u128::from_le_bytes(*bytes);
        let is_at = |key: &KeyPattern| {
            (bytes ^ key.bytes) & key.mask == 0 && (key.length <= KEY_BYTES || last == b":")
        };
        return (next..KEYS.len()).find(|field| is_at(&KEYS[*field]));
    }
    (next..KEYS.len()).find(|field| rest.starts_with(FIELD_KEYS[*field].as_bytes()))
}

/// The fields of a line.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The line up to its first payload.
    text: &'a str,
    plain: [(u16, u16); PLAIN_FIELDS],
    payloads: [Payload<'a>; 2],
}

impl<'a> Head<'a> {
    /// Takes the line apart. `places` were found in it.
    pub(super) fn of(line: &'a mut [u8], places: FieldPlaces) -> Self {
        let [data, error] = places.payloads.map(|(start, end)| (start < end).then_some(start..end));
        let start = |range: &Option<Range<usize>>| range.as_ref().map(|range| range.start);
        let cut = start(&data).or(start(&error)).unwrap_or(line.len());
        let (text, rest) = line.split_at_mut(cut);
        let (first, second) = rest.split_at_mut(start(&error).map_or(rest.len(), |at| at - cut));
        let data = data.map(|range| &mut first[..range.len()]);
        let error = error.map(|range| &mut second[..range.len()]);
        // Checked once more, which is cheaper than to check every field that is asked for.
        let text = std::str::from_utf8(text).expect("the line is plain text");
        Self { text, plain: places.plain, payloads: [data, error].map(Payload::new) }
    }

    /// The value of a field. `None` if the line lacks it.
    #[inline]
    pub(super) fn field(&self, field: usize) -> Option<Json<'_>> {
        match self.spelled(field) {
            Some(text) => node_of(text).map(Json::from_node),
            None => self.payload(field).map(JsonObject::json),
        }
    }

    /// The text of a plain field as it is spelled.
    #[inline]
    pub(super) fn spelled(&self, field: usize) -> Option<&'a str> {
        let (start, end) = *self.plain.get(field).filter(|(start, end)| start < end)?;
        self.text.get(usize::from(start)..usize::from(end))
    }

    /// Whether the line is an event exactly as this library writes it, so that no field has a fault. `false`
    /// says nothing.
    pub(super) fn is_faultless_event(&self) -> bool {
        const fn at(name: &str) -> usize {
            field_index(name)
        }
        let spelled = |field| self.spelled(field);
        let is_text = |field| spelled(field).is_some_and(|text| text.starts_with('"'));
        let is_number = |field| spelled(field).is_none_or(|text| !text.starts_with('"'));
        let is_whole = |field| is_number(field) && spelled(field).is_none_or(|n| !n.contains('.'));
        let is_id = |field, digits| spelled(field).is_some_and(|id| is_full_id(id, digits));
        let status = spelled(const { at("status") }).map(|name| name.trim_matches('"'));
        spelled(const { at("event_version") }) == Some("\"3.0\"")
            && is_id(const { at("instance") }, 16)
            && spelled(const { at("seq") }).is_some()
            && is_whole(const { at("seq") })
            && is_id(const { at("trace_id") }, 32)
            && is_id(const { at("span_id") }, 16)
            && spelled(const { at("parent_span_id") }).is_none_or(|id| is_full_id(id, 16))
            && spelled(const { at("timestamp") })
                .is_some_and(|time| micros_of_usual_time(time.trim_matches('"')).is_some())
            && is_text(const { at("event_type") })
            && is_text(const { at("agent") })
            && is_text(const { at("action") })
            && is_text(const { at("status") })
            && status.and_then(Status::from_name).is_some()
            && is_number(const { at("latency_ms") })
            && is_whole(const { at("tokens_input") })
            && is_whole(const { at("tokens_output") })
            && spelled(const { at("cost_usd") }).is_none()
            && spelled(const { at("kept") }).is_none()
    }

    fn payload(&self, field: usize) -> Option<&JsonObject<'a>> {
        self.payloads.get(field.checked_sub(PLAIN_FIELDS)?)?.object()
    }

    /// All fields as one object.
    pub(super) fn to_object(&self) -> JsonObject<'a> {
        let mut nodes = vec![Node::Object { len: 0, count: 0 }];
        let mut members = 0;
        for (at, field) in FIELDS.iter().enumerate() {
            let (value, payload) = (self.spelled(at).and_then(node_of), self.payload(at));
            if value.is_none() && payload.is_none() {
                continue;
            }
            members += 1;
            nodes.push(Node::String(field.name));
            nodes.extend(value);
            nodes.extend_from_slice(payload.map_or(&[], JsonObject::nodes));
        }
        nodes[0] = Node::Object { len: members, count: nodes.len() - 1 };
        JsonObject::from_nodes(nodes)
    }
}

/// Whether it is an id in quotes, of so many lower-case digits that are not all zero.
fn is_full_id(spelled: &str, digits: usize) -> bool {
    let Some((b'"', id)) = spelled.as_bytes().split_first() else { return false };
    // Without an early exit, so that the compiler uses vectors.
    let (is_hex, bits) =
        id[..id.len().saturating_sub(1)].iter().fold((true, 0), |(is_hex, bits), digit| {
            let is_digit = digit.wrapping_sub(b'0') < 10 || digit.wrapping_sub(b'a') < 6;
            (is_hex & is_digit, bits | digit)
        });
    // A zero has no other bits than `0`.
    spelled.len() == digits + 2 && is_hex && bits != b'0'
}

/// A string without escapes, or a number from 0.
fn node_of(text: &str) -> Option<Node<'_>> {
    Some(match text.strip_prefix('"') {
        Some(text) => Node::String(text.strip_suffix('"')?),
        None if text.contains('.') => Node::Static(StaticNode::F64(text.parse().ok()?)),
        None => Node::Static(StaticNode::U64(text.parse().ok()?)),
    })
}

/// An object that is parsed when it is asked for.
struct Payload<'a> {
    text: Mutex<Option<&'a mut [u8]>>,
    object: OnceLock<Option<JsonObject<'a>>>,
}

impl<'a> Payload<'a> {
    fn new(text: Option<&'a mut [u8]>) -> Self {
        Self { text: Mutex::new(text), object: OnceLock::new() }
    }

    fn object(&self) -> Option<&JsonObject<'a>> {
        let parse = || {
            let text = self.text.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            // It was stepped over, so it is valid.
            JsonObject::parse(text, "payload").ok()
        };
        self.object.get_or_init(parse).as_ref()
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").finish_non_exhaustive()
    }
}
