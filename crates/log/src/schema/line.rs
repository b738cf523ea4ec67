//! One line of a log, read field by field.

use std::sync::{LazyLock, OnceLock};

use memchr::memmem;

use super::fields::{field_index, field_named};
use super::head::{FieldPlaces, Head, PLAIN_FIELDS};
use crate::error::Error;
use crate::json::{Json, JsonObject, string_before_quote, unquoted};
use crate::schema::notices;
use crate::schema::{
    FIELDS, FaultCheck, Field, FieldShape, Presence, Time, Usd, VERSION, is_llm_call,
};

/// Parses one line, with or without its newline.
///
/// `line` is unescaped in place and is scratch space afterwards. Needs up to thirty times the
/// line's bytes while it parses, if the line consists of brackets and commas.
///
/// # Errors
///
/// The bytes are not UTF-8, not JSON or not an object, or nest deeper than
/// [`DEPTH_MAX`](crate::DEPTH_MAX). The
/// message says what and at which byte, and never quotes the line. Nothing makes it panic.
///
/// # Examples
///
/// ```
/// let mut bytes = br#"{"event_type":"cache.hit","agent":"a","action":"get","status":"ok"}"#.to_vec();
/// let line = llm_audit_log::parse(&mut bytes)?;
/// assert_eq!(line.event_type(), Some("cache.hit"));
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
pub fn parse(line: &mut [u8]) -> Result<Line<'_>, Error> {
    match FieldPlaces::find(line) {
        Some(places) => Ok(Line::of_places(line, places)),
        None => parse_whole(line),
    }
}

/// Parses a line as [`parse`] does, if it is one of which [`is_in_order`](Line::is_in_order) was once true.
/// What was found whole then is not checked again.
pub(crate) fn parse_in_order(line: &mut [u8]) -> Result<Line<'_>, Error> {
    match FieldPlaces::find_in_whole(line) {
        Some(places) => Ok(Line::of_places(line, places)),
        None => parse(line),
    }
}

/// Parses a line as [`parse`] does, without reading ahead what can be read in the order of the schema. For
/// lines that are seldom in that order.
#[doc(hidden)]
pub fn parse_whole(line: &mut [u8]) -> Result<Line<'_>, Error> {
    let cost_usd = find_spelled_cost(line).and_then(|spelled| spelled.parse().ok());
    let object = JsonObject::parse(line, "log line")?;
    let (places, has_extra) = find_fields(&object);
    Ok(Line { head: None, whole: OnceLock::from(object), places, has_extra, cost_usd })
}

/// Finds the value of each field among the nodes of a line. The last member of a name counts. A field that is
/// missing or `null` has the place 0. Also returns whether there is a member that the schema does not know.
fn find_fields(object: &JsonObject<'_>) -> ([u32; FIELDS.len()], bool) {
    let (mut places, mut has_extra) = ([0; FIELDS.len()], false);
    for (name, place, value) in object.member_places() {
        match field_named(name) {
            // A line has at most 64 MiB.
            Some(field) if !value.is_null() => {
                places[field] = u32::try_from(place).unwrap_or(0);
            }
            Some(field) => places[field] = 0,
            None => has_extra = true,
        }
    }
    (places, has_extra)
}

const COST_USD: usize = field_index("cost_usd");
const INSTANCE: usize = field_index("instance");
const EVENT_TYPE: usize = field_index("event_type");
const TIMESTAMP: usize = field_index("timestamp");

/// Finds the last cost in the object itself, as it is spelled. If `line` is not JSON, the result means nothing
/// and is not used.
fn find_spelled_cost(line: &[u8]) -> Option<&str> {
    static COST_NAME: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new("cost_usd"));
    // Most lines have none.
    COST_NAME.find(line)?;
    let (mut depth, mut at, mut found) = (0_usize, 0, None);
    while let Some(byte) = line.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let text = string_before_quote(&line[at..]);
                at += text.len() + 1;
                if depth == 1 && text == b"cost_usd" {
                    found = number_after_colon(line.get(at..)?).or(found);
                }
            }
            _ => {}
        }
    }
    found
}

