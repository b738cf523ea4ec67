//! The figures of a log are those of all events, whatever sampling left out.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{folder, run};
use llm_audit::{
    AuditEvent, AuditLogger, EventType, FailedTraces, SamplingPolicy, Status, TraceContext, Usd,
};
use serde_json::{Value, json};

/// Records the same events each time.
fn record(dir: &str, policy: SamplingPolicy, mut rng: fastrand::Rng) {
    let builder = AuditLogger::builder().without_environment().directory(Path::new(dir));
    let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
    let logger = builder.build().unwrap();
    let types = [EventType::RequestEnd, EventType::ToolResult, EventType::LlmInvoke];
    for _ in 0..EVENTS {
        let event_type = rng.choice(types).unwrap();
        let is_call = event_type == EventType::LlmInvoke;
        let agent = rng.choice(["planner", "clerk"]).unwrap();
        let model = rng.choice(["gpt-4o", "claude-sonnet-4-5", "llama"]).unwrap();
        let cost: Usd = format!("0.{:09}", rng.u32(..1_000_000_000)).parse().unwrap();
        let (input, output) = (rng.u64(..5_000), rng.u64(..500));
        let data = json!({"model": model});
        let event = AuditEvent::new(event_type, agent, "work")
            .status(rng.choice(Status::ALL).unwrap())
            .latency_ms(f64::from(rng.u32(..4_000_000)) / 1e3);
        logger.emit(&match is_call {
            true if model == "llama" => event.model(model).tokens(input, output).data(&data),
            true => event.model(model).tokens(input, output).cost_usd(cost).data(&data),
            false => event,
        });
    }
    logger.shutdown(Duration::from_secs(60)).unwrap();
}

const EVENTS: u64 = 3_000;

fn figures(dir: &str, args: &[&str]) -> Value {
    let run = run(&[args, &["--json", "--dir", dir]].concat());
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let mut json = run.json();
    let basis = json["basis"].take();
    assert_eq!(basis["estimated_instances"], 0, "{basis}");
    assert!(basis["counted"].as_u64() <= Some(EVENTS), "{basis}");
    json
}

#[test]
fn a_log_without_any_event_has_the_figures_of_a_whole_one() {
    let (_keep, none) = folder();
    let (_keep_too, all) = folder();
    let nothing = SamplingPolicy {
        trace_rate: 0.0,
        success_rate: 0.0,
        error_rate: 0.0,
        slow_threshold_ms: f64::MAX,
        ..SamplingPolicy::default()
    };
    let everything = SamplingPolicy { debug: true, ..SamplingPolicy::default() };
    let rng = fastrand::Rng::with_seed(11);
    record(&none, nothing, rng.clone());
    record(&all, everything, rng);
    assert_eq!(common::event_lines(&none), 0);
    assert_eq!(common::event_lines(&all) as u64, EVENTS);
    for args in [
        &["stats"][..],
        &["stats", "--by", "agent,status"],
        &["stats", "--by", "model,tenant"],
        &["stats", "--type", "llm", "--status", "timeout", "--by", "data.model"],
        &["stats", "--agent", "clerk", "--model", "gpt"],
        &["cost"],
        &["cost", "--by", "agent,action"],
    ] {
        let (found, whole) = (figures(&none, args), figures(&all, args));
        assert_eq!(found, whole, "{args:?}");
        assert!(found["total"]["events"].as_u64() > Some(0), "{found}");
        // Each line by itself.
        let lines = figures(&all, &[args, &["-q", "agent != 'nobody'"]].concat());
        for member in ["events", "failed", "tokens_input", "cost_usd", "unpriced"] {
            assert_eq!(found["total"][member], lines["total"][member], "{args:?} {member}");
        }
        for member in ["p50_ms", "p90_ms", "p99_ms", "max_ms"] {
            let [found, exact] =
                [&found, &lines].map(|json| json["total"][member].as_f64().unwrap());
            assert!((found / exact - 1.0).abs() < 0.001, "{args:?} {member}: {found}, {exact}");
        }
    }
    let report = |dir: &str| figures(dir, &["report"]);
    for member in ["total", "requests", "types", "actions", "models", "unpriced_models"] {
        assert_eq!(report(&none)[member], report(&all)[member], "{member}");
    }
}

