//! The walk over a structured value: what the keys, pairs and paths around a value say about it.
//!
//! A driver reads a value in its own form (serde calls, JSON tokens, `Debug` text, malformed JSON)
//! and asks the walk. Every container is a [`Frame`], and every value in it has a [`Slot`]:
//!
//! ```text
//! slot  = Slot::at(place)                   the outermost value
//! frame = slot.list(len) | slot.object()    a container in a slot
//! slot  = frame.element() | frame.member(sanitizer, key)
//! frame.note(note)                          after a text for which slot.takes_note(text)
//! ```
//!
//! If a slot loses an object, the driver passes the members to an [`ObjectProbe`] first. The object
//! may be a schema, for example. Then it is read in [`Slot::in_form`].
//!
//! Frames and slots are small and `Copy`, and nothing is allocated.

mod forms;
mod loose;
mod pairs;
mod schema;
mod stays;

use forms::ModelSigns;
pub use forms::{ObjectForm, ObjectProbe, TypeValue};
pub(crate) use loose::LooseWalk;
use pairs::{ListContext, NamePairs, is_type};
pub use pairs::{Secrecy, TextNote};
use stays::StayingTexts;

use super::digits::is_microseconds;
use super::keys::{KeyClass, is_flag_name, is_manifest_data};
use super::looks::{has_secret_form, is_argument_secret};
use super::names::SecretForm;
use super::{Kind, Place, Sanitizer};

/// What holds for a value and for everything inside it.
#[derive(Clone, Copy, Debug, Default)]
struct Inherited {
    place: Place,
    /// A `token` is a word of a model.
    logprobs: bool,
    /// A number may be that of a card.
    card: bool,
    /// A number is a count or a score, by the name of what is counted.
    counts: bool,
    within: Within,
}

/// The object under a sensitive key that a value is in, if that object stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    /// None.
    #[default]
    Document,
    /// A schema: its keywords, or a list of schemas.
    Schema,
    /// An object of names and their schemas.
    SchemaMap,
    /// A text or a list of texts of a schema, of which these stay.
    SchemaTexts(StayingTexts),
    /// An object of texts about a schema.
    SchemaObject,
    /// An object that refers to a secret.
    Reference,
    /// An object of a model's output.
    ModelOutput,
    /// The data of a manifest of secrets.
    ManifestData,
}

// It is copied with every slot.
const _: () = assert!(size_of::<Within>() == 1);

/// What becomes of a value. A null, a boolean, a fraction and an empty value stay in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is read, and the rules decide about its texts.
    #[default]
    Read,
    /// The same, and a text names the value beside it.
    Name,
    /// The same, but a text goes unless its slot says that such texts stay.
    Doubtful,
    /// A text or a container goes whole, a number only if a rule finds it.
    Texts,
    /// It goes whole.
    Whole,
    /// A text goes whole if it has this form.
    Formed(SecretForm),
}

impl Fate {
    /// Returns whether a value goes whole that reads like this, or is a number.
    pub(crate) fn takes(self, is_number: bool, text: impl FnOnce() -> String) -> bool {
        match self {
            Self::Read | Self::Name | Self::Doubtful => false,
            Self::Texts => !is_number,
            Self::Whole => true,
            Self::Formed(form) => {
                // A value that went goes again, so that what follows is read as before.
                let text = if is_number { return false } else { text() };
                text == Kind::Key.placeholder() || has_secret_form(text.as_bytes(), form)
            }
        }
    }
}

/// The forms of a value that is neither null nor a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, or what is spelled as one.
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction, or a score from 0 to 1 that is written like one.
    Fraction,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Shape {
    /// Returns the shape of a floating point number.
    #[inline]
    pub fn of_float(number: f64) -> Self {
        let is_fraction = number.fract() != 0.0 || number.abs() <= 1.0;
        if is_fraction { Self::Fraction } else { Self::Integer }
    }

    /// Returns the shape of a number as JSON spells it.
    pub fn of_number(spelled: &str) -> Self {
        let is_float = spelled.contains(['.', 'e', 'E']);
        spelled.parse().ok().filter(|_| is_float).map_or(Self::Integer, Self::of_float)
    }
}

/// The place of one value, before the value is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    below: Inherited,
    around: ListContext,
    class: KeyClass,
    fate: Fate,
    /// The texts that stay although the fate is that texts go.
    staying: StayingTexts,
    /// Whether an object may stay because of its form.
    has_forms: bool,
    /// Whether that object may be a token of a model's output.
    may_be_model_token: bool,
    is_of_pair: bool,
    /// Whether a text that is a type says something.
    may_be_type: bool,
    has_plain_key: bool,
}

