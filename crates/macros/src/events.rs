//! The names that are accepted in `event = "…"`.

/// The event types of the schema: their names, and the variants of `EventType`.
///
/// This crate does not depend on the schema's crate; a test compares the two lists.
pub(crate) const TYPES: [(&str, &str); 21] = [
    ("request.start", "RequestStart"),
    ("request.end", "RequestEnd"),
    ("agent.route", "AgentRoute"),
    ("agent.decision", "AgentDecision"),
    ("agent.retry", "AgentRetry"),
    ("agent.fallback", "AgentFallback"),
    ("llm.invoke", "LlmInvoke"),
    ("llm.error", "LlmError"),
    ("tool.call", "ToolCall"),
    ("tool.result", "ToolResult"),
    ("tool.error", "ToolError"),
    ("nlp.extract", "NlpExtract"),
    ("cache.hit", "CacheHit"),
    ("cache.miss", "CacheMiss"),
    ("api.call", "ApiCall"),
    ("s3.write", "S3Write"),
    ("push.send", "PushSend"),
    ("serialize", "Serialize"),
    ("prompt.efficiency", "PromptEfficiency"),
    ("eval.result", "EvalResult"),
    ("feedback.given", "FeedbackGiven"),
];

/// Reports whether a name may be a type of the user's own.
///
/// It needs two words or more. So a typing error in a one-word name of the schema is refused.
pub(crate) fn is_custom_event_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let is_own = ["audit.", "alert."].iter().any(|prefix| name.starts_with(prefix));
    name.contains('.') && !is_own && name.split('.').all(is_word)
}

/// Lists the accepted names, for a message.
pub(crate) fn accepted_event_names() -> String {
    let names: Vec<String> = TYPES.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!(
        "accepted: {}; a name of your own, of lower-case words joined by dots, as in \
         `cart.checkout`, except `audit.…` and `alert.…`; an expression of type `EventType`",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use llm_audit::EventType;

    use super::*;

    #[test]
    fn the_names_are_the_schemas() {
        let names = TYPES.iter().map(|(name, _)| *name);
        assert!(names.eq(EventType::ALL.iter().map(|known| known.name())));
        for (name, variant) in TYPES {
            assert_eq!(format!("{:?}", EventType::from_name(name)), variant);
        }
    }

    #[test]
    fn names_of_ones_own() {
        for name in ["cart.checkout", "a.b_2.c", "tool.calls"] {
            assert!(is_custom_event_name(name), "{name}");
            assert!(llm_audit::is_event_type_name(name), "{name}");
        }
        for name in [
            "",
            "cart",
            "Cart.x",
            "a.",
            ".a",
            "a..b",
            "audit.start",
            "alert.fired",
            "a.b c",
            "tool-call",
        ] {
            assert!(!is_custom_event_name(name), "{name}");
        }
    }
}
