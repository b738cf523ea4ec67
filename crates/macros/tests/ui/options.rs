use llm_audit::audit_span;

#[audit_span]
fn no_agent() {}

#[audit_span(action = "x")]
fn still_no_agent() {}

#[audit_span(agent)]
fn no_value() {}

#[audit_span(agent = "a", agent = "b")]
fn twice() {}

#[audit_span(agent = "a", capture_arguments)]
fn unknown() {}

#[audit_span(agent = "a" action = "b")]
fn no_comma() {}

#[audit_span(agent = "a", event = "tool_call")]
fn no_type() {}

#[audit_span(agent = "a", event = "audit.start")]
fn not_ours() {}

#[audit_span(agent = "a", recoverable = "yes")]
fn no_function() {}

#[audit_span(agent = "a", crate = 5)]
fn no_path() {}

fn main() {}
