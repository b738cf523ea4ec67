//! The root of a replayed trace.

use llm_audit::replay::RootInput;

use crate::TripAgent;

/// Plans the recorded trip again. `llm-audit fixture --test` writes tests that call this.
///
/// # Panics
///
/// Panics if the root is not a trip.
pub fn replay_root(input: &RootInput) {
    assert_eq!(input.name(), "plan_trip", "the only root");
    let wish: String = input.argument("wish").expect("its argument is recorded");
    // Nothing is sent there.
    let agent = TripAgent::new("http://127.0.0.1:9");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    let _plan = runtime.block_on(input.drive(agent.plan_trip(&wish)));
}
