//! Finds the model, the usage and the error in a provider's answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use llm_audit_log::json::{Json, JsonObject};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Usage;
use super::attributes::{MODEL, attribute_text, has_token_attributes};
use super::object::IndexedObject;
use super::progress::StreamProgress;
use super::read::read_usage;
#[cfg(feature = "macros")]
use super::stream::CHUNK_BYTES_MAX;
use super::stream::{has_value_a_line, merge_usage_members, split_chunks, usage_members};
use super::terms::PriceTerms;
use crate::panics::forget_panic;

/// The model, the usage and the error that an answer contains.
#[derive(Debug, Default)]
pub(crate) struct ProviderAnswer {
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    /// The type and the message of the error, if the answer is one.
    pub(crate) error: Option<(String, String)>,
    /// How far the answer has come.
    pub(crate) progress: StreamProgress,
    /// The terms that the chunks so far name.
    terms: PriceTerms,
    /// The usage is of attributes. These may hold a prompt's tokens alone.
    is_of_attributes: bool,
    /// The members of the chunks' usages so far, if the answer is read in chunks.
    chunks: Option<Map<String, Value>>,
}

/// The members that may hold a usage object. `totalUsage` is of all steps, and `usage` beside it of
/// the last one.
const USAGES: [&str; 10] = [
    "totalUsage",
    "usage",
    "usageMetadata",
    "usage_metadata",
    "token_usage",
    "tokenUsage",
    "last_token_usage",
    "total_token_usage",
    "meta",
    "amazon-bedrock-invocationMetrics",
];
/// The members that may contain an answer or a chunk of one: streams, realtime, batches, and the
/// objects of frameworks.
const WRAPPERS: [(&str, Whose); 19] = [
    ("response", Whose::Provider),
    ("message", Whose::Provider),
    ("metadata", Whose::Caller),
    ("delta", Whose::Provider),
    ("x_groq", Whose::Provider),
    ("body", Whose::Provider),
    ("result", Whose::Provider),
    ("chunk", Whose::Provider),
    ("event", Whose::Provider),
    ("modelOutput", Whose::Provider),
    ("kwargs", Whose::Caller),
    ("response_metadata", Whose::Caller),
    ("responseMetadata", Whose::Caller),
    ("llm_output", Whose::Caller),
    ("llmOutput", Whose::Caller),
    ("attributes", Whose::Caller),
    ("payload", Whose::Provider),
    ("info", Whose::Caller),
    ("data", Whose::Provider),
];
/// Who chooses the members of a wrapper.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Provider,
    /// The caller, or a framework. An error in it is not the answer's.
    Caller,
}
const MODELS: [&str; 7] =
    ["model", "modelVersion", "model_version", "model_name", "modelName", "modelId", "model_id"];
/// The largest number of wrappers inside each other.
const WRAPPERS_MAX: usize = 3;
/// The largest number of texts inside each other: a body that is text inside of an answer.
const TEXTS_MAX: usize = 2;

impl ProviderAnswer {
    pub(crate) fn from_serialized<T: Serialize + ?Sized>(answer: &T) -> Option<Self> {
        let json = to_json(answer)?;
        match json.first() {
            // A body that is still text.
            Some(b'"') => Self::parse(serde_json::from_slice::<String>(&json).ok()?.into_bytes()),
            _ => Self::parse(json),
        }
    }

    /// Returns the usage in an object that was parsed.
    pub(crate) fn usage_of_object(answer: Json<'_>) -> Option<Usage> {
        let mut found = Self::default();
        found.read_object(answer, PriceTerms::default(), WRAPPERS_MAX, TEXTS_MAX);
        found.finish();
        found.usage
    }

    /// Reads an object, a list of chunks, server-sent events, or a JSON value a line.
    ///
    /// Returns `None` if the text is none of these.
    pub(crate) fn parse(text: Vec<u8>) -> Option<Self> {
        let mut found = Self::default();
        found.read_text(text, TEXTS_MAX)?;
        found.finish();
        Some(found)
    }

    /// Returns an answer without chunks, for [`read_chunk_text`](Self::read_chunk_text).
    #[allow(dead_code, reason = "streams are recorded by optional features")]
    pub(crate) fn streamed() -> Self {
        Self { chunks: Some(Map::new()), ..Self::default() }
    }

    /// Reads the next chunk of a stream; see [`read_chunk_text`](Self::read_chunk_text). Returns `false`
    /// if it is longer than [`CHUNK_BYTES_MAX`], and so not read.
    #[cfg(feature = "macros")]
    pub(crate) fn read_chunk<T: Serialize>(&mut self, chunk: &T) -> bool {
        let mut json = ShortJson(Vec::new());
        // A `Serialize` impl is the caller's code.
        match catch_unwind(AssertUnwindSafe(|| serde_json::to_writer(&mut json, chunk))) {
            Ok(Ok(())) => self.read_chunk_text(&mut json.0),
            Ok(Err(error)) => return !error.is_io(),
            Err(panic) => forget_panic(panic),
        }
        true
    }

