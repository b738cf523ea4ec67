use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::calculate_cost;
use crate::testing::capture;
use crate::writer::Platform;
use crate::writer::fs::Clock;
use crate::{AuditEvent, AuditLogger, Builder, EventType};

/// A deadline that a busy machine meets. No test waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(60);

fn usd(text: &str) -> Option<Usd> {
    text.parse().ok()
}

fn prices(input: &str) -> String {
    format!("{{\"m\": {{\"input_cost_per_token\": {input}}}}}")
}

const SECOND: i64 = 1_000_000;

#[test]
fn a_changed_file_is_read_again_at_most_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    fs::write(&path, prices("1")).unwrap();
    let pricing = Pricing::open(Some(&path), &Sanitizer::default()).unwrap();
    let cost = || pricing.cost("", &["m"], Usage::new(1, 0));
    pricing.reread_changed_file(|| 0);
    assert_eq!(cost(), usd("1"));

    fs::write(&path, prices("22")).unwrap();
    pricing.reread_changed_file(|| SECOND - 1);
    assert_eq!(cost(), usd("1"), "a second has not passed yet");
    pricing.reread_changed_file(|| SECOND);
    assert_eq!(cost(), usd("22"));

    fs::write(&path, "{\n\"m\": ana@example.org").unwrap();
    pricing.reread_changed_file(|| 2 * SECOND);
    pricing.reread_changed_file(|| 3 * SECOND);
    assert_eq!(cost(), usd("22"), "the prices before stay in use");
    let refused = pricing.refused();
    assert_eq!(refused.count, 1, "one version, checked twice");
    assert!(refused.last.contains("line 2"), "{}", refused.last);

    fs::remove_file(&path).unwrap();
    pricing.reread_changed_file(|| 4 * SECOND);
    assert_eq!((cost(), pricing.refused().count), (usd("22"), 2));

    fs::write(&path, prices("333")).unwrap();
    pricing.reread_changed_file(|| -SECOND);
    assert_eq!(cost(), usd("333"), "even if the clock was set back");
}

#[test]
fn what_has_no_price_is_counted_and_named_without_bound_or_secret() {
    let pricing = Pricing::open(None, &Sanitizer::default()).unwrap();
    for n in 0..70 {
        assert_eq!(pricing.cost("", &[&format!("model-{n}")], Usage::new(1, 1)), None);
    }
    let unpriced = pricing.unpriced();
    assert_eq!((unpriced.names.len(), unpriced.others, unpriced.total()), (64, 6, 70));
    pricing.cost("", &["model-3"], Usage::new(1, 1));
    assert_eq!(pricing.unpriced().names["model-3"], 2);

    let pricing = Pricing::open(None, &Sanitizer::default()).unwrap();
    pricing.cost("", &["ana@example.org"], Usage::new(1, 1));
    pricing.cost("", &[&"é".repeat(100_000)], Usage::new(1, 1));
    let names: Vec<_> = pricing.unpriced().names.into_keys().collect();
    assert_eq!(names, ["[REDACTED_email]", &"é".repeat(MODEL_CHARS_MAX)]);
}

/// Replaces the file in one step, so that the writer sees either the old file or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

/// A clock that advances by a second each time it is read.
struct Hasty(AtomicI64);

impl Clock for Hasty {
    fn now_micros(&self) -> i64 {
        self.0.fetch_add(SECOND, Ordering::Relaxed)
    }
}

/// Returns the last line of a logger after `run`.
fn stopped(builder: Builder, run: impl FnOnce(&AuditLogger)) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hasty(AtomicI64::new(0)));
    let platform = Platform { clock, ..Platform::default() };
    let builder = builder.without_environment().directory(folder.path()).debug(true);
    let logger = builder.build_on_platform(platform).unwrap();
    run(&logger);
    logger.shutdown(DEADLINE).unwrap();
    let text = fs::read_to_string(logger.path().unwrap()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_log_says_what_had_no_price() {
    let stop = stopped(AuditLogger::builder(), |logger| {
        for _ in 0..3 {
            assert_eq!(logger.calculate_cost("our-own", (1, 1)), None);
        }
        assert!(logger.calculate_cost("gpt-4o", (1, 1)).is_some());
        assert_eq!(logger.accounting().unpriced, 3);
    });
    assert_eq!(stop["data"]["unpriced"], serde_json::json!({"our-own": 3}));
    assert!(stop["data"].get("unmetered").is_none());
    let stop = stopped(AuditLogger::builder(), |logger| {
        let call = crate::LlmCall::new("a", "chat", "", "our-own").answer(&());
        assert_eq!(logger.record_llm_call(&call), None);
    });
    assert_eq!(stop["data"]["unmetered"], serde_json::json!({"our-own": 1}));
    assert!(stop["data"].get("unpriced").is_none());
    assert!(stop["data"].get("prices_refused").is_none());
    let stop = stopped(AuditLogger::builder(), |_| {});
    assert!(stop["data"].get("unpriced").is_none());
}

#[test]
fn the_writer_looks_at_the_file_and_the_log_says_what_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    fs::write(&path, prices("1")).unwrap();
    let stop = stopped(AuditLogger::builder().pricing_file(&path), |logger| {
        assert_eq!(logger.calculate_cost("m", (3, 0)), usd("3"));
        replace(&path, &prices("22"));
        // The writer checks the file after it has seen the request and before it answers.
        let look = || {
            logger.emit(&AuditEvent::new(EventType::CacheHit, "a", "get"));
            logger.flush(DEADLINE).unwrap();
        };
        look();
        assert_eq!(logger.calculate_cost("m", (3, 0)), usd("66"));
        replace(&path, "no prices");
        look();
        assert_eq!(logger.calculate_cost("m", (3, 0)), usd("66"));
    });
    assert_eq!(stop["data"]["prices_refused"], 1);
}

#[test]
fn a_bad_file_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    let refused = |path: &Path| {
        let builder = AuditLogger::builder()
            .without_environment()
            .directory(folder.path())
            .pricing_file(path);
        let error = builder.build().unwrap_err();
        assert!(error.is_config(), "{error}");
        error.to_string()
    };
    fs::write(&path, "{\n\"m\": {\n\n\"input_cost_per_token\": []}}").unwrap();
    let error = refused(&path);
    let expected = ["AUDIT_PRICING_FILE", "prices.json", "line 4", "\"m\"", "input_cost_per_token"];
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    assert!(refused(&folder.path().join("missing")).contains("AUDIT_PRICING_FILE"));
    assert!(refused(folder.path()).contains("not a regular file"));
}

#[test]
fn costs_are_those_of_the_logger_that_records() {
    assert_eq!(calculate_cost("gpt-4o", (1_000_000, 0)), usd("2.5"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    fs::write(&path, prices("7")).unwrap();
    let seen = crate::testing::capture_with(|builder| builder.pricing_file(&path));
    assert_eq!(calculate_cost("m", Usage::new(1, 0)), usd("7"));
    drop(seen);
    let seen = capture();
    assert_eq!(calculate_cost("m", (1, 0)), None);
    assert_eq!(seen.logger().accounting().unpriced, 1);
}

#[test]
fn a_million_calls_sum_to_the_product() {
    let call = calculate_cost("gpt-4o-mini", (1_003, 17)).unwrap();
    let mut sum = Usd::ZERO;
    (0..1_000_000).for_each(|_| sum += call);
    assert_eq!(sum, call * 1_000_000);
    assert_eq!(sum, usd("160.65").unwrap());
}