impl Slot {
    /// The outermost value, at this place of the document.
    #[inline]
    pub fn at(place: Place) -> Self {
        Self { below: Inherited { place, ..Inherited::default() }, ..Self::default() }
    }

    /// What becomes of the value.
    #[inline]
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// Whether a value of this shape goes whole. A number that stays may still be found by a rule.
    /// About a text, [`loses_text`](Self::loses_text) decides; about an object, its form.
    #[inline]
    pub fn loses(&self, shape: Shape) -> bool {
        match self.fate {
            // Its names may be random.
            Fate::Doubtful => shape == Shape::Object && self.below.within == Within::SchemaObject,
            Fate::Read | Fate::Name | Fate::Formed(_) => false,
            Fate::Texts | Fate::Whole => match shape {
                Shape::Text => true,
                Shape::Integer => self.fate == Fate::Whole,
                Shape::Fraction => false,
                Shape::List => {
                    !matches!(self.below.within, Within::Schema | Within::SchemaTexts(_))
                }
                Shape::Object => true,
            },
        }
    }

    /// Whether this text goes whole.
    pub fn loses_text(&self, sanitizer: &Sanitizer, text: &str) -> bool {
        match self.fate {
            // The password of MySQL is joined with its option.
            Fate::Read if self.is_element() => {
                text.strip_prefix("-p").is_some_and(|text| is_argument_secret(text.as_bytes()))
            }
            Fate::Read | Fate::Name => false,
            Fate::Formed(form) => has_secret_form(text.as_bytes(), form),
            Fate::Doubtful | Fate::Texts | Fate::Whole => !self.staying.contain(sanitizer, text),
        }
    }

    /// Whether a text goes whatever it is, unless it is empty.
    pub fn loses_any_text(&self) -> bool {
        matches!(self.fate, Fate::Texts | Fate::Whole) && self.staying == StayingTexts::Empty
    }

    /// Whether an object that this slot loses may stay because of its form.
    #[inline]
    pub fn has_forms(&self) -> bool {
        self.has_forms
    }

    /// The slot of a container that stays because of its form.
    pub fn in_form(mut self, form: ObjectForm) -> Self {
        self.fate = Fate::Read;
        self.below.within = match form {
            ObjectForm::Schema => Within::Schema,
            ObjectForm::ModelToken => Within::ModelOutput,
            ObjectForm::Reference => Within::Reference,
            ObjectForm::Names => self.below.within,
            ObjectForm::Empty => Within::Document,
        };
        self
    }

    /// Whether a text in this slot says something about other values of its container.
    #[inline]
    pub fn takes_note(&self, text: &str) -> bool {
        self.fate == Fate::Name
            || matches!(self.class, KeyClass::Flag | KeyClass::VariableFlag)
            || self.is_element() && (text.starts_with('-') || self.may_be_type && is_type(text))
    }

    /// Whether the key of the value is plainly written as it is, and no number of another key depends on it.
    #[inline]
    pub fn has_plain_key(&self) -> bool {
        self.has_plain_key
    }

    /// Whether the value is an element of a list.
    #[inline]
    pub fn is_element(&self) -> bool {
        self.around == ListContext::List
    }

    /// Whether the key says that the value is named by a text beside it.
    #[inline]
    pub fn is_value(&self) -> bool {
        self.class == KeyClass::Value
    }

    /// Whether that is so, if the value looks like a secret.
    #[inline]
    pub fn is_other_value(&self) -> bool {
        self.class == KeyClass::OtherValue
    }

    /// Whether a number is redacted if it looks like one of a card.
    #[inline]
    pub fn may_be_card(&self) -> bool {
        self.below.card && !self.below.place.is_allowed
    }

