use llm_audit::audit_span;

#[audit_span(agent = "a", skip(c))]
fn no_such(a: u8, b: u8) {}

#[audit_span(agent = "a", capture_args(a, c))]
fn no_such_either(a: u8, b: u8) {}

#[audit_span(agent = "a", skip(a, a))]
fn twice(a: u8) {}

#[audit_span(agent = "a", skip(a), capture_args(a))]
fn both(a: u8) {}

#[audit_span(agent = "a", skip)]
fn no_names(a: u8) {}

struct Agent;

impl Agent {
    #[audit_span(agent = "a", skip(self))]
    fn receiver(&self) {}
}

#[audit_span(agent = "a")]
fn conditional(#[cfg(unix)] a: u8) {}

fn main() {}
