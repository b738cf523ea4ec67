//! Names and values beside each other: `{"name": "Authorization", "value": …}`, `["Cookie", …]`.

use super::{Fate, Frame, Slot};
use crate::Sanitizer;
use crate::confusables::is_disguise_char;
use crate::keys::{self, KeyClass, MANIFEST_KIND};
use crate::looks::{is_secret_type, is_text_type};
use crate::names::SecretForm;

/// The place of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListContext {
    /// In another list: it may be a name and a value.
    List,
    /// Under the key `rawHeaders`.
    Headers,
    /// Anywhere else. A list of two may be a name and a value, if the value is a random string.
    #[default]
    Alone,
    /// It is not a pair.
    Other,
}

/// What a name says about the value that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secrecy {
    /// Nothing.
    #[default]
    None,
    /// A text goes if it has this form.
    Formed(SecretForm),
    /// A text goes. A number beside a word may be the frequency of that word.
    Texts,
    /// A number goes too: the name is that of a password.
    All,
}

impl Secrecy {
    #[inline]
    fn fate(self) -> Fate {
        match self {
            Self::None => Fate::Read,
            Self::Formed(form) => Fate::Formed(form),
            Self::Texts => Fate::Texts,
            Self::All => Fate::Whole,
        }
    }
}

/// What a text says about other values of its container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextNote {
    /// Nothing.
    #[default]
    Nothing,
    /// It is the name of the value beside it.
    Name(Secrecy),
    /// It is an option of a command, and the next element is its argument.
    Option(Secrecy),
    /// It says that `token` beside it is a word of a model.
    ModelToken,
    /// It describes the field of a password.
    Field,
    /// It is a type, and the value after it has the name before it.
    Type,
    /// It says that the data beside it are secrets.
    Manifest,
    /// It is the name of a variable: `DEPLOY_TARGET`.
    Variable,
    /// It says that the value of a variable is a secret.
    VariableFlag,
}

/// Which values of a container are named by a text beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NamePairs {
    around: ListContext,
    /// Elements so far; of headers, by twos.
    elements: u8,
    /// The list has three elements, if their number is known.
    are_three: bool,
    /// The second element was a type.
    is_typed: bool,
    /// What the names so far say.
    pub(super) secrecy: Secrecy,
    /// What an option says about the next element.
    pub(super) option: Secrecy,
}

impl NamePairs {
    #[inline]
    pub(super) fn in_context(around: ListContext, len: Option<usize>) -> Self {
        Self { around, are_three: len == Some(3), ..Self::default() }
    }

    /// Whether the next element may be a type between a name and its value.
    #[inline]
    pub(super) fn may_be_type(self) -> bool {
        self.elements == 1 && self.secrecy != Secrecy::None && self.may_be_pair()
    }

    /// Takes note of such a type.
    pub(super) fn note_type(&mut self) {
        self.is_typed = true;
    }

    /// The fate of the next element of a list.
    #[inline]
    pub(super) fn next_element_fate(&mut self) -> Fate {
        let option = std::mem::take(&mut self.option).fate();
        if self.around == ListContext::Other {
            return option;
        }
        let at = self.elements;
        self.elements = match self.around {
            ListContext::Headers => (at + 1) % 2,
            _ => at.saturating_add(1),
        };
        match at {
            _ if option != Fate::Read => option,
            0 => {
                (self.secrecy, self.is_typed) = (Secrecy::None, false);
                Fate::Name
            }
            1 if self.are_three && self.around != ListContext::Headers => Fate::Read,
            1 if self.around == ListContext::Alone => match self.named_value_fate() {
                Fate::Texts | Fate::Whole => Fate::Formed(SecretForm::Random),
                fate => fate,
            },
            1 => self.named_value_fate(),
            2 if self.is_typed => self.chosen_value_fate(),
            _ => Fate::Read,
        }
    }

    /// Whether the last element was an option that takes a secret.
    #[inline]
    pub(super) fn follows_option(self) -> bool {
        self.option != Secrecy::None
    }

    /// The fate of a value that the names so far are of.
    #[inline]
    pub(super) fn named_value_fate(self) -> Fate {
        self.secrecy.fate()
    }

    /// The same, if the value may be another one.
    #[inline]
    pub(super) fn chosen_value_fate(self) -> Fate {
        match self.named_value_fate() {
            Fate::Texts | Fate::Whole => Fate::Formed(SecretForm::Chosen),
            fate => fate,
        }
    }

    /// Whether a list is looked at that is a pair if it has two elements.
    #[inline]
    pub(super) fn may_be_pair(self) -> bool {
        matches!(self.around, ListContext::List | ListContext::Alone)
    }
}

/// Returns whether a text is the type of a text.
pub(super) fn is_type(text: &str) -> bool {
    is_text_type(text.as_bytes())
}

