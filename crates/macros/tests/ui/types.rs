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

#[audit_span(agent = "a", replay)]
fn result_cannot_be_read() -> Opaque {
    Opaque
}

#[audit_span(agent = "a", replay)]
fn error_cannot_be_made() -> Result<u8, std::num::ParseIntError> {
    "1".parse()
}

fn main() {}
