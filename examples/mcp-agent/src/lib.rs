//! A server of the Model Context Protocol, and an agent that asks it, both recorded.
//!
//! ```text
//! cargo build -p mcp-agent-example
//! target/debug/mcp-trips                              # starts mcp-plans, over stdio
//! target/debug/mcp-plans --http 127.0.0.1:8000        # streamable HTTP
//! target/debug/mcp-trips http://127.0.0.1:8000/mcp
//! ```
//!
//! Both write their log into `logs`, or `AUDIT_LOG_DIR`. `mcp-trips` makes calls that go well, and one of
//! each kind that fails: an unknown tool, arguments that do not parse, and a tool that refuses.

use llm_audit::{AuditEvent, EventType};
use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    Implementation, PromptMessage, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ResourceContents, Role, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, prompt, prompt_handler, prompt_router, schemars, tool,
    tool_handler, tool_router,
};
use serde::Deserialize;

/// The server: a tool, a prompt, and a resource for each plan.
#[derive(Clone, Debug)]
pub struct Plans {
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

/// What `find_plan` is asked.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct MemberQuery {
    /// The member's mail address.
    pub member: String,
}

#[tool_router]
impl Plans {
    /// Returns a server that knows one member.
    pub fn new() -> Self {
        Self { tools: Self::tool_router(), prompts: Self::prompt_router() }
    }

    #[tool(description = "Finds the plan of a member.")]
    async fn find_plan(
        &self,
        Parameters(MemberQuery { member }): Parameters<MemberQuery>,
    ) -> Result<String, String> {
        // The tool's own event, below its span.
        llm_audit::emit(&AuditEvent::new(EventType::CacheMiss, "plans", "plans.get"));
        match member.starts_with("ana@") {
            true => Ok(format!("{member} has the plan gold")),
            false => Err(format!("{member} is not a member")),
        }
    }
}

#[prompt_router]
#[allow(missing_docs, reason = "the macro writes a function without any")]
impl Plans {
    #[prompt(description = "Explains a plan.")]
    async fn explain(&self) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, "Explain the plan gold.")]
    }
}

impl Default for Plans {
    fn default() -> Self {
        Self::new()
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Plans {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("plans", "1.0.0"))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match request.uri.as_str() {
            "plan://gold" => {
                let text = ResourceContents::text("Two check-ups a year.", request.uri);
                Ok(ReadResourceResult::new(vec![text]).into())
            }
            uri => Err(ErrorData::resource_not_found(format!("{uri} is not a plan"), None)),
        }
    }
}