/// The number after a colon.
fn number_after_colon(text: &[u8]) -> Option<&str> {
    let value = text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let is_number = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    let end = value.iter().position(|b| !is_number(b)).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok().filter(|number| !number.is_empty())
}

/// One parsed line. Every field reads as absent if it is missing, `null` or of another type;
/// [`check`](Self::check) tells these apart.
#[derive(Debug)]
pub struct Line<'a> {
    /// The fields, if they are in the order of the schema. The line is then not parsed as a whole before
    /// somebody asks for that.
    head: Option<Head<'a>>,
    whole: OnceLock<JsonObject<'a>>,
    /// Where the fields of a line are that was parsed as a whole.
    places: [u32; FIELDS.len()],
    /// Whether such a line has a member that the schema does not know.
    has_extra: bool,
    /// As it is spelled in a line that was parsed as a whole; the tape has the nearest `f64`.
    cost_usd: Option<Usd>,
}

impl<'a> Line<'a> {
    /// Whether the event may have waited for the end of its trace before its line was written: because sampling
    /// left it out, or because it has content and its logger keeps that in failed traces alone.
    pub fn may_be_held(&self, holds_content: bool) -> bool {
        holds_content || self.kept() == Some("failed")
    }

    fn of_places(line: &'a mut [u8], places: FieldPlaces) -> Self {
        let head = Some(Head::of(line, places));
        let places = [0; FIELDS.len()];
        Self { head, whole: OnceLock::new(), places, has_extra: false, cost_usd: None }
    }

    /// Whether the line has its fields in the order of the schema, so that it was not parsed as a whole.
    pub(crate) fn is_in_order(&self) -> bool {
        self.head.is_some()
    }

    /// Whether a number may be one that a 64-bit integer or float does not hold, if it is spelled so.
    #[doc(hidden)]
    pub fn has_huge_number(&self) -> bool {
        self.whole.get().is_none_or(JsonObject::has_huge_number)
    }

