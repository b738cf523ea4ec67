//! Replays the failed traces of an agent's run. The tests of each agent include this file.

use std::collections::BTreeMap;

use llm_audit::AuditLogger;
use llm_audit::reader::Trace;
use llm_audit::replay::{ReplayFixture, Replayer, RootInput};
use serde_json::Value;

/// The least share of failed traces that reproduce their error, in percent.
const SHARE_MIN: usize = 95;

/// How many requests are recorded: `LLM_AUDIT_RUNS`, or these.
pub fn requests(default: u64) -> u64 {
    let runs = std::env::var("LLM_AUDIT_RUNS").ok();
    runs.map_or(default, |runs| runs.parse().expect("LLM_AUDIT_RUNS is a number"))
}

/// What an agent recorded.
pub struct Recording {
    agent: &'static str,
    traces: usize,
    /// The fixtures of all traces that failed.
    fixtures: Vec<ReplayFixture>,
}

impl Recording {
    /// Records what `work` does, with content, into the recorder of the process.
    pub fn new(agent: &'static str, work: impl FnOnce()) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let builder = AuditLogger::builder().without_environment().directory(folder.path());
        let builder = builder.debug(true).capture_content(true);
        let guard = llm_audit::init_with(builder).expect("the settings are valid");
        work();
        drop(guard);
        let files = std::fs::read_dir(folder.path()).expect("a folder");
        let files = files.map(|file| file.expect("the folder can be read").path());
        // A folder also has a key.
        let logs = files.filter(|file| !file.ends_with(".key"));
        let log: String = logs.map(|log| std::fs::read_to_string(log).expect("text")).collect();
        let mut traces = BTreeMap::<String, (bool, Vec<&str>)>::new();
        for line in log.lines() {
            let event: Value = serde_json::from_str(line).expect("a line is JSON");
            let Some(id) = event["trace_id"].as_str() else { continue };
            let trace = traces.entry(id.to_owned()).or_default();
            trace.0 |= matches!(event["status"].as_str(), Some("error" | "timeout"));
            trace.1.push(line);
        }
        let fixture = |(id, (_, lines)): (&String, &(bool, Vec<&str>))| {
            let trace = Trace::from_lines(id, lines.iter().copied());
            let fixture = ReplayFixture::from_trace(&trace).expect("it has events");
            // A test reads it from a file.
            ReplayFixture::from_json(&fixture.to_json()).expect("a fixture")
        };
        let failed = traces.iter().filter(|(_, (has_failed, _))| *has_failed);
        Self { agent, fixtures: failed.map(fixture).collect(), traces: traces.len() }
    }

    /// Replays each failed trace twice, and hands those that fail as recorded to `each`. Prints how many these
    /// are, and why the others do not.
    ///
    /// # Panics
    ///
    /// Panics if two replays of a trace differ, or if too few traces reproduce their error.
    #[expect(clippy::print_stderr, reason = "the figures are what the test is about")]
    pub fn replay_failed_traces(
        &self,
        root: fn(&RootInput),
        mut each: impl FnMut(&Replayer),
    ) -> BTreeMap<String, usize> {
        let mut others = BTreeMap::<String, usize>::new();
        let mut reproduced = 0;
        for fixture in &self.fixtures {
            if let Some(gap) = fixture.not_captured.iter().find(|gap| gap.blocks) {
                *others.entry(format!("cannot replay: {}", gap.what)).or_default() += 1;
                continue;
            }
            let replayer = Replayer::new(fixture.clone());
            let replay = replayer.run(root);
            let again = replayer.run(root);
            let (one, other) = (replay.lines(), again.lines());
            let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at));
            let difference = at.map(|at| (one.get(at), other.get(at)));
            assert!(difference.is_none(), "trace {} differs: {difference:#?}", fixture.trace_id);
            if replay.reproduces() && replay.mismatches().is_empty() {
                reproduced += 1;
                each(&replayer);
            } else {
                let why = replay.mismatches().first().cloned().unwrap_or_else(|| {
                    format!(
                        "{} became {:?}",
                        fixture.error.as_ref().expect("it failed"),
                        replay.check()
                    )
                });
                *others.entry(why).or_default() += 1;
            }
        }
        let (agent, traces, failed) = (self.agent, self.traces, self.fixtures.len());
        eprintln!(
            "{agent}: {traces} traces, {failed} failed, {failed} fixtures, {reproduced} reproduced"
        );
        for (why, count) in &others {
            eprintln!("{agent}: {count} not reproduced: {why}");
        }
        assert!(failed > 0 && reproduced * 100 >= failed * SHARE_MIN, "{reproduced} of {failed}");
        others
    }
}
