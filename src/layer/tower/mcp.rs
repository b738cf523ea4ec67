//! The headers by which streamable HTTP names a request of the Model Context Protocol.

use http::HeaderMap;

/// The methods that an action may contain. Any client may send any text, and each action is a label.
const METHODS: [&str; 20] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
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

/// What the headers `Mcp-Method` and `Mcp-Name` say.
pub(super) struct McpHeaders<'h> {
    pub(super) method: &'static str,
    /// The member of the data that has the name, and the name.
    pub(super) name: Option<(&'static str, &'h str)>,
}

impl<'h> McpHeaders<'h> {
    /// Reads the headers, if the method is one of the protocol.
    pub(super) fn read(headers: &'h HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name)?.to_str().ok();
        let sent = text("mcp-method")?;
        let method = *METHODS.iter().find(|method| **method == sent)?;
        let member = match method {
            "tools/call" => Some("tool"),
            "prompts/get" => Some("gen_ai.prompt.name"),
            _ if method.starts_with("resources/") => Some("mcp.resource.uri"),
            _ => None,
        };
        // A name in base64 would hide from redaction what it contains.
        let name = text("mcp-name").filter(|name| !name.starts_with("=?"));
        Some(Self { method, name: member.zip(name) })
    }
}