    /// Reads the next chunk of a stream, which is JSON or a marker such as `[DONE]`. A text in JSON is
    /// either of these, or whole server-sent events.
    ///
    /// The usage is not known before [`finish`](Self::finish).
    #[allow(dead_code, reason = "streams are recorded by optional features")]
    pub(crate) fn read_chunk_text(&mut self, chunk: &mut [u8]) {
        if !chunk.starts_with(b"\"") {
            self.read_chunk_json(chunk, TEXTS_MAX);
            return;
        }
        let Ok(text) = serde_json::from_slice::<String>(chunk) else { return };
        self.progress.read_marker(&text);
        let is_one = text.trim_start().starts_with('{') && !has_value_a_line(&text);
        let chunks = if is_one { vec![text] } else { split_chunks(&text) };
        for chunk in chunks {
            self.read_chunk_json(&mut chunk.into_bytes(), TEXTS_MAX);
        }
    }

    /// Reads the usage in an object that is nothing else.
    pub(crate) fn usage_of_counts(counts: Json<'_>) -> Option<Usage> {
        let counts = IndexedObject::new(counts);
        let usage = read_usage(counts)?;
        let is_call = !usage.lacks_output || has_token_attributes(counts);
        is_call.then(|| PriceTerms::default().apply(usage, counts))
    }

    fn read_text(&mut self, mut text: Vec<u8>, deeper: usize) -> Option<()> {
        let shown = std::str::from_utf8(&text).ok()?;
        match shown.trim_start().bytes().next()? {
            b'{' if !has_value_a_line(shown) => {
                let answer = JsonObject::parse(&mut text, "answer").ok()?;
                self.progress.read(answer.json());
                self.read_object(answer.json(), PriceTerms::default(), WRAPPERS_MAX, deeper);
                Some(())
            }
            b'[' => {
                let mut listed = [b"{\"chunks\":", &*text, b"}"].concat();
                let listed = JsonObject::parse(&mut listed, "answer").ok()?;
                let chunks = listed.json().get("chunks")?;
                self.chunks.get_or_insert_default();
                for chunk in chunks.items() {
                    self.read_chunk_value(chunk, deeper);
                }
                Some(())
            }
            _ => {
                let mut chunks = split_chunks(shown).into_iter().map(String::into_bytes);
                self.chunks.get_or_insert_default();
                let mut read = |mut chunk: Vec<u8>| self.read_chunk_json(&mut chunk, deeper);
                chunks.by_ref().find_map(&mut read)?;
                chunks.filter_map(read).for_each(drop);
                Some(())
            }
        }
    }

    fn read_chunk_json(&mut self, chunk: &mut [u8], deeper: usize) -> Option<()> {
        if let Some(b'[') = chunk.first() {
            self.progress.read_marker(std::str::from_utf8(chunk).ok()?);
            return None;
        }
        let chunk = JsonObject::parse(chunk, "chunk").ok()?;
        self.read_chunk_value(chunk.json(), deeper);
        Some(())
    }

    fn read_chunk_value(&mut self, chunk: Json<'_>, deeper: usize) {
        match (chunk.as_str(), deeper) {
            (Some(text), 1..) => drop(self.read_text(text.as_bytes().to_vec(), deeper - 1)),
            _ => {
                self.progress.read(chunk);
                self.error = self.error.take().or_else(|| bedrock_exception(chunk));
                self.read_object(chunk, PriceTerms::default(), WRAPPERS_MAX, deeper);
            }
        }
    }

    /// Reads the usage that all chunks give together, unless the answer is not of a call.
    pub(crate) fn finish(&mut self) {
        let Some(chunks) = self.chunks.take() else {
            // Counting a prompt is answered with its tokens alone.
            self.usage = self.usage.filter(|usage| !usage.lacks_output || self.is_of_attributes);
            return;
        };
        let mut text = Value::Object(chunks).to_string().into_bytes();
        let Ok(merged) = JsonObject::parse(&mut text, "usage") else { return };
        let merged = IndexedObject::new(merged.json());
        self.usage = read_usage(merged).map(|usage| self.terms.apply(usage, merged));
    }

