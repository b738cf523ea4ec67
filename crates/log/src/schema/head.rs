//! The fields of a line read in their fixed order, without parsing `data` and `error`.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use memchr::memmem;
use simd_json::Node;

use super::fields::{FIELD_KEYS, FIELDS, field_index};
use super::shape::{FieldShape, StatusName};
use super::spelled::micros_of_usual_time;
use crate::json::{Json, JsonObject, node_of_spelled, unquoted};
use crate::json_skip::{is_plain_text, number_end, plain_string_end, value_end};

/// The fields before `data`. Each is one value without parts.
pub(super) const PLAIN_FIELDS: usize = field_index("data");
const TIMESTAMP: usize = field_index("timestamp");
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
    /// The place of the key of the first payload, or the end of the line.
    payloads: usize,
}

impl FieldPlaces {
    /// Finds the fields. Returns `None` if the whole line has to be parsed: it is not valid, has other
    /// members or another order than this library writes, or something unusual.
    pub(super) fn find(line: &[u8]) -> Option<Self> {
        if !is_plain_text(line) {
            return None;
        }
        let (places, mut next) = Self::find_plain(line)?;
        let mut at = places.payloads;
        // The last byte is that of the whole line.
        while at + 1 < line.len() {
            let field = field_at_key(line, at, next)?;
            let start = at + KEYS[field].length;
            if field < PLAIN_FIELDS || *line.get(start)? != b'{' {
                return None;
            }
            (at, next) = (value_end(line, start)?, field + 1);
            match *line.get(at)? {
                b',' if at + 2 < line.len() => at += 1,
                b'}' if at + 1 == line.len() => {}
                _ => return None,
            }
        }
        Some(places)
    }

    /// Finds the fields of a line that once was found whole, without looking at its payloads.
    pub(super) fn find_in_whole(line: &[u8]) -> Option<Self> {
        Self::find_plain(line).map(|(places, _)| places)
    }

    /// Finds the fields before the payloads, and which field may come next.
    fn find_plain(line: &[u8]) -> Option<(Self, usize)> {
        let mut places = Self { plain: [(0, 0); PLAIN_FIELDS], payloads: line.len() };
        if line.first() != Some(&b'{') || line.last() != Some(&b'}') {
            return None;
        }
        let (mut at, mut next) = match find_ids(line, &mut places.plain) {
            Some(at) => (at, TIMESTAMP + 1),
            None => {
                places.plain = [(0, 0); PLAIN_FIELDS];
                (1, 0)
            }
        };
        loop {
            let field = field_at_key(line, at, next)?;
            let start = at + KEYS[field].length;
            let Some(place) = places.plain.get_mut(field) else {
                places.payloads = at;
                return Some((places, field));
            };
            let end = match *line.get(start)? {
                b'"' => text_end(line, start + 1)?,
                b'0'..=b'9' => number_end(line, start)?,
                _ => return None,
            };
            *place = (u16::try_from(start).ok()?, u16::try_from(end).ok()?);
            next = field + 1;
            match *line.get(end)? {
                b',' => at = end + 1,
                b'}' if end + 1 == line.len() => return Some((places, next)),
                _ => return None,
            }
        }
    }
}

/// Finds the fields of an event up to its time, as this library writes them. Returns the place of the next
/// key.
fn find_ids(line: &[u8], plain: &mut [(u16, u16); PLAIN_FIELDS]) -> Option<usize> {
    const SEQ: usize = field_index("seq");
    const PARENT: usize = field_index("parent_span_id");
    const VERSION: &[u8] = concat!("\"", super::version!(), "\"").as_bytes();
    const VERSION_AT: usize = 1 + FIELD_KEYS[0].len();
    let version = line.get(1..)?.strip_prefix(FIELD_KEYS[0].as_bytes())?;
    version.starts_with(VERSION).then_some(())?;
    plain[0] = (VERSION_AT as u16, (VERSION_AT + VERSION.len()) as u16);
    let at = VERSION_AT + VERSION.len();
    let at = find_id::<{ field_index("instance") }, 16>(line, at, plain)?;
    let seq = value_after_comma::<SEQ>(line, at)?;
    // A negative one is none.
    let at = number_end(line, seq).filter(|_| line[seq] != b'-')?;
    plain[SEQ] = (seq as u16, at as u16);
    let at = find_id::<{ field_index("trace_id") }, 32>(line, at, plain)?;
    let at = find_id::<{ field_index("span_id") }, 16>(line, at, plain)?;
    let at = find_id::<PARENT, 16>(line, at, plain).unwrap_or(at);
    let at = find_id::<{ TIMESTAMP }, 27>(line, at, plain)?;
    (*line.get(at)? == b',').then_some(at + 1)
}

