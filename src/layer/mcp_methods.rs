//! The methods of the Model Context Protocol.

/// The methods that an action may contain. Any client may send any text, and each action is a label.
const METHODS: [&str; 21] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/directory/read",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "skills/get",
    "skills/list",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// Returns the method of this name, if it is one of the protocol.
pub(super) fn known_method(name: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|method| *method == name)
}