/// Sampling leaves all lines out, and the totals name the users.
#[test]
fn the_cost_of_each_user_is_that_of_all_calls() {
    let (_keep, dir) = folder();
    let policy = SamplingPolicy { trace_rate: 0.0, success_rate: 0.0, ..SamplingPolicy::default() };
    let builder = AuditLogger::builder().without_environment().directory(Path::new(&dir));
    let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
    let logger = builder.build().unwrap();
    let call = |cost: &str| {
        let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").tokens(7, 3);
        event.cost_usd(cost.parse::<Usd>().unwrap())
    };
    for at in 0..600 {
        logger.emit(&call("0.01").user(&format!("member-{}", at % 3)));
        logger.emit(&call("0.02"));
    }
    logger.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(common::event_lines(&dir), 0);
    for by in ["user", "data.user"] {
        let found = figures(&dir, &["cost", "--by", by]);
        let groups = found["groups"].as_array().unwrap();
        let costs: Vec<_> = groups.iter().map(|group| group["cost_usd"].as_f64()).collect();
        assert_eq!(costs, [Some(2.0); 3], "{found}");
        assert_eq!(groups[0]["cost_usd"], groups[0]["cost_usd_max"]);
        assert_eq!(
            (&found["other"]["cost_usd"], &found["total"]["cost_usd"]),
            (&json!(12), &json!(18))
        );
        let shown = run(&["cost", "--by", by, "--dir", &dir]).stdout;
        assert!(shown.contains("users by audit.totals"), "{shown}");
    }
}

/// Every user has a cost, also those with a mail address, and costs are those of an independent sum.
#[test]
fn the_costs_of_ten_thousand_users_are_those_of_an_independent_sum() {
    const USERS: usize = 10_000;
    let id = |user: usize| match user % 2 {
        0 => format!("member-{user}"),
        _ => format!("member-{user}@example.org"),
    };
    for keeps_all in [true, false] {
        let (_keep, dir) = folder();
        let trace_rate = if keeps_all { 1.0 } else { 0.0 };
        let policy = SamplingPolicy { trace_rate, success_rate: 0.0, ..SamplingPolicy::default() };
        let builder = AuditLogger::builder().without_environment().directory(Path::new(&dir));
        let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
        let logger = builder.build().unwrap();
        let mut draws = fastrand::Rng::with_seed(22);
        // In billionths of a dollar.
        let mut sums = vec![0_u64; USERS];
        for call in 0..3 * USERS {
            let user = if call < USERS { call } else { draws.usize(..USERS) };
            let cost = draws.u64(1..50_000_000);
            sums[user] += cost;
            let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").tokens(7, 3);
            let event = event.cost_usd(dollars(cost).parse::<Usd>().unwrap());
            let _scope = TraceContext::new_trace().with_user(id(user)).enter();
            logger.emit_wait(&event);
        }
        logger.shutdown(Duration::from_secs(60)).unwrap();
        let out = run(&["cost", "--by", "user", "--json", "--dir", &dir]);
        assert_eq!((out.code, &*out.stderr), (0, ""));
        assert!(!out.stdout.contains("example.org"));
        let total = dollars(sums.iter().sum());
        assert!(out.stdout.contains(&format!("\"cost_usd\":{total},")), "{total}");
        let found = out.json();
        let groups = found["groups"].as_array().unwrap();
        let (mut plain, mut hashed) = (BTreeMap::new(), Vec::new());
        for group in groups {
            let bounds = ["cost_usd", "cost_usd_max"].map(|name| billionths(&group[name]));
            match group["values"][0].as_str().unwrap() {
                user if user.starts_with("u_") => hashed.push(bounds),
                user => drop(plain.insert(user.to_owned(), bounds)),
            }
        }
        if keeps_all {
            assert_eq!((groups.len(), &found["other"]["cost_usd"]), (USERS, &json!(0)));
            let exact = |user: usize| [sums[user]; 2];
            assert!((0..USERS).step_by(2).all(|user| plain.get(&id(user)) == Some(&exact(user))));
            let mut expected: Vec<_> = (1..USERS).step_by(2).map(exact).collect();
            expected.sort_unstable();
            hashed.sort_unstable();
            assert_eq!(hashed, expected);
        } else {
            assert!(groups.len() >= 256, "{}", groups.len());
            let nobody = [0, billionths(&found["rest_cost_usd_max"])];
            for user in (0..USERS).step_by(2) {
                let [least, most] = plain.get(&id(user)).copied().unwrap_or(nobody);
                assert!((least..=most).contains(&sums[user]), "{user}: {least} {most}");
            }
        }
    }
}

