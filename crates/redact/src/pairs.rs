//! Which values are named by a text beside them, as in `{"name": "Authorization", "value": …}`?

use super::Sanitizer;
use super::disguise::is_disguise;
use super::keys::KeyClass;

/// What a list lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Around {
    /// Another list: it may be a name and a value.
    List,
    /// The key `rawHeaders`.
    Headers,
    /// Anything else.
    #[default]
    Other,
}

/// What a value is among those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Plain,
    /// A text that names another value; how secret that is, is [`Pairs::secrecy`].
    Name,
    /// It goes, unless it is null or a boolean.
    Secret,
    /// It is named by a text, that of a secret.
    Named(Secrecy),
}

/// What goes of a value by the name beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secrecy {
    /// Nothing.
    #[default]
    None,
    /// All but a null, a boolean and a number: beside a word it may be that word's frequency.
    Texts,
    /// A number too: the name is that of a password.
    All,
}

/// Which values of a container are named by a text beside them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs {
    around: Around,
    /// Elements so far; of headers, by twos.
    elements: u8,
    /// Of what is named.
    pub secrecy: Secrecy,
}

impl Pairs {
    /// Begins a container that lies in `around`.
    pub fn within(around: Around) -> Self {
        Self { around, ..Self::default() }
    }

    /// The role of the next element of a list. That of a pair is the last of its list.
    #[inline]
    pub fn element(&mut self) -> Role {
        if self.around == Around::Other {
            return Role::Plain;
        }
        let at = self.elements;
        self.elements = match self.around {
            Around::Headers => (at + 1) % 2,
            _ => at.saturating_add(1),
        };
        match at {
            0 => {
                self.secrecy = Secrecy::None;
                Role::Name
            }
            1 => self.named(),
            _ => Role::Plain,
        }
    }

    /// Whether a pair in a list of lists is looked for, which is the whole of its own.
    pub fn is_pair(self) -> bool {
        self.around == Around::List
    }

    /// The role of a member of an object under a key of this class.
    #[inline]
    pub fn member(&mut self, class: KeyClass) -> Role {
        match class {
            KeyClass::Sensitive => Role::Secret,
            KeyClass::Value => self.named(),
            KeyClass::Name => Role::Name,
            _ => Role::Plain,
        }
    }

    fn named(self) -> Role {
        match self.secrecy {
            Secrecy::None => Role::Plain,
            secrecy => Role::Named(secrecy),
        }
    }
}

impl Sanitizer {
    /// What a text says of the value it names, as a key would. A sentence may end with such a word, so
    /// a name has no white space; and since names are looked at that are no keys, of letters outside
    /// ASCII only those matter that pass for others.
    pub fn secrecy(&self, name: &str) -> Secrecy {
        const PASSWORDS: [&str; 6] = ["password", "passcode", "passwd", "pwd", "cvv", "cvc"];
        let is_meant = |c: char| is_disguise(c) || c == '\u{212A}';
        let may_be = !name.contains(char::is_whitespace)
            && (name.is_ascii() || name.contains(is_meant))
            && self.classify(name, false) == KeyClass::Sensitive;
        let ends_with = |end: &str| {
            name.len() >= end.len()
                && name.as_bytes()[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
        };
        match may_be {
            true if PASSWORDS.into_iter().any(ends_with) => Secrecy::All,
            true => Secrecy::Texts,
            false => Secrecy::None,
        }
    }
}