    fn read_object(
        &mut self,
        answer: Json<'_>,
        outer: PriceTerms,
        deeper: usize,
        deeper_texts: usize,
    ) {
        let answer = IndexedObject::new(answer);
        let terms = outer.of_inner(answer);
        let model = MODELS.iter().find_map(|name| answer.get(name)?.as_str());
        let model = model.or_else(|| attribute_text(answer, MODEL)).filter(|name| !name.is_empty());
        self.model = self.model.take().or(model.map(str::to_owned));
        self.error = self.error.take().or_else(|| answer_error(answer));
        let is_found = self.read_usage_in(answer, terms);
        if deeper == 0 || is_found && self.model.is_some() {
            return;
        }
        for (name, whose) in WRAPPERS {
            let Some(inner) = wrapped(answer, name) else { continue };
            let before = (whose == Whose::Caller).then(|| self.error.clone());
            self.read_object(inner, terms, deeper - 1, deeper_texts);
            if let Some(error) = before {
                self.error = error;
            }
        }
        let body = answer.get("body").and_then(Json::as_str).filter(|_| deeper_texts > 0);
        if let (Some(body), false) = (body, is_found) {
            self.read_text(body.as_bytes().to_vec(), deeper_texts - 1);
        }
    }

    /// Reads the first usage in this object; returns whether it, or an object before, has one.
    ///
    /// Of chunks each has its own, and an object inside of one only repeats it.
    fn read_usage_in(&mut self, answer: IndexedObject<'_>, terms: PriceTerms) -> bool {
        if self.chunks.is_none() && self.usage.is_some() {
            return true;
        }
        let own = USAGES.iter().filter_map(|name| answer.get(name));
        let choices = answer.get("choices").into_iter().flat_map(Json::items);
        let in_choices = choices.filter_map(|choice| choice.get("usage"));
        let mut places = own.chain(in_choices).map(IndexedObject::new).chain([answer]);
        let found = places.find_map(|place| Some((place, read_usage(place)?)));
        self.terms = self.terms.of_inner(answer);
        let Some((place, usage)) = found else { return false };
        match &mut self.chunks {
            Some(chunks) => merge_usage_members(chunks, usage_members(place.json)),
            None => {
                self.usage = Some(terms.apply(usage, place));
                self.is_of_attributes = has_token_attributes(place);
            }
        }
        true
    }
}

/// JSON of at most [`CHUNK_BYTES_MAX`] bytes; longer JSON is an error of its writer.
#[cfg(feature = "macros")]
struct ShortJson(Vec<u8>);

#[cfg(feature = "macros")]
impl std::io::Write for ShortJson {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > CHUNK_BYTES_MAX - self.0.len() {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Option<Vec<u8>> {
    // A `Serialize` impl is the caller's code.
    let json = catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(value)));
    json.map_err(forget_panic).ok()?.ok()
}

/// Returns what this wrapper contains.
///
/// Bedrock's streams have their usage in `metadata`. OpenAI's responses repeat there what the caller
/// wrote into the request, which is not read.
fn wrapped<'a>(answer: IndexedObject<'a>, name: &str) -> Option<Json<'a>> {
    let inner = answer.get(name)?;
    let is_bedrock = || inner.get("usage").is_some_and(|usage| usage.get("inputTokens").is_some());
    (name != "metadata" || is_bedrock()).then_some(inner)
}

/// Returns the error that a chunk of Bedrock reports: `{"throttlingException": {"message": "…"}}`.
fn bedrock_exception(chunk: Json<'_>) -> Option<(String, String)> {
    let is_exception = |name: &str| name.ends_with("Exception");
    let (name, exception) = chunk.members().find(|(name, _)| is_exception(name))?;
    let message = exception.get("message").and_then(Json::as_str).unwrap_or_default();
    exception.is_object().then(|| (name.to_owned(), message.to_owned()))
}

/// Returns the error that this object reports.
///
/// OpenAI, Anthropic and Gemini write `{"error": {…}}`, Ollama `{"error": "…"}`, Mistral and vLLM
/// `{"object": "error", …}`. If the type is missing it is `_OTHER`, as in OpenTelemetry's
/// `error.type`.
fn answer_error(answer: IndexedObject<'_>) -> Option<(String, String)> {
    let said = |json: IndexedObject<'_>, names: &[&str]| {
        names.iter().find_map(|name| {
            let said = json.get(name)?;
            let text = said.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            text.or_else(|| said.as_u64().map(|code| code.to_string()))
        })
    };
    let typed = |json, names: &[&str]| {
        let error_type = said(json, names).unwrap_or_else(|| "_OTHER".to_owned());
        (error_type, said(json, &["message"]).unwrap_or_default())
    };
    match answer.get("error") {
        Some(error) if error.is_object() => {
            Some(typed(IndexedObject::new(error), &["type", "code", "status"]))
        }
        Some(_) => Some(("_OTHER".to_owned(), said(answer, &["error"])?)),
        None => {
            let is_error = |name| answer.get(name).and_then(Json::as_str) == Some("error");
            // If the `type` is `error`, it only repeats that this is one.
            let names: &[&str] = if is_error("type") { &["code"] } else { &["type", "code"] };
            (is_error("type") || is_error("object")).then(|| typed(answer, names))
        }
    }
}
