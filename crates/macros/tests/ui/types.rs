use llm_audit::audit_span;

struct Opaque;

#[audit_span(agent = "a", capture_args(opaque))]
fn neither(opaque: Opaque) {
    drop(opaque);
}

#[audit_span(agent = "a", event = 3 + 4)]
fn no_event() {}

#[audit_span(agent = "a")]
fn mismatch() -> String {
    5_u8
}

fn main() {}
