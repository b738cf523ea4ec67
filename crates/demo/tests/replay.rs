//! The failed traces of a run under load, replayed: the same error at the same step, without network.

#[path = "../../../testdata/replays.rs"]
mod replays;

use llm_audit::replay::Replayer;
use llm_audit_demo::load::Options;
use llm_audit_demo::{Config, replay_root, replay_root_with};
use replays::{Recording, requests};

#[test]
fn failed_traces_fail_again_at_the_same_step() {
    let options = Options { requests: requests(60), concurrency: 8, seed: 3 };
    let recording = Recording::new("demo", || {
        llm_audit_demo::demo(&options).expect("loopback can be listened on");
    });
    let mut is_summary_seen = false;
    recording.replay_failed_traces(replay_root, |replayer: &Replayer| {
        // The bug of the example, and the same code without it.
        if replayer.fixture().error.as_ref().is_some_and(|error| error.action == "calls.summary") {
            is_summary_seen = true;
            let fixed = Config { skips_malformed_calls: true, ..Config::default() };
            replayer.run(|input| replay_root_with(fixed, input)).assert_fixed();
        }
    });
    assert!(is_summary_seen, "a script of the stand-in makes it fail");
}