/// Returns whether a text is written like the name of a variable of an environment.
fn is_variable_name(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Slot {
    /// What a text in this slot says about other values of its container.
    pub fn note_of(&self, sanitizer: &Sanitizer, text: &str) -> TextNote {
        match () {
            () if self.is_element() && text.starts_with('-') => {
                TextNote::Option(sanitizer.option_secrecy(text))
            }
            () if self.may_be_type && is_type(text) => TextNote::Type,
            () if self.class == KeyClass::Field => match sanitizer.describes_secret(text) {
                true => TextNote::Field,
                false => TextNote::Nothing,
            },
            () if self.class == KeyClass::ManifestKind => match text == MANIFEST_KIND {
                true => TextNote::Manifest,
                false => TextNote::Nothing,
            },
            () if self.class == KeyClass::Flag => match text {
                "true" | "True" => TextNote::Name(Secrecy::All),
                _ if is_secret_type(text) => TextNote::Name(Secrecy::Texts),
                _ => TextNote::Nothing,
            },
            () if self.class == KeyClass::VariableFlag => match text {
                "true" | "True" => TextNote::VariableFlag,
                _ => TextNote::Nothing,
            },
            () if self.class == KeyClass::ModelSign && text == "token" => TextNote::ModelToken,
            () if self.class == KeyClass::ModelSign && is_secret_type(text) => {
                TextNote::Name(Secrecy::Texts)
            }
            () if self.class == KeyClass::ModelSign || self.fate != Fate::Name => TextNote::Nothing,
            // A label may have two words: `Client Secret`.
            () if !self.is_element() && text.bytes().filter(|byte| *byte == b' ').count() == 1 => {
                TextNote::Name(sanitizer.secrecy(&text.replace(' ', "_")))
            }
            () => match sanitizer.secrecy(text) {
                Secrecy::None if !self.is_element() && is_variable_name(text) => TextNote::Variable,
                secrecy => TextNote::Name(secrecy),
            },
        }
    }
}

impl Frame {
    /// Takes note of what a text said about other values in this container.
    #[inline]
    pub fn note(&mut self, note: TextNote) {
        match note {
            TextNote::Nothing => {}
            TextNote::Name(secrecy) => self.pairs.secrecy = self.pairs.secrecy.max(secrecy),
            TextNote::Option(secrecy) => self.pairs.option = secrecy,
            TextNote::ModelToken => self.signs.read_token_type(),
            TextNote::Field => {
                self.is_secret_field = true;
                self.pairs.secrecy = self.pairs.secrecy.max(Secrecy::All);
            }
            TextNote::Type => self.pairs.note_type(),
            TextNote::Manifest => self.is_secret_manifest = true,
            TextNote::Variable => self.is_variable = true,
            TextNote::VariableFlag => self.has_variable_flag = true,
        }
        if self.is_variable && self.has_variable_flag {
            self.pairs.secrecy = self.pairs.secrecy.max(Secrecy::Texts);
        }
    }
}

impl Sanitizer {
    /// What an option of a command says about the argument after it: `--api-key`.
    fn option_secrecy(&self, option: &str) -> Secrecy {
        match option {
            "-u" | "-U" => return Secrecy::Formed(SecretForm::UserArgument),
            "-p" | "-P" | "-a" | "-w" => return Secrecy::Formed(SecretForm::Argument),
            _ => {}
        }
        let name = option.trim_start_matches('-');
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // `--no-password` takes no argument.
        match name.starts_with("no-") || !name.chars().all(is_name) {
            true => Secrecy::None,
            false => self.secrecy(name),
        }
    }

    /// Whether a word of a text is the name of a password: `Password input`, `#password`.
    fn describes_secret(&self, text: &str) -> bool {
        const BYTES_MAX: usize = 256;
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
        text.len() <= BYTES_MAX && words.any(|word| self.secrecy(word) == Secrecy::All)
    }

    /// What a text says about the value that it names, as a key would.
    ///
    /// A sentence may end with such a word, so a name has no white space. Names are looked at that are
    /// not keys, so of the letters outside ASCII only those matter that pass for others.
    pub fn secrecy(&self, name: &str) -> Secrecy {
        let is_meant = |c: char| is_disguise_char(c) || c == '\u{212A}';
        let may_be =
            !name.contains(char::is_whitespace) && (name.is_ascii() || name.contains(is_meant));
        if !may_be {
            return Secrecy::None;
        }
        match self.classify(name) {
            KeyClass::Formed(form) => Secrecy::Formed(form),
            class if !class.is_secret() => Secrecy::None,
            _ if keys::classify_key_as_name(name).may_be_number() => Secrecy::All,
            _ => Secrecy::Texts,
        }
    }
}