/// Finds a text of so many bytes, which follows a comma and has no escapes. Returns its end.
#[inline(always)]
fn find_id<const FIELD: usize, const LENGTH: usize>(
    line: &[u8],
    at: usize,
    plain: &mut [(u16, u16); PLAIN_FIELDS],
) -> Option<usize> {
    let start = value_after_comma::<FIELD>(line, at)?;
    let (quote, rest) = line.get(start..)?.split_first()?;
    let (text, rest) = rest.split_first_chunk::<LENGTH>()?;
    let (first, last) = (text.first_chunk::<16>()?, text.last_chunk::<16>()?);
    // Without an early exit, so that the compiler uses vectors.
    let is_plain = |block: &[u8; 16]| {
        block.iter().fold(true, |plain, byte| plain & (*byte != b'"') & (*byte != b'\\'))
    };
    let is_found =
        *quote == b'"' && rest.first() == Some(&b'"') && is_plain(first) & is_plain(last);
    is_found.then(|| {
        let end = start + LENGTH + 2;
        // A line of this library has its ids at its beginning.
        plain[FIELD] = (start as u16, end as u16);
        end
    })
}

/// Returns the beginning of the value of a field, if its key is there after a comma.
#[inline(always)]
fn value_after_comma<const FIELD: usize>(line: &[u8], at: usize) -> Option<usize> {
    let key = line.get(at..)?.strip_prefix(b",")?;
    key.starts_with(FIELD_KEYS[FIELD].as_bytes()).then(|| at + 1 + FIELD_KEYS[FIELD].len())
}

/// Returns the end of a string without escapes whose content begins at `at`, after its quote.
#[inline]
fn text_end(line: &[u8], at: usize) -> Option<usize> {
    let end = plain_string_end(line, at)?;
    // A string with an escape has another value than its bytes.
    (line[end] == b'"').then_some(end + 1)
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
        // In most lines the payload follows soon.
        return match KEYS.get(next)? {
            key if is_at(key) => Some(next),
            _ if next < PLAIN_FIELDS && is_at(&KEYS[PLAIN_FIELDS]) => Some(PLAIN_FIELDS),
            _ => (next + 1..KEYS.len()).find(|field| is_at(&KEYS[*field])),
        };
    }
    (next..KEYS.len()).find(|field| rest.starts_with(FIELD_KEYS[*field].as_bytes()))
}

/// The fields of a line.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The line up to its first payload.
    text: &'a [u8],
    plain: [(u16, u16); PLAIN_FIELDS],
    payloads: Payloads<'a>,
}

impl<'a> Head<'a> {
    /// Takes the line apart. `places` were found in it.
    pub(super) fn of(line: &'a mut [u8], places: FieldPlaces) -> Self {
        // The comma before the payloads is theirs.
        let cut = if places.payloads < line.len() { places.payloads - 1 } else { line.len() };
        let (text, payloads) = line.split_at_mut(cut);
        Self { text, plain: places.plain, payloads: Payloads::new(payloads) }
    }

