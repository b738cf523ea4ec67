//! A service of agents that answers questions about benefits, and records every step it takes.
//!
//! A supervisor reads a question, chooses a route, and hands it to the benefits agent. The agent asks
//! a model over the OpenAI-compatible protocol and runs the tools the model calls for. Around that are
//! a cache, a store for transcripts and push notifications. All nineteen event types of `llm-audit`
//! come out of it:
//!
//! | event | from |
//! |---|---|
//! | `request.start`, `request.end` | `layer::tower::ServerLayer`, in [`Service`] and the search service |
//! | `api.call` | `layer::tower::ClientLayer` around the HTTP client |
//! | `agent.route`, `nlp.extract`, `serialize` | the supervisor |
//! | `agent.decision`, `agent.retry`, `agent.fallback`, `prompt.efficiency` | the benefits agent |
//! | `llm.invoke`, `llm.error` | the client of the model |
//! | `tool.call`, `tool.result`, `tool.error` | `#[audit_span]` on the tools |
//! | `cache.hit`, `cache.miss`, `s3.write`, `push.send` | as named |
//!
//! The log is its only voice: nothing is printed. [`Config::from_env`] says what it reads from the
//! environment. If that names no provider, a stand-in on loopback answers. A seed decides when it is
//! slow, refuses, and talks nonsense.
//!
//! It handles what an agent in service handles: the personal data its users type, the credentials
//! its tools carry, and the errors that quote both. [`PLANTED`] lists every such text of
//! the stand-ins and of the [`load`]; none of them may reach a log.

mod account;
mod agent;
#[cfg(feature = "alerts")]
mod alert_push;
mod cache;
mod config;
mod http_client;
pub mod load;
mod message;
mod model;
mod nlp;
mod percent;
mod planted;
mod program;
mod prompt;
mod push;
mod question;
mod replay;
mod server;
mod service;
mod standin;
mod step;
mod store;
mod supervisor;
mod tools;

#[cfg(feature = "alerts")]
pub use alert_push::AlertPush;
pub use config::{Config, Provider};
pub use load::demo;
pub use planted::PLANTED;
pub use program::serve;
pub use replay::{replay_root, replay_root_with};
pub use service::Service;
pub use store::{Folder, Put, Store, StoreError};