    /// Whether the key says of these digits that they are an id or a time, and not a card.
    #[inline]
    pub fn explains_digits(&self, text: &str) -> bool {
        match self.class {
            KeyClass::TraceId => text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit()),
            KeyClass::Time => is_microseconds(text.as_bytes()),
            _ => false,
        }
    }

    /// Whether a text in this slot stays as it is, because of its place or because the key explains
    /// its digits.
    #[inline]
    pub fn leaves(&self, sanitizer: &Sanitizer, text: &str) -> bool {
        sanitizer.leaves(self.below.place, text)
            || self.explains_digits(text)
                && sanitizer.matches(text).all(|found| found.kind == Kind::Card)
    }

    /// The place of the document that the value is at.
    #[inline]
    pub fn place(&self) -> Place {
        self.below.place
    }

    /// Whether no rule looks at the value.
    #[inline]
    pub fn is_allowed(&self) -> bool {
        self.below.place.is_allowed
    }

    /// Whether the fate holds only if the value is the last one of its list.
    #[inline]
    pub fn needs_to_be_last(&self) -> bool {
        self.is_of_pair && matches!(self.fate, Fate::Texts | Fate::Whole | Fate::Formed(_))
    }

    /// The same slot, not named by the text before it.
    #[inline]
    pub fn unnamed(self) -> Self {
        Self { fate: Fate::Read, ..self }
    }

    /// A list in this slot; `len` is its length, if that is known.
    #[inline]
    pub fn list(self, len: Option<usize>) -> Frame {
        // Three in a list are not a pair, but a type may be between a name and its value.
        let may_be_pair =
            self.around == ListContext::Headers || len.is_none_or(|len| matches!(len, 2 | 3));
        let around = if may_be_pair { self.around } else { ListContext::Other };
        let form = match self.fate {
            Fate::Formed(form) if !self.is_element() && !self.is_other_value() => Some(form),
            _ => None,
        };
        let pairs = NamePairs::in_context(around, len);
        Frame { below: self.below, pairs, form, ..Frame::default() }
    }

    /// An object in this slot.
    #[inline]
    pub fn object(self) -> Frame {
        Frame { below: self.below, ..Frame::default() }
    }

    /// The slot of a value that has to be a schema.
    fn expect_schema(&mut self) {
        self.below.within = Within::Schema;
        (self.fate, self.has_forms) = (Fate::Whole, true);
        (self.staying, self.may_be_model_token) = (StayingTexts::Empty, false);
        self.is_of_pair = false;
    }
}

/// A list or an object that is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    below: Inherited,
    pairs: NamePairs,
    signs: ModelSigns,
    /// The form of texts that go, in a list under the name of such secrets.
    form: Option<SecretForm>,
    /// The object is a manifest of secrets.
    is_secret_manifest: bool,
    /// The object has what is typed into the field of a password.
    is_secret_field: bool,
    /// The object has the name of a variable.
    is_variable: bool,
    /// The object says that the value of a variable is a secret.
    has_variable_flag: bool,
}

impl Frame {
    /// The place of the document that the container is at.
    #[inline]
    pub fn place(&self) -> Place {
        self.below.place
    }

    /// The slot of the next element of a list.
    #[inline]
    pub fn element(&mut self) -> Slot {
        let mut slot = Slot { below: self.below, around: ListContext::List, ..Slot::default() };
        slot.staying =
            if self.pairs.follows_option() { StayingTexts::Options } else { slot.staying };
        slot.is_of_pair = self.pairs.may_be_pair() && !self.pairs.follows_option();
        slot.may_be_type = self.pairs.may_be_type();
        slot.fate = self.pairs.next_element_fate();
        if let (Fate::Read | Fate::Name, Some(form)) = (slot.fate, self.form) {
            (slot.fate, slot.is_of_pair) = (Fate::Formed(form), false);
        }
        if self.below.place.is_allowed {
            slot.fate = Fate::Read;
        } else if self.below.within != Within::Document {
            self.apply_within(&mut slot, None);
        }
        slot
    }

    /// The slot of the member under this key, which is spelled as it was before it is redacted.
    #[inline]
    pub fn member(&mut self, sanitizer: &Sanitizer, key: &str) -> Slot {
        let place = sanitizer.enter(self.below.place, key);
        let mut slot = Slot { below: Inherited { place, ..self.below }, ..Slot::default() };
        if place.is_allowed {
            return slot;
        }
        let facts = sanitizer.read_key(key);
        (slot.class, slot.has_plain_key) = (facts.class, facts.is_plain);
        self.read_member(key, &mut slot);
        slot
    }

    /// Whether a key is plainly written as it is and says nothing about its value: a text or a number under it
    /// is like any other, and so is what is beside it. If a rule matches in a text, the slot still counts.
    #[inline]
    pub(crate) fn has_silent_key(&self, sanitizer: &Sanitizer, key: &str) -> bool {
        if self.below.within != Within::Document || self.below.card || !sanitizer.has_rules_alone()
        {
            return false;
        }
        let facts = sanitizer.read_key(key);
        let is_silent = matches!(facts.class, KeyClass::Plain | KeyClass::TraceId | KeyClass::Time);
        is_silent && facts.is_plain
    }

    /// Sets `slot` to that of the member under a key of this class that is plainly written as it is. No sanitizer has
    /// options.
    #[inline(always)]
    pub fn enter_plain_member(&mut self, key: &str, class: KeyClass, slot: &mut Slot) {
        *slot = Slot { below: self.below, class, has_plain_key: true, ..Slot::default() };
        self.read_member(key, slot);
    }

