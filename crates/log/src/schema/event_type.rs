//! The types of events: one table of variants, names, descriptions and properties.

use super::notices::is_own_type_name;

/// Makes the enum and everything that lists its variants from the one table below.
///
/// A row is `Variant = "name", "description", spans, status`. `shared`: the events of one operation
/// carry the same span. `own`: each event is a span. `failed`: the type itself names a failure.
macro_rules! event_types {
    ($($variant:ident = $name:literal, $doc:literal, $spans:ident, $status:ident;)+) => {
        /// What kind of step an event reports.
        ///
        /// # Examples
        ///
        /// ```
        /// use llm_audit_log::EventType;
        ///
        /// assert_eq!(EventType::LlmInvoke.name(), "llm.invoke");
        /// assert_eq!(EventType::from_name("tool.error"), EventType::ToolError);
        /// assert!(EventType::ToolError.is_failure());
        /// // A type of your own.
        /// let checkout = EventType::Custom("cart.checkout");
        /// assert_eq!((checkout.name(), checkout.description()), ("cart.checkout", ""));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType<'a> {
            $(
                #[doc = concat!("`", $name, "`: ", $doc, ".")]
                $variant,
            )+
            /// A type of the caller's own: dotted lower-case words, as in `cart.checkout`.
            ///
            /// In the line a capital becomes lower case and any other foreign character `_`. Names
            /// that begin with `audit.` belong to the log; such a name is written as
            /// `user.audit.…`.
            Custom(&'a str),
        }

        /// Every row of the table.
        const ROWS: &[EventTypeRow] = &[$(EventTypeRow {
            name: $name,
            description: $doc,
            shares_span: event_types!(@shares $spans),
            is_failure: event_types!(@fails $status),
        }),+];

        impl EventType<'static> {
            /// Every type of the schema, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        /// The codes, counted by the compiler.
        enum Code {
            $($variant,)+
        }

        impl EventType<'_> {
            /// The index into [`ALL`](EventType::ALL); `u8::MAX` for a type of the caller's own.
            #[inline]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => Code::$variant as u8,)+
                    Self::Custom(_) => u8::MAX,
                }
            }
        }
    };
    (@shares shared) => { true };
    (@shares own) => { false };
    (@fails ok) => { false };
    (@fails failed) => { true };
}

event_types! {
    RequestStart = "request.start", "the first byte of a request", shared, ok;
    RequestEnd = "request.end", "the last byte of the answer", shared, ok;
    AgentRoute = "agent.route", "an agent chose where to go", own, ok;
    AgentDecision = "agent.decision", "an agent chose what to do", own, ok;
    AgentRetry = "agent.retry", "a step is tried again", own, ok;
    AgentFallback = "agent.fallback", "a step is replaced by another", own, ok;
    LlmInvoke = "llm.invoke", "a model answered", own, ok;
    LlmError = "llm.error", "a model did not answer", own, failed;
    ToolCall = "tool.call", "before a tool runs", shared, ok;
    ToolResult = "tool.result", "after a tool ran", shared, ok;
    ToolError = "tool.error", "after a tool failed", shared, failed;
    NlpExtract = "nlp.extract", "a text was analysed", own, ok;
    CacheHit = "cache.hit", "a cache had the answer", own, ok;
    CacheMiss = "cache.miss", "a cache did not have the answer", own, ok;
    ApiCall = "api.call", "another service was called", own, ok;
    S3Write = "s3.write", "an object was stored", own, ok;
    PushSend = "push.send", "a notification was sent", own, ok;
    Serialize = "serialize", "a payload was encoded", own, ok;
    PromptEfficiency = "prompt.efficiency", "a prompt was compressed or templated", own, ok;
    EvalResult = "eval.result", "an answer was evaluated", shared, ok;
    FeedbackGiven = "feedback.given", "a person judged an answer", shared, ok;
}

/// What the table knows about one type.
struct EventTypeRow {
    name: &'static str,
    description: &'static str,
    shares_span: bool,
    is_failure: bool,
}

/// The number of types that the schema may have: the code of a caller's own is `u8::MAX`.
const _: () = assert!(ROWS.len() < u8::MAX as usize);

impl<'a> EventType<'a> {
    #[inline]
    fn row(self) -> Option<&'static EventTypeRow> {
        ROWS.get(usize::from(self.code()))
    }

    /// The name as it is in a line; for [`EventType::Custom`] as the caller spelled it.
    #[inline]
    pub fn name(self) -> &'a str {
        match self {
            Self::Custom(name) => name,
            known => ROWS[usize::from(known.code())].name,
        }
    }

    /// The type of this name: one of the schema's, otherwise [`EventType::Custom`].
    pub fn from_name(name: &'a str) -> Self {
        let known = ROWS.iter().position(|row| row.name == name);
        known.map_or(Self::Custom(name), |code| EventType::ALL[code])
    }

    /// What an event of this type reports, in a few words; empty for a type of the caller's own.
    pub fn description(self) -> &'static str {
        self.row().map_or("", |row| row.description)
    }

    /// Whether events of this type share the span of their operation, instead of each being a span.
    #[inline]
    pub fn shares_span(self) -> bool {
        self.row().is_some_and(|row| row.shares_span)
    }

    /// Whether events of this type judge what another event reports. They have the span of that one, and may come
    /// days later.
    #[inline]
    pub fn is_judgement(self) -> bool {
        matches!(self, Self::EvalResult | Self::FeedbackGiven)
    }

    /// Whether the type itself names a failure.
    #[inline]
    pub fn is_failure(self) -> bool {
        self.row().is_some_and(|row| row.is_failure)
    }
}

/// Whether `name` is a type an event may have: words of lower-case letters, digits and `_`, joined
/// by dots, and not one of the log's own `audit.*` and `alert.*`.
pub fn is_event_type_name(name: &str) -> bool {
    !is_own_type_name(name)
        && name.split('.').all(|word| {
            !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        })
}

/// Whether events of this type are calls of models. Only they count tokens and cost, because events of requests
/// and agents repeat them.
pub(crate) fn is_llm_call(event_type: &str) -> bool {
    [EventType::LlmInvoke, EventType::LlmError].iter().any(|of| of.name() == event_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_codes_and_the_list_agree() {
        for (code, event_type) in EventType::ALL.iter().enumerate() {
            assert_eq!(usize::from(event_type.code()), code);
            assert_eq!(EventType::from_name(event_type.name()), *event_type);
            assert!(is_event_type_name(event_type.name()), "{event_type:?}");
            assert!(!event_type.description().is_empty(), "{event_type:?}");
        }
        assert_eq!(EventType::ALL.len(), ROWS.len());
    }

    #[test]
    fn a_name_of_ones_own_has_no_row() {
        let own = EventType::from_name("cart.checkout");
        assert_eq!((own, own.code()), (EventType::Custom("cart.checkout"), u8::MAX));
        assert!(!own.shares_span() && !own.is_failure() && own.description().is_empty());
    }

    #[test]
    fn which_types_share_a_span_and_which_fail() {
        let of = |property: fn(EventType<'static>) -> bool| -> Vec<&str> {
            EventType::ALL.iter().filter(|t| property(**t)).map(|t| t.name()).collect()
        };
        let shared = ["request.start", "request.end", "tool.call", "tool.result", "tool.error"];
        let judgements = ["eval.result", "feedback.given"];
        assert_eq!(of(EventType::shares_span), [&shared[..], &judgements].concat());
        assert_eq!(of(EventType::is_judgement), judgements);
        assert_eq!(of(EventType::is_failure), ["llm.error", "tool.error"]);
    }
}
