//! Values that are redacted because somebody said so, whatever they look like.
//!
//! A value has several forms: as it is, escaped for JSON, percent-encoded, in base64. Where any of
//! them stands is found by grams of four bytes: a table has a bit for each gram of each form, the
//! text is asked at every place, or at every eighth where the form is long enough. Where the bit is
//! set, what the text has there of the length of a form is looked up among the forms. A scan takes no
//! lock but behind such a bit, and then those of a thousandth of the table and of a sixty-fourth of
//! the forms, so that values come and go while others emit.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::confusables::{self, Plain};
use super::names::is_sensitive_variable;
use super::{Kind, Match};
use crate::error::Error;
use llm_audit_process::lock::{self, OpenLock as RwLock, look_until};

/// A gram, in bytes; no shorter value can be found.
const GRAM: usize = 4;
/// Of the long forms every gram that begins before this is in the table, and the text is asked at
/// every place that this divides.
const STRIDE: usize = 8;
/// A form this long has a whole gram at each of these.
const LONG: usize = STRIDE + GRAM - 1;
/// Base64 of a shorter value would be found in what only looks like it.
const BASE64_MIN: usize = 6;
/// Variables are protected by their name alone from this length, in bytes.
const ENVIRONMENT_MIN: usize = 12;
/// A table has this many shards, and a bit for each of 64 slots of a shard.
const SHARDS: usize = 1 << 10;

static SHORT_FORMS: Index = Index::new(1);
static LONG_FORMS: Index = Index::new(STRIDE);

/// Redacts this value as `[REDACTED_known]` wherever it appears from now on, in the whole process,
/// until what is returned is dropped: the customer that a request is of, a key of the service.
///
/// It is found as it is, upper and lower case apart, and also escaped for JSON up to three times,
/// percent-encoded, and in base64 from six bytes on (at most a character at each end is left, which
/// others share). Where it overlaps what a rule finds, all of both goes.
///
/// It is for texts: a number that is no text is not looked at. Any thread may call it at any time;
/// emits are not stopped. Each value costs some kilobytes while it is protected.
///
/// # Errors
///
/// The value is shorter than four bytes, or lies inside a placeholder (`REDACTED`, `email`), which
/// could then not be told from it.
///
/// # Examples
///
/// ```
/// let sanitizer = llm_audit_redact::Sanitizer::default();
/// let customer = llm_audit_redact::protect_value("Zoë Quill")?;
/// assert_eq!(sanitizer.redact_str("for Zoë Quill: q=Zo%C3%AB+Quill"), "for [REDACTED_known]: q=[REDACTED_known]");
/// drop(customer);
/// assert_eq!(sanitizer.redact_str("Zoë Quill"), "Zoë Quill");
/// # Ok::<(), llm_audit_redact::Error>(())
/// ```
pub fn protect_value(value: impl AsRef<str>) -> Result<ProtectedValue, Error> {
    let value = value.as_ref();
    let refused = |why: String| Err(Error::refused("value to protect", why));
    if value.len() < GRAM {
        return refused("it is shorter than 4 bytes".to_owned());
    }
    let others = ["[TOO_DEEP]", "[UNSERIALIZABLE]", "[TRUNCATED:"];
    let mut placeholders = Kind::ALL.iter().map(|kind| kind.placeholder()).chain(others);
    if let Some(placeholder) = placeholders.find(|placeholder| placeholder.contains(value)) {
        return refused(format!("it is a part of the placeholder {placeholder}"));
    }
    let forms: Vec<Arc<str>> = forms(value).into_iter().map(Arc::from).collect();
    forms.iter().for_each(protect);
    Ok(ProtectedValue(forms))
}

/// Protects the values of these variables of the environment, as [`protect_value`] does. White space
/// around a name is no part of it; `none` and nothing are the name of none.
///
/// # Errors
///
/// A variable is not set, is no UTF-8, or its value is not accepted by [`protect_value`]. The error
/// names it and not its value.
pub fn protect_environment<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<Vec<ProtectedValue>, Error> {
    let protect = |name: &str| {
        let refused = |why: String| Error::variable("AUDIT_REDACT_ENV", name, why);
        let value = std::env::var(name).map_err(|_| {
            refused("names of variables that are set, to UTF-8, with commas between; none".into())
        })?;
        protect_value(value).map_err(|_| {
            refused(
                "variables whose value has 4 bytes and more, and is no part of a placeholder"
                    .into(),
            )
        })
    };
    let mut values = Vec::new();
    for name in names {
        match name.as_ref().trim() {
            "none" | "" => {}
            name => values.push(protect(name)?),
        }
    }
    Ok(values)
}

