//! The headers by which streamable HTTP names a request of the Model Context Protocol.

use http::HeaderMap;

use crate::layer::mcp_methods::known_method;

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
        let method = known_method(text("mcp-method")?)?;
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