/// The exact decimal text of billionths, as the command writes it.
fn dollars(billionths: u64) -> String {
    let (whole, part) = (billionths / 1_000_000_000, billionths % 1_000_000_000);
    format!("{whole}.{part:09}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn billionths(cost: &Value) -> u64 {
    (cost.as_f64().unwrap() * 1e9).round() as u64
}

/// More users than totals name: what each may have spent besides is said.
#[test]
fn the_error_of_the_cost_of_users_is_shown() {
    let (_keep, dir) = folder();
    let policy = SamplingPolicy { trace_rate: 0.0, success_rate: 0.0, ..SamplingPolicy::default() };
    let builder = AuditLogger::builder().without_environment().directory(Path::new(&dir));
    let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
    let logger = builder.build().unwrap();
    for user in 0..300 {
        let cost = format!("0.{:03}", 500 - user);
        let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").tokens(7, 3);
        logger.emit(&event.user(&format!("u{user:03}")).cost_usd(cost.parse::<Usd>().unwrap()));
    }
    logger.shutdown(Duration::from_secs(60)).unwrap();
    let found = figures(&dir, &["cost", "--by", "user"]);
    assert_eq!(found["groups"].as_array().unwrap().len(), 256);
    let first = &found["groups"][0];
    assert_eq!((&first["values"][0], &first["cost_usd"]), (&json!("u000"), &json!(0.5)));
    let rest = found["rest_cost_usd_max"].as_f64().unwrap();
    assert!(rest >= 0.244, "{found}");
    assert_eq!(first["cost_usd_max"].as_f64().unwrap(), 0.5 + rest);
    let shown = run(&["cost", "--by", "user", "--dir", &dir]).stdout;
    assert!(shown.contains("at most") && shown.contains("a user who is not named"), "{shown}");
}

/// `errors` counts lines, and says so if some are missing.
#[test]
fn errors_says_that_sampling_left_events_out() {
    for (rate, is_sampled) in [(0.0, true), (1.0, false)] {
        let (_keep, dir) = folder();
        let policy =
            SamplingPolicy { trace_rate: rate, success_rate: rate, ..SamplingPolicy::default() };
        let builder = AuditLogger::builder().without_environment().directory(Path::new(&dir));
        let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
        let logger = builder.build().unwrap();
        for status in [Status::Ok, Status::Ok, Status::Error] {
            logger.emit(&AuditEvent::new(EventType::RequestEnd, "planner", "work").status(status));
        }
        logger.shutdown(Duration::from_secs(60)).unwrap();
        let json = run(&["errors", "--json", "--dir", &dir]).json();
        assert_eq!((&json["failed"], &json["is_sampled"]), (&json!(1), &json!(is_sampled)));
        let shown = run(&["errors", "--dir", &dir]).stdout;
        assert_eq!(shown.contains(" failed, of those that sampling kept\n"), is_sampled, "{shown}");
    }
}