/// Protects these variables; where none are named, those of [`sensitive_variables`]. Says which.
pub fn protect_variables(
    named: Option<Vec<String>>,
) -> Result<(Vec<String>, Vec<ProtectedValue>), Error> {
    if let Some(named) = named {
        let values = protect_environment(&named)?;
        let names =
            named.iter().map(|name| name.trim()).filter(|name| !["none", ""].contains(name));
        return Ok((names.map(str::to_owned).collect(), values));
    }
    // Nobody asked for these, so what cannot be protected is no error.
    let protect = |name: String| Some((protect_environment([&name]).ok()?.pop()?, name));
    let protected = sensitive_variables().into_iter().filter_map(protect);
    Ok(protected.map(|(value, name)| (name, value)).unzip())
}

/// The variables whose name is that of a secret and whose value is long enough to be one.
fn sensitive_variables() -> Vec<String> {
    let is_secret =
        |name: &str, value: &str| is_sensitive_variable(name) && value.len() >= ENVIRONMENT_MIN;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut names: Vec<_> =
        variables.filter(|(name, value)| is_secret(name, value)).map(|(name, _)| name).collect();
    names.sort();
    names
}

/// A value is redacted as long as this lives; see [`protect_value`].
#[must_use = "the value is protected until this is dropped"]
pub struct ProtectedValue(Vec<Arc<str>>);

impl ProtectedValue {
    /// Protects the value to the end of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl fmt::Debug for ProtectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedValue").finish_non_exhaustive()
    }
}

impl Drop for ProtectedValue {
    fn drop(&mut self) {
        self.0.iter().for_each(release);
    }
}

/// Whether nothing is protected at this moment.
#[inline]
pub(super) fn are_none() -> bool {
    SHORT_FORMS.is_empty() && LONG_FORMS.is_empty()
}

/// Where values that are protected stand in a text, in no order, one perhaps over another.
pub(super) fn find(text: &str) -> Vec<Match> {
    if are_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    SHORT_FORMS.scan(text, &mut found);
    LONG_FORMS.scan(text, &mut found);
    if !text.is_ascii() && text.contains(confusables::is_disguise) {
        let plain = Plain::of(text);
        let mut undisguised = Vec::new();
        SHORT_FORMS.scan(&plain.text, &mut undisguised);
        LONG_FORMS.scan(&plain.text, &mut undisguised);
        found.extend(undisguised.into_iter().map(|found| plain.in_original(found, text)));
    }
    found
}

/// How often each form is protected.
static FORMS: [RwLock<Forms>; FORM_SHARDS] =
    [const { RwLock::new(Forms::with_hasher(BuildHasherDefault::new())) }; FORM_SHARDS];

type Forms = HashMap<Arc<str>, usize, BuildHasherDefault<DefaultHasher>>;

const FORM_SHARDS: usize = 64;

fn shard(form: &str) -> &'static RwLock<Forms> {
    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(form);
    &FORMS[hash as usize % FORM_SHARDS]
}

/// Changes of the tables that are under way, and forks, which wait for these and hold up further
/// ones, in units of [`FORK`]: a child must not inherit half a change.
static CHANGES: AtomicU64 = AtomicU64::new(0);
const FORK: u64 = 1 << 32;

/// A change that is under way.
struct Change;

impl Change {
    fn begin() -> Self {
        // Whoever changes the tables first sees to it that forks wait.
        super::watch_forks();
        let begun = |changes: u64| (changes < FORK).then_some(changes + 1);
        look_until(|| CHANGES.fetch_update(Ordering::Acquire, Ordering::Relaxed, begun).is_ok());
        Self
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // Release: pairs with the acquire of a fork that waits.
        CHANGES.fetch_sub(1, Ordering::Release);
    }
}

/// Before a fork: waits for the changes that are under way, microseconds, and holds up others.
pub(super) fn hold_changes() {
    CHANGES.fetch_add(FORK, Ordering::Relaxed);
    look_until(|| CHANGES.load(Ordering::Acquire).is_multiple_of(FORK));
}

/// After a fork, in the parent.
pub(super) fn let_changes() {
    CHANGES.fetch_sub(FORK, Ordering::Relaxed);
}

