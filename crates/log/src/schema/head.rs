//! The fields of a line read in their fixed order, without parsing `data` and `error`.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use simd_json::{Node, StaticNode};

use super::fields::{FIELD_KEYS, FIELDS, field_index};
use crate::json::{Json, JsonObject};
use crate::json_skip::{is_plain_text, number_end, string_end, value_end};

/// The fields before `data`. Each is one value without parts.
const PLAIN_FIELDS: usize = field_index("data");
const ERROR: usize = field_index("error");
const _: () = assert!(PLAIN_FIELDS + 2 == FIELDS.len() && ERROR == PLAIN_FIELDS + 1);

/// Where the value of each field is in a line; an empty range if the line lacks it.
pub(super) struct FieldPlaces([(u32, u32); FIELDS.len()]);

impl FieldPlaces {
    /// Finds the fields. Returns `None` if the whole line has to be parsed: it is not valid, has other
    /// members or another order than this library writes, or something unusual.
    pub(super) fn find(line: &[u8]) -> Option<Self> {
        let mut places = [(0, 0); FIELDS.len()];
        let (mut at, mut field) = (1, 0);
        if line.first() != Some(&b'{') || !is_plain_text(line) {
            return None;
        }
        loop {
            let rest = line.get(at..)?;
            while !rest.starts_with(FIELD_KEYS.get(field)?.as_bytes()) {
                field += 1;
            }
            let start = at + FIELD_KEYS[field].len();
            let is_string = *line.get(start)? == b'"';
            at = match (field < PLAIN_FIELDS, line[start]) {
                (true, b'"') => string_end(line, start + 1)?,
                (true, b'0'..=b'9') => number_end(line, start)?,
                (false, b'{') => value_end(line, start)?,
                _ => return None,
            };
            let quote = u32::from(is_string);
            let (from, to) = (u32::try_from(start).ok()? + quote, u32::try_from(at).ok()? - quote);
            if is_string && memchr::memchr(b'\\', &line[from as usize..to as usize]).is_some() {
                return None;
            }
            places[field] = (u32::try_from(start).ok()?, u32::try_from(at).ok()?);
            field += 1;
            match *line.get(at)? {
                b',' => at += 1,
                b'}' if at + 1 == line.len() => return Some(Self(places)),
                _ => return None,
            }
        }
    }

    fn range(&self, field: usize) -> Option<std::ops::Range<usize>> {
        let (from, to) = self.0[field];
        (from < to).then_some(from as usize..to as usize)
    }

    /// The text of a field as it is spelled.
    pub(super) fn spelled<'l>(&self, line: &'l [u8], field: usize) -> Option<&'l str> {
        std::str::from_utf8(&line[self.range(field)?]).ok()
    }
}

/// The fields of a line.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// `null` where the line lacks the field.
    plain: [Node<'a>; PLAIN_FIELDS],
    payloads: [Payload<'a>; 2],
}

impl<'a> Head<'a> {
    /// Takes the line apart. `places` were found in it.
    pub(super) fn of(line: &'a mut [u8], places: &FieldPlaces) -> Self {
        let [data, error] = [PLAIN_FIELDS, ERROR].map(|field| places.range(field));
        let ends = [&data, &error].map(|range| range.as_ref().map_or(usize::MAX, |r| r.start));
        let cut = ends[0].min(ends[1]).min(line.len());
        let (head, rest) = line.split_at_mut(cut);
        let head = std::str::from_utf8(head).expect("the line is plain text");
        let node = |field| places.range(field).and_then(|range| node_of(&head[range]));
        let plain =
            std::array::from_fn(|field| node(field).unwrap_or(Node::Static(StaticNode::Null)));
        let (first, second) =
            rest.split_at_mut(error.as_ref().map_or(rest.len(), |r| r.start - cut));
        let data = data.map(|range| &mut first[..range.len()]);
        let error = error.map(|range| &mut second[..range.len()]);
        Self { plain, payloads: [data, error].map(Payload::new) }
    }

    /// The value of a field. `None` if the line lacks it.
    #[inline]
    pub(super) fn field(&self, field: usize) -> Option<Json<'_>> {
        match self.plain.get(field) {
            Some(Node::Static(StaticNode::Null)) => None,
            Some(node) => Some(Json::from_node(node)),
            None => self.payloads.get(field - PLAIN_FIELDS)?.object().map(JsonObject::json),
        }
    }

    /// All fields as one object.
    pub(super) fn to_object(&self) -> JsonObject<'a> {
        let mut nodes = vec![Node::Object { len: 0, count: 0 }];
        let mut members = 0;
        for (at, field) in FIELDS.iter().enumerate() {
            let value = match self.plain.get(at) {
                Some(Node::Static(StaticNode::Null)) => continue,
                Some(node) => std::slice::from_ref(node),
                None => match self.payloads[at - PLAIN_FIELDS].object() {
                    Some(object) => object.nodes(),
                    None => continue,
                },
            };
            members += 1;
            nodes.push(Node::String(field.name));
            nodes.extend_from_slice(value);
        }
        nodes[0] = Node::Object { len: members, count: nodes.len() - 1 };
        JsonObject::from_nodes(nodes)
    }
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
        let object = if text.is_none() { OnceLock::from(None) } else { OnceLock::new() };
        Self { text: Mutex::new(text), object }
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