    #[inline(always)]
    fn read_member(&mut self, key: &str, slot: &mut Slot) {
        // Most keys say nothing.
        if slot.class != KeyClass::Plain {
            self.apply_key_class(key, slot);
        }
        if self.below.within != Within::Document {
            self.apply_within(slot, Some(key));
        }
    }

    fn apply_key_class(&mut self, key: &str, slot: &mut Slot) {
        match slot.class {
            KeyClass::ModelToken if self.below.logprobs => {}
            KeyClass::Sensitive | KeyClass::ModelToken => self.apply_sensitive_key(key, slot),
            KeyClass::Formed(form) => slot.fate = Fate::Formed(form),
            KeyClass::Name
            | KeyClass::Field
            | KeyClass::Flag
            | KeyClass::VariableFlag
            | KeyClass::ManifestKind => slot.fate = Fate::Name,
            KeyClass::ManifestData if self.is_secret_manifest => {
                slot.below.within = Within::ManifestData;
            }
            KeyClass::Value => slot.fate = self.pairs.named_value_fate(),
            KeyClass::OtherValue => slot.fate = self.pairs.chosen_value_fate(),
            KeyClass::Headers => slot.around = ListContext::Headers,
            KeyClass::Logprobs => slot.below.logprobs = true,
            KeyClass::Card => slot.below.card = true,
            KeyClass::Counts => slot.below.counts = true,
            KeyClass::ModelSign => {
                self.signs.read_key(key);
                slot.fate = match key {
                    // Its text is looked at: it may be `token`.
                    "type" => Fate::Name,
                    "text" if self.is_secret_field => Fate::Texts,
                    _ => Fate::Read,
                };
            }
            KeyClass::Plain | KeyClass::TraceId | KeyClass::Time | KeyClass::ManifestData => {}
        }
    }

    #[cold]
    fn apply_sensitive_key(&mut self, key: &str, slot: &mut Slot) {
        let is_count = self.below.counts || stays::is_count_name(key);
        slot.fate = if is_count { Fate::Texts } else { Fate::Whole };
        slot.has_forms = true;
        if is_flag_name(key.as_bytes()) {
            slot.class = KeyClass::Flag;
        }
        // If a key waives a rule, it must match literally.
        slot.may_be_model_token = key == "token";
        slot.staying = match () {
            () if key == "token" && self.signs.are_of_model_output() => StayingTexts::Doubtful,
            () if stays::is_setting_name(key) => StayingTexts::Settings,
            () if !stays::is_floor_name(key) => StayingTexts::Placeholders,
            () => StayingTexts::Empty,
        };
    }

    /// Changes a slot in an object that stays under its sensitive key.
    #[cold]
    fn apply_within(&self, slot: &mut Slot, key: Option<&str>) {
        match (self.below.within, key) {
            (Within::Schema, Some(key)) => schema::apply_keyword(key, slot),
            (Within::Schema, None) | (Within::SchemaMap, _) => slot.expect_schema(),
            (Within::SchemaTexts(staying), _) => {
                (slot.fate, slot.staying, slot.is_of_pair) = (Fate::Texts, staying, false);
            }
            (Within::Document, _) => {}
            (Within::ManifestData, _) => (slot.fate, slot.has_forms) = (Fate::Texts, false),
            _ if !matches!(slot.fate, Fate::Read | Fate::Name) => {}
            (within, key) => {
                slot.fate = Fate::Doubtful;
                slot.has_forms |= within == Within::SchemaObject;
                slot.staying = match (within, key) {
                    (Within::SchemaObject, _) => StayingTexts::Prose,
                    (Within::Reference, _) if slot.is_value() => StayingTexts::Empty,
                    (Within::Reference, Some(key)) if forms::is_version(key) => {
                        StayingTexts::Versions
                    }
                    (Within::Reference, _) => StayingTexts::Names,
                    _ => StayingTexts::Doubtful,
                };
            }
        }
    }

    /// Takes note of all members of this object, for a driver that can look ahead.
    pub fn note_members(&mut self, probe: &ObjectProbe) {
        self.signs = probe.signs();
        self.is_secret_manifest |= probe.is_secret_manifest();
    }

    /// Whether the value under this key depends on the members beside it that are not read yet.
    pub fn needs_members(&self, key: &str) -> bool {
        key == "token" || is_manifest_data(key.as_bytes()) && !self.is_secret_manifest
    }

    /// What the names so far say about values in this container.
    pub fn secrecy(&self) -> Secrecy {
        self.pairs.secrecy
    }
}

#[cfg(test)]
mod tests;