/// After a fork, on the only thread of the child: opens the locks that threads of the parent held.
#[allow(unsafe_code, reason = "locks are taken from threads that are not in this process")]
pub(super) fn open_in_child() {
    let shards = [&SHORT_FORMS, &LONG_FORMS].into_iter().flat_map(|index| &index.shards);
    // SAFETY: there is no other thread, and no change was under way at the fork.
    unsafe {
        FORMS.iter().for_each(|forms| lock::open(forms));
        shards.for_each(|shard| lock::open(shard));
    }
    CHANGES.store(0, Ordering::Relaxed);
}

/// Protects a form once more.
fn protect(form: &Arc<str>) {
    let _change = Change::begin();
    let mut forms = shard(form).write();
    let count = forms.entry(form.clone()).or_default();
    *count += 1;
    let is_new = *count == 1;
    drop(forms);
    if is_new {
        Index::of(form).add(form);
    }
}

/// Protects it once less.
fn release(form: &Arc<str>) {
    let _change = Change::begin();
    let mut forms = shard(form).write();
    let Some(count) = forms.get_mut(form) else { return };
    *count -= 1;
    if *count > 0 {
        return;
    }
    forms.remove(form);
    drop(forms);
    // Whoever protects it meanwhile adds to the same sums: the order does not matter.
    Index::of(form).remove(form);
}

/// Forms by their grams.
struct Index {
    /// The text is asked at every place that this divides.
    stride: usize,
    forms: AtomicUsize,
    /// Whether a slot has an entry.
    bits: [AtomicU64; SHARDS],
    shards: [RwLock<Vec<Entry>>; SHARDS],
}

/// A gram of forms of one length.
struct Entry {
    slot: u16,
    /// Where in the form it begins.
    offset: u16,
    /// Of the forms, in bytes.
    length: usize,
    /// How many they are.
    count: isize,
}

impl Index {
    const fn new(stride: usize) -> Self {
        Self {
            stride,
            forms: AtomicUsize::new(0),
            bits: [const { AtomicU64::new(0) }; SHARDS],
            shards: [const { RwLock::new(Vec::new()) }; SHARDS],
        }
    }

    /// The one that a form of this length is in.
    fn of(form: &str) -> &'static Self {
        if form.len() < LONG { &SHORT_FORMS } else { &LONG_FORMS }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Relaxed: whoever has to find a value was told of it, and so of this, by other means.
        self.forms.load(Ordering::Relaxed) == 0
    }

    fn add(&self, form: &str) {
        self.change(form, 1);
        self.forms.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self, form: &str) {
        self.forms.fetch_sub(1, Ordering::Relaxed);
        self.change(form, -1);
    }

    fn change(&self, form: &str, by: isize) {
        for offset in 0..self.stride {
            let slot = slot(form.as_bytes(), offset);
            let (offset, length) = (offset as u16, form.len());
            let mut shard = self.shards[usize::from(slot >> 6)].write();
            let is_it =
                |entry: &Entry| (entry.slot, entry.offset, entry.length) == (slot, offset, length);
            let at = shard.iter().position(is_it).unwrap_or_else(|| {
                shard.push(Entry { slot, offset, length, count: 0 });
                shard.len() - 1
            });
            shard[at].count += by;
            if shard[at].count == 0 {
                shard.swap_remove(at);
            }
            // Under the lock. Relaxed: who sees it takes the lock.
            let (bits, bit) = (&self.bits[usize::from(slot >> 6)], 1 << (slot & 63));
            match shard.iter().any(|entry| entry.slot == slot) {
                true => bits.fetch_or(bit, Ordering::Relaxed),
                false => bits.fetch_and(!bit, Ordering::Relaxed),
            };
        }
    }

    fn scan(&self, text: &str, found: &mut Vec<Match>) {
        if self.is_empty() || text.len() < GRAM {
            return;
        }
        for at in (0..=text.len() - GRAM).step_by(self.stride) {
            let slot = slot(text.as_bytes(), at);
            let bits = &self.bits[usize::from(slot >> 6)];
            if bits.load(Ordering::Relaxed) >> (slot & 63) & 1 == 1 {
                self.compare(text, at, slot, found);
            }
        }
    }

    /// Adds the forms that stand over this gram, as one: they overlap in it.
    #[cold]
    fn compare(&self, text: &str, at: usize, slot: u16, found: &mut Vec<Match>) {
        let entries = self.shards[usize::from(slot >> 6)].read();
        let mut whole: Option<(usize, usize)> = None;
        for entry in entries.iter().filter(|entry| entry.slot == slot) {
            let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
            let end = start + entry.length;
            let Some(form) = text.get(start..end) else { continue };
            if shard(form).read().contains_key(form) {
                let (from, to) = whole.unwrap_or((start, end));
                whole = Some((from.min(start), to.max(end)));
            }
        }
        let known = |(start, end)| Match { start, end, kind: Kind::Known };
        found.extend(whole.map(known));
    }
}