    /// The whole line as an object.
    pub fn json(&self) -> Json<'_> {
        let whole = || self.head.as_ref().expect("it was parsed as a whole").to_object();
        self.whole.get_or_init(whole).json()
    }

    /// A field of the schema as the line has it, whatever its type. `None` if it is not there or `null`.
    pub fn field(&self, name: &str) -> Option<Json<'_>> {
        self.field_at(field_named(name)?)
    }

    /// A field of the schema, by its place in it, if it is not `null`.
    #[inline]
    pub(crate) fn field_at(&self, at: usize) -> Option<Json<'_>> {
        match &self.head {
            Some(head) => head.field(at),
            None => match self.places[at] {
                0 => None,
                place => self.whole.get()?.value_at(place as usize),
            },
        }
    }

    /// What a field of the schema holds, by its place in it.
    #[inline]
    pub(super) fn read_field<S: FieldShape>(&self, at: usize) -> Option<S::Read<'_>> {
        match self.spelled(at) {
            Some(text) => S::read_spelled(text),
            None => S::read(self.field_at(at)?),
        }
    }

    /// A plain field as it is spelled, if the line has its fields in the order of the schema.
    #[inline]
    pub(crate) fn spelled(&self, at: usize) -> Option<&[u8]> {
        self.head.as_ref()?.spelled(at)
    }

    /// `timestamp` as microseconds since the Unix epoch, whatever offset it was written with.
    pub fn timestamp(&self) -> Option<i64> {
        self.read_field::<Time>(TIMESTAMP)
    }

    /// `instance`, for comparing alone.
    pub(crate) fn instance_bytes(&self) -> Option<&[u8]> {
        match self.spelled(INSTANCE) {
            Some(text) => unquoted(text),
            None => self.instance().map(str::as_bytes),
        }
    }

    /// Whether the line is one of the log's own (`audit.*`, `alert.*`) and no event.
    pub fn is_own(&self) -> bool {
        match self.spelled(EVENT_TYPE) {
            Some(text) => unquoted(text).is_some_and(notices::is_own_type_name),
            None => self.event_type().is_some_and(notices::is_own_type_name),
        }
    }

    /// `cost_usd`, exactly as it is spelled. If it has more digits than a [`Usd`], or its name has an
    /// escape, the shortest digits of the nearest `f64` count. A cost below zero is not valid and returns `None`.
    pub fn cost_usd(&self) -> Option<Usd> {
        self.given_cost_usd().filter(|cost| !cost.is_negative())
    }

    /// The cost, valid or not.
    fn given_cost_usd(&self) -> Option<Usd> {
        let text = self.spelled(COST_USD).and_then(|text| std::str::from_utf8(text).ok());
        if let Some(exact) = text.and_then(|text| text.parse().ok()) {
            return Some(exact);
        }
        let nearest = self.field_at(COST_USD)?.as_f64()?;
        // The name may be there a second time, with an escape.
        let is_same = |cost: &Usd| (cost.as_f64() - nearest).abs() <= nearest.abs() * 1e-12;
        self.cost_usd.filter(is_same).or_else(|| nearest.try_into().ok())
    }

    /// Whether the line is a call of a model (`llm.invoke`, `llm.error`) that has tokens or a cost, even one that
    /// is not valid. Events of requests and agents repeat the sum of what is below them.
    pub fn is_paid(&self) -> bool {
        let has_tokens = || self.tokens_input().is_some() || self.tokens_output().is_some();
        self.event_type().is_some_and(is_llm_call)
            && (has_tokens() || self.given_cost_usd().is_some())
    }

    /// The model of a call, in `data`: `model`, else `response_model`, else the `model` of an answer that
    /// `record` reads.
    pub fn model(&self) -> Option<&str> {
        let data = self.data()?;
        let answers = self.answers().filter_map(|answer| answer.get("model"));
        let own = ["model", "response_model"].iter().filter_map(|name| data.get(name));
        own.chain(answers).find_map(Json::as_str)
    }

    /// Whether a member with this name may be anywhere in the payloads; found without parsing them, if they
    /// are not parsed yet.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.head.as_ref().is_none_or(|head| head.may_have(name))
    }

    /// The members of `data` that may be the answer of a provider.
    pub fn answers(&self) -> impl Iterator<Item = Json<'_>> + Clone {
        const ANSWERS: [&str; 4] = ["response", "answer", "completion", "result"];
        let data = self.data();
        ANSWERS.iter().filter_map(move |name| data?.get(name))
    }

    /// The message of `error`, in either of its forms.
    pub fn error_message(&self) -> Option<&str> {
        let error = self.error()?;
        error.as_str().or_else(|| error.get("message")?.as_str())
    }

    /// The top-level members that the schema does not know and that are not `null`.
    pub fn extra(&self) -> impl Iterator<Item = (&str, Json<'_>)> {
        // A line in the order of the schema has no other members.
        let json = self.has_extra.then(|| self.json());
        let members = json.into_iter().flat_map(Json::members);
        members.filter(|(name, json)| !json.is_null() && field_named(name).is_none())
    }

    /// Whether the line is an event that readers and `record` accept: the required fields are
    /// there, and every field of the schema that is there has its type. Short ids, `null` members,
    /// members the schema does not know, and lines without ids pass; `seq`, `instance` and `kept` may
    /// be anything, for another program may mean something else by them.
    ///
    /// # Errors
    ///
    /// The first field that is missing or wrong, by its name; never its value.
    pub fn check(&self) -> Result<(), Error> {
        match self.faults().next() {
            Some((name, fault)) => Err(Error::parse("event", format!("{name} {fault}"))),
            None => Ok(()),
        }
    }

    /// The fields for which [`check`](Self::check) refuses the line, and what is wrong with each,
    /// for a reader that accepts more.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let missing = self.missing_fields(Presence::is_required);
        let wrong =
            self.field_faults().filter(|(name, _)| !["seq", "instance", "kept"].contains(name));
        missing.map(|name| (name, "is missing")).chain(wrong)
    }

    /// The names of the fields that are not there, of those that have to be.
    fn missing_fields(&self, has_to: fn(Presence) -> bool) -> impl Iterator<Item = &'static str> {
        let fields = FIELDS.iter().enumerate();
        let missing = fields
            .filter(move |(at, field)| has_to(field.presence) && self.field_at(*at).is_none());
        missing.map(|(_, field)| field.name)
    }

    /// The fields of the schema that are there and wrong, and what is wrong with each.
    fn field_faults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.field_faults_by(|field| field.fault)
    }

    fn field_faults_by(
        &self,
        fault: fn(&Field) -> FaultCheck,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        // A payload that was stepped over is an object, which is never wrong.
        let count = if self.head.is_some() { PLAIN_FIELDS } else { FIELDS.len() };
        let fields = FIELDS.iter().enumerate().take(count);
        fields.filter_map(move |(at, field)| Some((field.name, fault(field)(self.field_at(at)?)?)))
    }

    /// Whether the line is an event that has none of the [`strict_faults`](Self::strict_faults), found faster.
    /// `false` says nothing.
    pub(crate) fn is_faultless_event(&self) -> bool {
        self.head.as_ref().is_some_and(Head::is_faultless_event)
    }

    /// The same by the stricter rules for a line that this library wrote: ids in full and in lower
    /// case, `data` and `error` objects, and what every such line has is there.
    pub(crate) fn strict_faults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let missing = self.missing_fields(match self.is_own() {
            true => Presence::is_in_notices,
            false => Presence::is_in_events,
        });
        let missing = missing.map(|name| (name, "is missing"));
        let version = self.event_version().filter(|version| *version != VERSION);
        let version = version.map(|_| ("event_version", "is not \"3.0\""));
        self.field_faults()
            .chain(missing)
            .chain(self.field_faults_by(|field| field.id_fault))
            .chain(self.field_faults_by(|field| field.object_fault))
            .chain(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::DEPTH_MAX;
    use crate::schema::Status;

    const FULL: &str = r#"{"event_version":"3.0","instance":"00112233445566ff","seq":7,
        "trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00f067aa0ba902b7",
        "parent_span_id":"b7ad6b71","timestamp":"2026-01-02T03:04:05.000006Z",
        "event_type":"llm.invoke","agent":"planner","action":"chat","status":"timeout",
        "latency_ms":1.5,"tokens_input":10,"tokens_output":2,"cost_usd":0.25,
        "data":{"model":"m"},"error":{"message":"late"},"region":"eu","none":null}"#;

    #[test]
    fn reads_every_field() {
        let mut bytes = FULL.as_bytes().to_vec();
        let line = parse(&mut bytes).unwrap();
        line.check().unwrap();
        assert_eq!(line.event_version(), Some("3.0"));
        assert_eq!((line.instance(), line.seq()), (Some("00112233445566ff"), Some(7)));
        assert_eq!(line.trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(line.span_id(), Some("00f067aa0ba902b7"));
        assert_eq!(line.parent_span_id(), Some("b7ad6b71"));
        assert_eq!(line.timestamp(), Some(1_767_323_045_000_006));
        assert_eq!((line.event_type(), line.is_own()), (Some("llm.invoke"), false));
        assert_eq!((line.agent(), line.action()), (Some("planner"), Some("chat")));
        assert_eq!((line.status(), line.latency_ms()), (Some(Status::Timeout), Some(1.5)));
        assert_eq!((line.tokens_input(), line.tokens_output()), (Some(10), Some(2)));
        assert_eq!(line.cost_usd(), "0.25".parse().ok());
        assert_eq!(line.data().unwrap().get("model").unwrap().as_str(), Some("m"));
        assert_eq!(line.model(), Some("m"));
        for data in [r#""response_model":"m""#, r#""model":null,"response":{"model":"m"}"#] {
            let mut bytes = format!(r#"{{"data":{{{data}}}}}"#).into_bytes();
            assert_eq!(parse(&mut bytes).unwrap().model(), Some("m"), "{data}");
        }
        assert_eq!(line.error_message(), Some("late"));
        let extra: Vec<_> = line.extra().map(|(name, json)| (name, json.as_str())).collect();
        assert_eq!(extra, [("region", Some("eu"))]);
    }

    #[test]
    fn cost_is_read_as_it_is_spelled() {
        let cases = [
            (r#""cost_usd":0.1"#, Some("0.1")),
            (r#""cost_usd" : 2.5e-06 "#, Some("0.0000025")),
            (r#""cost_usd":1E+2"#, Some("100")),
            (r#""cost_usd":-3"#, None),
            (r#""cost_usd":-0.0"#, Some("0")),
            (r#""cost\u005fusd":-0.25"#, None),
            (r#""cost_usd":123456789.123456789123456789"#, Some("123456789.123456789123456789")),
            (r#""data":{"cost_usd":7,"x":[{"cost_usd":8}]},"cost_usd":0.30"#, Some("0.3")),
            (r#""cost_usd":0.5,"data":{"cost_usd":7}"#, Some("0.5")),
            (r#""x":"\"cost_usd\":7,","cost_usd":1,"y":"\\\","cost_usd":2"#, None),
            (r#""x":"\\","cost_usd":1,"y":"cost_usd""#, Some("1")),
            (r#""cost_usd":1,"cost_usd":2"#, Some("2")),
            (r#""cost\u005fusd":0.25"#, Some("0.25")),
            (r#""cost_usd":1,"cost\u005fusd":0.25"#, Some("0.25")),
            (r#""cost_usd":1e-28"#, Some("0")),
            (r#""cost_usd":null"#, None),
            (r#""cost_usd":"1""#, None),
            (r#""cost_usd":1e300"#, None),
            (r#""x":"cost_usd""#, None),
        ];
        for (member, expected) in cases {
            let mut bytes = with(member);
            let Ok(line) = parse(&mut bytes) else {
                assert_eq!(expected, None, "{member}");
                continue;
            };
            let cost = line.cost_usd().map(|cost| cost.to_string());
            assert_eq!(cost.as_deref(), expected, "{member}");
        }
    }

    /// A minimal event with `member` added, or in place of the one of its name.
    fn with(member: &str) -> Vec<u8> {
        let base = r#""event_type":"a.b","agent":"x","action":"y","status":"ok""#;
        format!("{{{base},{member}}}").into_bytes()
    }

    #[test]
    fn check_names_the_field() {
        let cases = [
            (r#""extra":1"#, ""),
            (r#""latency_ms":"12""#, "latency_ms is no number"),
            (r#""tokens_input":1.5"#, "tokens_input is no whole number from 0"),
            (r#""tokens_output":-1"#, "tokens_output is no whole number from 0"),
            (r#""cost_usd":true"#, "cost_usd is no number of dollars"),
            (r#""cost_usd":1e300"#, "cost_usd is no number of dollars"),
            (r#""cost_usd":-0.5"#, "cost_usd is no number of dollars from 0"),
            (r#""cost_usd":1e-300"#, ""),
            (r#""agent":7"#, "agent is no string"),
            (r#""agent":null"#, "agent is missing"),
            (r#""status":"fine""#, "status is none of \"ok\""),
            (r#""trace_id":"xyz""#, "trace_id is no id of up to 32 hex digits"),
            (r#""trace_id":"0af7651916cd""#, ""),
            (r#""trace_id":null"#, ""),
            (r#""span_id":"00f067aa0ba902bg""#, "span_id is no id of up to 16 hex"),
            (r#""span_id":"00f067aa""#, ""),
            (r#""seq":"1""#, ""),
            (r#""instance":"i-0abc""#, ""),
            (r#""timestamp":"2026-01-02T03:04:05+05:30""#, ""),
            (r#""timestamp":"2026-01-02T03:04:05""#, "timestamp is no RFC 3339 time"),
            (r#""timestamp":1767323045"#, "timestamp is no RFC 3339 time"),
            (r#""error":"it broke""#, ""),
            (r#""error":{}"#, ""),
            (r#""error":[]"#, "error is no object and no string"),
            (r#""data":[1]"#, ""),
        ];
        for (member, expected) in cases {
            let mut bytes = with(member);
            let line = parse(&mut bytes).unwrap();
            let found = line.check().err().map_or(String::new(), |error| error.to_string());
            assert!(found.contains(expected), "{member}: {found}");
            assert_eq!(found.is_empty(), expected.is_empty(), "{member}: {found}");
        }
    }

    #[test]
    fn keeps_the_instant_of_any_offset() {
        for time in
            ["2026-01-02T03:04:05Z", "2026-01-02T08:34:05+05:30", "2026-01-01T22:04:05-05:00"]
        {
            let mut bytes = with(&format!("\"timestamp\":\"{time}\""));
            assert_eq!(
                parse(&mut bytes).unwrap().timestamp(),
                Some(1_767_323_045_000_000),
                "{time}"
            );
        }
    }

    #[test]
    fn bad_lines_are_errors_that_quote_nothing() {
        let cases: [&[u8]; 15] = [
            b"",
            b" ",
            b"hunter2",
            b"{\"hunter2\":}",
            b"{\"password\":\"hunter2\",}",
            b"{\"password\":\"hunter2\"",
            b"{\"password\":\"hunter2",
            b"[\"hunter2\"]",
            b"\"hunter2\"",
            b"12",
            b"{\"a\":\"hunter2\xff\"}",
            b"{\"a\":1}{\"b\":2}",
            b"{\"a\":01}",
            b"{\"a\":1e}",
            b"{\"a\":\"hunter2\n\"}",
        ];
        for case in cases {
            let mut bytes = case.to_vec();
            let error = parse(&mut bytes).unwrap_err().to_string();
            assert!(error.starts_with("not a valid log line: "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn nesting_cannot_exhaust_the_stack() {
        for depth in [1_000, 5_000, 1_000_000] {
            let open = "[".repeat(depth);
            assert!(parse(&mut open.clone().into_bytes()).is_err());
            assert!(parse(&mut format!("{{\"data\":{open}").into_bytes()).is_err());
            let whole = format!("{{\"data\":{open}{},\"agent\":\"a\"}}", "]".repeat(depth));
            let mut bytes = whole.into_bytes();
            let line = parse(&mut bytes).unwrap();
            assert_eq!(line.agent(), Some("a"), "found behind {depth} levels");
            assert!(line.data().unwrap().is_array());
        }
        let deeper = format!("{{\"a\":{}", "[".repeat(DEPTH_MAX));
        let error = parse(&mut deeper.into_bytes()).unwrap_err().to_string();
        assert!(error.contains("nested too deep"), "{error}");
    }

    #[test]
    fn numbers_past_64_bits_are_floats() {
        let mut bytes = with(r#""data":{"n":123456789012345678901234567890}"#);
        let line = parse(&mut bytes).unwrap();
        assert_eq!(line.data().unwrap().get("n").unwrap().as_f64(), Some(1.2345678901234568e29));
    }

    /// Every field reads the same whether or not the line is parsed as a whole.
    #[test]
    fn a_line_in_the_order_of_the_schema_reads_as_any_other() {
        let full = FULL.replace("\n        ", "").replace(r#","region":"eu","none":null"#, "");
        let escaped = full.replace(r#""planner""#, r#""pl\"anner""#);
        let payloads = [
            r#"{"model":"m \ud83d","n":[1,-2.5,1e5,true]}"#,
            r#"{"model":"m","x":{"y":[]}}"#,
            r#"[1]"#,
            r#""text""#,
        ];
        let lines = payloads.iter().map(|data| full.replace(r#"{"model":"m"}"#, data));
        let priceless = full.replace(r#""cost_usd":0.25,"#, "");
        let faultless = priceless.replace(r#""b7ad6b71""#, r#""00000000b7ad6b71""#);
        assert!(parse(&mut faultless.clone().into_bytes()).unwrap().is_faultless_event());
        let seqs = ["-7", "1.5", "\"7\"", "07", "null"];
        let seqs = seqs.map(|seq| faultless.replace("\"seq\":7", &format!("\"seq\":{seq}")));
        for text in lines.chain([full.clone(), escaped, faultless]).chain(seqs) {
            let mut rng = fastrand::Rng::with_seed(text.len() as u64);
            for round in 0..300 {
                let mut bytes = text.as_bytes().to_vec();
                if round > 0 {
                    let at = rng.usize(..bytes.len());
                    match rng.u8(..3) {
                        0 => bytes[at] = *rng.choice(b"{}[]\",:\\0e.-1\0 \xc3").unwrap(),
                        1 => bytes.truncate(at),
                        _ => bytes.insert(at, *rng.choice(b"{}[]\",:\\0e.-1").unwrap()),
                    }
                }
                let mut same = bytes.clone();
                let (ahead, whole) = (parse(&mut bytes), parse_whole(&mut same));
                assert_eq!(ahead.is_ok(), whole.is_ok());
                let (Ok(ahead), Ok(whole)) = (ahead, whole) else { continue };
                let of = |line: &Line<'_>| {
                    let fields: Vec<_> =
                        FIELDS.iter().map(|f| format!("{:?}", line.field(f.name))).collect();
                    let faults: Vec<_> = line.faults().chain(line.strict_faults()).collect();
                    let is_faultless = line.strict_faults().next().is_none() && !line.is_own();
                    assert!(is_faultless || !line.is_faultless_event());
                    let extra = format!("{:?}", line.extra().collect::<Vec<_>>());
                    let model = line.model().map(str::to_owned);
                    let numbers = (line.latency_ms(), line.cost_usd(), line.timestamp());
                    (fields, faults, extra, model, numbers, format!("{:?}", line.json()))
                };
                assert_eq!(of(&ahead), of(&whole));
            }
        }
    }

    #[test]
    fn what_the_recorder_writes_is_not_parsed_as_a_whole() {
        let mut bytes = FULL.replace("\n        ", "").into_bytes();
        assert!(parse(&mut bytes).unwrap().head.is_none(), "it has members of its own");
        let text = FULL.replace("\n        ", "").replace(r#","region":"eu","none":null"#, "");
        let mut bytes = text.into_bytes();
        assert!(parse(&mut bytes).unwrap().head.is_some());
    }

    /// Whatever is done to a line, parsing ends in a line or an error, and a line is JSON by
    /// another parser's word too.
    #[test]
    fn mangled_lines_never_panic() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..4_000 {
            let mut bytes = FULL.as_bytes().to_vec();
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(..bytes.len());
                match rng.u8(..3) {
                    0 => bytes[at] = rng.u8(..),
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, *rng.choice(b"{}[]\",:\\0e").unwrap()),
                }
            }
            let given = bytes.clone();
            if let Ok(line) = parse(&mut bytes) {
                let other = serde_json::from_slice::<serde::de::IgnoredAny>(&given);
                assert!(other.is_ok(), "{:?}", String::from_utf8_lossy(&given));
                let _ = (line.check(), line.timestamp(), line.extra().count());
                serde_json::to_string(&line.json()).unwrap();
            }
        }
    }
}