    /// The value of a field. `None` if the line lacks it.
    #[inline]
    pub(super) fn field(&self, field: usize) -> Option<Json<'_>> {
        match self.spelled(field) {
            Some(text) => Json::from_spelled(text),
            None => self.payload(field),
        }
    }

    /// The text of a plain field as it is spelled.
    #[inline]
    pub(super) fn spelled(&self, field: usize) -> Option<&'a [u8]> {
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
        let is_text = |field| spelled(field).is_some_and(|text| text.starts_with(b"\""));
        let is_number = |field| spelled(field).is_none_or(|text| !text.starts_with(b"\""));
        let is_whole =
            |field| is_number(field) && spelled(field).is_none_or(|n| !n.contains(&b'.'));
        let is_id = |field, digits| spelled(field).is_some_and(|id| is_full_id(id, digits));
        spelled(const { at("event_version") }) == Some(b"\"3.0\"".as_slice())
            && is_id(const { at("instance") }, 16)
            && spelled(const { at("seq") }).is_some()
            && is_whole(const { at("seq") })
            && is_id(const { at("trace_id") }, 32)
            && is_id(const { at("span_id") }, 16)
            && spelled(const { at("parent_span_id") }).is_none_or(|id| is_full_id(id, 16))
            && spelled(const { at("timestamp") })
                .is_some_and(|time| unquoted(time).and_then(micros_of_usual_time).is_some())
            && is_text(const { at("event_type") })
            && is_text(const { at("agent") })
            && is_text(const { at("action") })
            && spelled(const { at("status") }).and_then(StatusName::read_spelled).is_some()
            && is_number(const { at("latency_ms") })
            && is_whole(const { at("tokens_input") })
            && is_whole(const { at("tokens_output") })
            && spelled(const { at("cost_usd") }).is_none()
            && spelled(const { at("kept") }).is_none()
    }

    /// Whether a member with this name may be in the payloads.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.payloads.may_have(name.as_bytes())
    }

    fn payload(&self, field: usize) -> Option<Json<'_>> {
        (field >= PLAIN_FIELDS).then(|| self.payloads.object()?.json().get(FIELDS[field].name))?
    }

    /// All fields as one object.
    pub(super) fn to_object(&self) -> JsonObject<'a> {
        let mut nodes = vec![Node::Object { len: 0, count: 0 }];
        for (at, field) in FIELDS.iter().enumerate() {
            if let Some(value) = self.spelled(at).and_then(node_of_spelled) {
                nodes.extend([Node::String(field.name), value]);
            }
        }
        let payloads = self.payloads.object();
        let len =
            (nodes.len() - 1) / 2 + payloads.map_or(0, |object| object.json().members().count());
        nodes.extend(payloads.iter().flat_map(|object| &object.nodes()[1..]).copied());
        nodes[0] = Node::Object { len, count: nodes.len() - 1 };
        JsonObject::from_nodes(nodes)
    }
}

/// Whether it is an id in quotes, of so many lower-case digits that are not all zero.
fn is_full_id(spelled: &[u8], digits: usize) -> bool {
    let Some((b'"', id)) = spelled.split_first() else { return false };
    // Without an early exit, so that the compiler uses vectors.
    let (is_hex, bits) =
        id[..id.len().saturating_sub(1)].iter().fold((true, 0), |(is_hex, bits), digit| {
            let is_digit = digit.wrapping_sub(b'0') < 10 || digit.wrapping_sub(b'a') < 6;
            (is_hex & is_digit, bits | digit)
        });
    // A zero has no other bits than `0`.
    spelled.len() == digits + 2 && is_hex && bits != b'0'
}

/// The payloads of a line as one object, which is parsed when it is asked for.
struct Payloads<'a> {
    text: Mutex<Option<&'a mut [u8]>>,
    object: OnceLock<Option<JsonObject<'a>>>,
}

impl<'a> Payloads<'a> {
    /// `text` is the rest of the line, from the comma before the first payload.
    fn new(text: &'a mut [u8]) -> Self {
        Self { text: Mutex::new(Some(text)), object: OnceLock::new() }
    }

    /// Whether a member with this name may be in them. Once they are parsed, nothing is known.
    fn may_have(&self, name: &[u8]) -> bool {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        // A name can be spelled with escapes.
        let may_have = |text: &[u8]| {
            memmem::find(text, name).is_some() || memmem::find(text, b"\\u").is_some()
        };
        text.as_deref().is_none_or(may_have)
    }

    fn object(&self) -> Option<&JsonObject<'a>> {
        let parse = || {
            let text = self.text.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            *text.first_mut()? = b'{';
            // It was stepped over, so it is valid.
            JsonObject::parse(text, "payload").ok()
        };
        self.object.get_or_init(parse).as_ref()
    }
}

impl fmt::Debug for Payloads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payloads").finish_non_exhaustive()
    }
}