/// Where the gram that begins at `at` is in the table.
#[inline]
fn slot(text: &[u8], at: usize) -> u16 {
    let gram = text[at..].first_chunk::<GRAM>().map_or(0, |gram| u32::from_le_bytes(*gram));
    // Fibonacci hashing: the upper bits of a product with 2^32 over the golden ratio.
    (gram.wrapping_mul(0x9E37_79B1) >> 16) as u16
}

/// A value in every form it is found in.
fn forms(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([value.to_owned()]);
    let escapes = [
        json_escaped,
        |text: &str| json_escaped(text).replace('/', "\\/"),
        ascii_escaped,
        // As PHP's `json_encode` has it.
        |text: &str| ascii_escaped(text).replace('/', "\\/"),
        ascii_escaped_upper,
        html_safe,
    ];
    for escape in escapes {
        let mut escaped = value.to_owned();
        for _ in 0..3 {
            escaped = escape(&escaped);
            forms.insert(escaped.clone());
        }
    }
    // What is left as it is beside letters, digits and `-._`: in RFC 3986, in paths, by
    // encodeURIComponent and encodeURI, in forms (the URL standard).
    for kept in ["~", "~/", "~!'()*", "~!'()*;/?:@&=+$,#", "*"] {
        for (upper, space) in [(true, "%20"), (true, "+"), (false, "%20"), (false, "+")] {
            forms.insert(percent_encoded(value, kept, upper, space));
        }
    }
    if value.len() >= BASE64_MIN {
        for last in [b"+/", b"-_"] {
            forms.extend((0..3).map(|before| base64_inside(value.as_bytes(), before, last)));
            let whole = base64_whole(value.as_bytes(), last);
            forms.insert(whole.trim_end_matches('=').to_owned());
            forms.insert(whole);
        }
    }
    forms
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As Go's `encoding/json` has it, for scripts in HTML.
fn html_safe(text: &str) -> String {
    let escaped = json_escaped(text).replace('&', "\\u0026");
    escaped.replace('<', "\\u003c").replace('>', "\\u003e")
}

/// As Python's `json.dumps` has it.
fn ascii_escaped(text: &str) -> String {
    let mut out = String::new();
    let mut units = [0; 2];
    for c in json_escaped(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("a String takes all");
            }
        }
    }
    out
}

fn ascii_escaped_upper(text: &str) -> String {
    let mut out = String::new();
    let lower = ascii_escaped(text);
    let mut parts = lower.split("\\u");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let hex = part.len().min(4);
        out.push_str("\\u");
        out.push_str(&part[..hex].to_ascii_uppercase());
        out.push_str(&part[hex..]);
    }
    out
}

fn percent_encoded(text: &str, kept: &str, upper: bool, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        match c {
            ' ' => out.push_str(space),
            _ if c.is_ascii_alphanumeric() || "-._".contains(c) || kept.contains(c) => out.push(c),
            _ if upper => write!(out, "%{byte:02X}").expect("a String takes all"),
            _ => write!(out, "%{byte:02x}").expect("a String takes all"),
        }
    }
    out
}

/// The digits of base64 that say nothing but this value where it stands behind `before` more bytes.
fn base64_inside(value: &[u8], before: usize, last: &[u8; 2]) -> String {
    let (from, to) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
    (from..to).map(|digit| base64_digit(value, digit * 6 - before * 8, last)).collect()
}

fn base64_whole(value: &[u8], last: &[u8; 2]) -> String {
    let digits = (value.len() * 8).div_ceil(6);
    let padding = digits.next_multiple_of(4) - digits;
    let digits = (0..digits).map(|digit| base64_digit(value, digit * 6, last));
    digits.chain(std::iter::repeat_n('=', padding)).collect()
}

/// The digit of the six bits from this one on.
fn base64_digit(value: &[u8], bit: usize, last: &[u8; 2]) -> char {
    let byte = |at: usize| u16::from(value.get(at).copied().unwrap_or(0));
    let two = byte(bit / 8) << 8 | byte(bit / 8 + 1);
    char::from(match (two >> (10 - bit % 8) & 63) as u8 {
        n @ 0..26 => b'A' + n,
        n @ 26..52 => b'a' + n - 26,
        n @ 52..62 => b'0' + n - 52,
        n => last[usize::from(n - 62)],
    })
}

#[cfg(test)]
mod tests;
