use llm_audit::audit_span;

#[audit_span(agent = "a")]
const fn constant() {}

#[audit_span(agent = "a")]
extern "C" fn foreign() {}

#[audit_span(agent = "a")]
struct NoFunction;

trait Tool {
    #[audit_span(agent = "a")]
    fn no_body(&self);
}

fn main() {}
