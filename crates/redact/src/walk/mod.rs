//! The walk over a structured value: what the keys, pairs and paths around a value say about it.
//!
//! A driver reads a value in its own form (serde calls, JSON tokens, `Debug` text, malformed JSON)
//! and asks the walk. Every container is a [`Frame`], and every value in it has a [`Slot`]:
//!
//! ```text
//! slot  = Slot::at(place)                   the outermost value
//! frame = slot.list(len) | slot.object()    a container in a slot
//! slot  = frame.element() | frame.member(sanitizer, key)
//! frame.name(secrecy)                       after a text whose slot is_name()
//! ```
//!
//! Frames and slots are small and `Copy`, and nothing is allocated. The class of a key depends on its
//! text and the sanitizer alone, so a driver may cache it and call [`Frame::member_of`].

mod loose;
mod pairs;

pub(crate) use loose::LooseWalk;
pub use pairs::Secrecy;
use pairs::{ListContext, NamePairs};

use super::digits::is_microseconds;
use super::keys::KeyClass;
use super::looks::has_secret_form;
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
    /// A number is a count, by the name of a kind.
    redactions: bool,
}

/// What becomes of a value. A null and a boolean stay in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is read, and the rules decide about its texts.
    #[default]
    Read,
    /// The same, and a text names the value beside it.
    Name,
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
            Self::Read | Self::Name => false,
            Self::Texts => !is_number,
            Self::Whole => true,
            Self::Formed(form) => !is_number && has_secret_form(text().as_bytes(), form),
        }
    }
}

/// The forms of a value that is neither null nor a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, or what is spelled as one.
    Text,
    /// A number.
    Number,
    /// A list or an object.
    Container,
}

/// The place of one value, before the value is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    below: Inherited,
    around: ListContext,
    class: KeyClass,
    fate: Fate,
    is_of_pair: bool,
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
    #[inline]
    pub fn loses(&self, shape: Shape) -> bool {
        match self.fate {
            Fate::Read | Fate::Name | Fate::Formed(_) => false,
            Fate::Texts => shape != Shape::Number,
            Fate::Whole => true,
        }
    }

    /// Whether this text goes whole.
    #[inline]
    pub fn loses_text(&self, text: &str) -> bool {
        match self.fate {
            Fate::Formed(form) => has_secret_form(text.as_bytes(), form),
            _ => self.loses(Shape::Text),
        }
    }

    /// Whether a text in this slot names the value beside it.
    #[inline]
    pub fn is_name(&self) -> bool {
        self.fate == Fate::Name
    }

    /// Whether the key says that the value is named by a text beside it.
    #[inline]
    pub fn is_value(&self) -> bool {
        self.class == KeyClass::Value
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
        // Three in a list are not a pair.
        let may_be_pair = self.around != ListContext::List || len.is_none_or(|len| len == 2);
        let around = if may_be_pair { self.around } else { ListContext::Other };
        Frame { below: self.below, pairs: NamePairs::in_context(around) }
    }

    /// An object in this slot.
    #[inline]
    pub fn object(self) -> Frame {
        Frame { below: self.below, pairs: NamePairs::default() }
    }
}

/// A list or an object that is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    below: Inherited,
    pairs: NamePairs,
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
        let mut fate = self.pairs.next_element_fate();
        if self.below.place.is_allowed {
            fate = Fate::Read;
        }
        let (class, is_of_pair) = (KeyClass::Plain, self.pairs.is_list_in_list());
        Slot { below: self.below, around: ListContext::List, class, fate, is_of_pair }
    }

    /// The slot of the member under this key, which is spelled as it was before it is redacted.
    #[inline]
    pub fn member(&mut self, sanitizer: &Sanitizer, key: &str) -> Slot {
        let place = sanitizer.enter(self.below.place, key);
        match place.is_allowed {
            true => self.member_of(KeyClass::Plain, place),
            false => self.member_of(sanitizer.classify(key), place),
        }
    }

    /// The slot of a member under a key of this class, at this place.
    #[inline]
    pub fn member_of(&mut self, class: KeyClass, place: Place) -> Slot {
        let mut slot = Slot { below: Inherited { place, ..self.below }, class, ..Slot::default() };
        // Most keys say nothing.
        if class != KeyClass::Plain && !place.is_allowed {
            self.apply_key_class(class, &mut slot);
        }
        slot
    }

    fn apply_key_class(&mut self, class: KeyClass, slot: &mut Slot) {
        match class {
            KeyClass::ModelToken if self.below.logprobs => {}
            KeyClass::Sensitive | KeyClass::ModelToken if self.below.redactions => {
                slot.fate = Fate::Texts;
            }
            KeyClass::Sensitive | KeyClass::ModelToken => slot.fate = Fate::Whole,
            KeyClass::Formed(form) => slot.fate = Fate::Formed(form),
            KeyClass::Name => slot.fate = Fate::Name,
            KeyClass::Value => slot.fate = self.pairs.named_value_fate(),
            KeyClass::Headers => slot.around = ListContext::Headers,
            KeyClass::Logprobs => slot.below.logprobs = true,
            KeyClass::Card => slot.below.card = true,
            KeyClass::Redactions => slot.below.redactions = true,
            KeyClass::Plain | KeyClass::TraceId | KeyClass::Time => {}
        }
    }

    /// Takes note of a name, by what it says about the value that it names.
    #[inline]
    pub fn name(&mut self, secrecy: Secrecy) {
        self.pairs.secrecy = self.pairs.secrecy.max(secrecy);
    }

    /// What the names so far say about values in this container.
    pub fn secrecy(&self) -> Secrecy {
        self.pairs.secrecy
    }
}
