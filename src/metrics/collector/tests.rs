use std::thread;

use llm_audit_log::{EventType, Status, Usd};

use super::table::{LABEL_SETS_MAX, OTHER};
use super::*;
use crate::metrics::TokenHistogram;
use crate::pricing::Usage;

fn invoke<'a>(model: &'a str) -> AuditEvent<'a> {
    AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").model(model).tokens(10, 3)
}

#[test]
fn no_event_of_eight_threads_is_lost() {
    const EVENTS: u64 = 20_000;
    let collector = MetricsCollector::default();
    thread::scope(|scope| {
        for thread in 0..8 {
            let collector = &collector;
            scope.spawn(move || {
                for number in 0..EVENTS {
                    let model = ["a", "b", "c"][(number % 3) as usize];
                    let cost = Usd::from_le_bytes((u128::from(u64::MAX) - 1).to_le_bytes());
                    let event = invoke(model).latency_ms((thread * 100) as f64).cost_usd(cost);
                    collector.observe(&event);
                }
            });
        }
    });
    let metrics = collector.metrics();
    assert_eq!(metrics.rows.len(), 3);
    let sum = |of: fn(&MetricsRow) -> u64| metrics.rows.iter().map(of).sum::<u64>();
    assert_eq!(metrics.llm_calls_total(), 8 * EVENTS);
    assert_eq!(metrics.llm_latency().count(), 8 * EVENTS);
    assert_eq!(sum(|row| row.tokens_input), 80 * EVENTS);
    assert_eq!(sum(|row| row.tokens_output), 24 * EVENTS);
    let cost = (u128::from(u64::MAX) - 1) * u128::from(8 * EVENTS);
    assert_eq!(metrics.cost_usd(), Usd::from_le_bytes(cost.to_le_bytes()));
    assert_eq!(sum(|row| row.latency_ms_sum as u64), 2_800 * EVENTS);
}

#[test]
fn no_amount_makes_a_sum_fall() {
    let collector = MetricsCollector::default();
    let mut last = (0.0, 0, Usd::ZERO);
    for cost in ["1", "-1", "-0.000000000000000000000000002", "170000000"] {
        let event = invoke("a").latency_ms(1e300).tokens(u64::MAX, 0);
        collector.observe(&event.cost_usd(cost.parse::<Usd>().unwrap()));
        let metrics = collector.metrics();
        let row = &metrics.rows[0];
        let now = (row.latency_ms_sum, row.tokens_input, row.cost_usd);
        assert!(now.0 > last.0 && now.1 > last.1 && now.2 >= last.2, "{now:?} after {last:?}");
        last = now;
    }
    assert_eq!(last.2.to_string(), "170000001");
}

#[test]
fn a_sum_of_money_that_is_read_meanwhile_never_falls() {
    let collector = MetricsCollector::default();
    let cost = "0.000000018446744073".parse::<Usd>().unwrap();
    thread::scope(|scope| {
        let adding: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    (0..50_000).for_each(|_| collector.observe(&invoke("a").cost_usd(cost)));
                })
            })
            .collect();
        let mut last = Usd::ZERO;
        while adding.iter().any(|thread| !thread.is_finished()) {
            let now = collector.metrics().cost_usd();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    });
    assert_eq!(collector.metrics().cost_usd(), cost * 100_000);
}

#[test]
fn a_hundred_thousand_models_need_a_thousand_rows() {
    const MODELS: u64 = 100_000;
    let collector = MetricsCollector::default();
    for number in 0..MODELS {
        collector.observe(&invoke(&format!("model-{number}")).tenant("t").tokens(1, 1));
    }
    let metrics = collector.metrics();
    assert_eq!(metrics.rows.len(), LABEL_SETS_MAX + 1);
    assert_eq!(metrics.llm_calls_total(), MODELS);
    assert_eq!(metrics.others, MODELS - LABEL_SETS_MAX as u64);
    let other = metrics.rows.iter().find(|row| row.model == OTHER).unwrap();
    assert_eq!((other.events, other.tenant.as_str()), (metrics.others, OTHER));
    assert_eq!((other.agent.as_str(), other.action.as_str()), ("benefits", "chat"));
    // The rows that are there still count.
    collector.observe(&invoke("model-7").tenant("t").tokens(1, 1));
    let row = |row: &MetricsRow| row.model == "model-7" && row.events == 2;
    assert!(collector.metrics().rows.iter().any(row));
    // An agent that comes late still shows, until there are too many of them, too.
    for number in 0..2_000 {
        let agent = format!("late-{number}");
        collector.observe(&AuditEvent::new(EventType::ToolError, &agent, "pay"));
    }
    let metrics = collector.metrics();
    assert!(metrics.rows.iter().any(|row| row.agent == "late-0" && row.action == "pay"));
    assert_eq!(metrics.errors_total(), 2_000);
    let last = metrics.rows.iter().find(|row| row.agent == OTHER).unwrap();
    assert_eq!((last.event_type.as_str(), last.events), ("tool.error", 2_000 - 499));
}

#[test]
fn threads_that_add_the_same_rows_use_up_no_others() {
    let collector = MetricsCollector::default();
    let names: Vec<String> = (0..LABEL_SETS_MAX).map(|number| format!("model-{number}")).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| names.iter().for_each(|name| collector.observe(&invoke(name))));
        }
    });
    let metrics = collector.metrics();
    assert_eq!((metrics.rows.len(), metrics.others), (LABEL_SETS_MAX, 0));
    assert!(metrics.rows.iter().all(|row| row.events == 4));
}

#[test]
fn no_label_shows_what_is_personal() {
    let collector = MetricsCollector::default();
    for _ in 0..2 {
        let event =
            AuditEvent::new(EventType::Custom("Cart.Ann@example.org"), "ann@example.org", "x");
        collector.observe(&event.model("ann@example.org").tenant("ann@example.org"));
    }
    let metrics = collector.metrics();
    assert!(!format!("{metrics:?}").contains("ann@"), "{metrics:?}");
    let [row] = &metrics.rows[..] else { panic!("{metrics:?}") };
    assert_eq!((row.events, row.agent.as_str()), (2, "[REDACTED_email]"));
    assert_eq!(row.event_type, "redacted");
}

#[test]
fn a_type_of_the_callers_own_is_spelled_as_in_its_line() {
    let collector = MetricsCollector::default();
    for name in ["Cart.Checkout", "cart.checkout"] {
        collector.observe(&AuditEvent::new(EventType::Custom(name), "shop", "buy"));
    }
    let metrics = collector.metrics();
    assert_eq!(metrics.rows.len(), 1, "{metrics:?}");
    assert_eq!((metrics.rows[0].event_type.as_str(), metrics.rows[0].events), ("cart.checkout", 2));
}

#[test]
fn labels_whose_texts_join_alike_are_two_rows() {
    let collector = MetricsCollector::default();
    collector.observe(&AuditEvent::new(EventType::CacheHit, "ab", "c"));
    collector.observe(&AuditEvent::new(EventType::CacheHit, "a", "bc"));
    collector.observe(&AuditEvent::new(EventType::CacheHit, "a", "bc").status(Status::Retry));
    assert_eq!(collector.metrics().rows.len(), 3);
    assert_eq!(collector.metrics().retries_total(), 1);
}

#[test]
fn what_a_caller_counts_by_hand_is_counted_by_its_kind() {
    let collector = MetricsCollector::default();
    collector.record_request("a", "answer", Status::Ok, 1.0);
    collector.record_llm_call("a", "gpt-4o", Status::Ok, 2.0, (10, 3));
    collector.record_llm_call("a", "gpt-4o", Status::Timeout, 3.0, (0, 0));
    collector.record_tool_call("a", "tool.search", Status::Error, 4.0);
    let metrics = collector.metrics();
    let counts = [
        metrics.requests_total(),
        metrics.llm_calls_total(),
        metrics.tool_calls_total(),
        metrics.errors_total(),
        metrics.timeouts_total(),
    ];
    assert_eq!(counts, [1, 2, 1, 1, 1]);
    let of: Vec<_> = metrics.rows.iter().map(|row| row.event_type.as_str()).collect();
    assert_eq!(of, ["llm.error", "llm.invoke", "request.end", "tool.error"]);
}

#[test]
fn a_latency_that_is_no_number_counts_as_none_at_all() {
    let collector = MetricsCollector::default();
    for latency in [f64::NAN, -1.0, f64::INFINITY] {
        collector.record_request("a", "b", Status::Ok, latency);
    }
    let metrics = collector.metrics();
    assert_eq!((metrics.requests_total(), metrics.request_latency().count()), (3, 0));
}

#[test]
fn texts_of_all_lengths_are_told_apart() {
    let collector = MetricsCollector::default();
    let texts: Vec<String> = (0..40)
        .flat_map(|length| {
            let text = "x".repeat(length);
            (0..length).map(move |at| format!("{}y{}", &text[..at], &text[at + 1..]))
        })
        .collect();
    for text in &texts {
        collector.observe(&AuditEvent::new(EventType::CacheHit, "cache", text));
    }
    let metrics = collector.metrics();
    assert_eq!((metrics.rows.len(), metrics.others), (texts.len(), 0));
    assert!(metrics.rows.iter().all(|row| row.events == 1));
}

#[test]
fn a_text_of_64_kb_is_no_other_text() {
    let collector = MetricsCollector::default();
    let long = "m".repeat(65_536);
    collector.observe(&invoke(&long));
    collector.observe(&invoke("").tenant(&format!("a{}", "\0".repeat(65_536))));
    collector.observe(&invoke("").tenant("a"));
    for _ in 0..10 {
        collector.observe(&invoke(""));
    }
    let metrics = collector.metrics();
    let of: Vec<_> = metrics
        .rows
        .iter()
        .map(|row| (row.model.as_str(), row.tenant.as_str(), row.events))
        .collect();
    assert_eq!(of, [("", "", 10), ("", "a", 1), ("", OTHER, 1), (OTHER, "", 1)]);
}

#[test]
fn a_value_that_is_protected_later_is_shown_no_more() {
    let collector = MetricsCollector::default();
    collector.observe(&invoke("a").tenant("walrus-walrus-7"));
    let _protected = crate::protect_value("walrus-walrus-7").unwrap();
    let metrics = collector.metrics();
    assert!(!format!("{metrics:?}").contains("walrus"), "{metrics:?}");
    assert_eq!(metrics.llm_calls_total(), 1);
}

#[test]
fn places_are_used_evenly() {
    // So few share a place by chance, that none is found after many others.
    let collector = MetricsCollector::default();
    let action = |number: u32| format!("GET /v1/items/by-region/{number:03}");
    for number in 0..LABEL_SETS_MAX as u32 {
        collector.observe(&AuditEvent::new(EventType::ApiCall, "shop", &action(number)));
    }
    assert_eq!(collector.metrics().others, 0);
    let places = collector.table.longest_run();
    assert!(places < 40, "{places} places in a row are taken");
}

#[test]
fn the_user_who_spends_most_is_found_among_ten_thousand() {
    let collector = MetricsCollector::default();
    let users: Vec<String> = (0..10_000).map(|number| format!("user-{number}")).collect();
    for round in 0..5 {
        for user in &users {
            collector.observe(&invoke("a").user(user).cost_usd(0.01));
        }
        let costs = if round == 4 { 20 } else { 1 };
        (0..costs).for_each(|_| collector.observe(&invoke("a").user("user-77").cost_usd(0.5)));
    }
    let totals = collector.take_totals(&mut TakenMetrics::default());
    let first = &totals.users.top[0];
    assert_eq!(first.user, "user-77");
    let (least, most) = (first.cost_usd, first.cost_usd + first.cost_usd_error);
    let spent: Usd = "12.05".parse().unwrap();
    assert!(least <= spent && spent <= most, "{first:?}");
    assert!(first.cost_usd_error < "0.1".parse().unwrap(), "{first:?}");
    // Nobody who is left out has spent more than this.
    assert!(totals.users.rest_max.1 >= "0.05".parse().unwrap(), "{:?}", totals.users.rest_max);
    assert!(totals.users.top.len() <= 256);
}

#[test]
fn few_users_are_counted_exactly_by_all_threads() {
    let collector = MetricsCollector::default();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..4_000 {
                    let user = ["ann", "bob", "carl", "dora"][number % 4];
                    collector.observe(&invoke("a").user(user).tokens(2, 1).cost_usd(0.25));
                    let request = AuditEvent::new(EventType::RequestEnd, "a", "b");
                    collector.observe(&request.user(user).tokens(2, 1).cost_usd(0.25));
                }
            });
        }
    });
    let users = collector.take_totals(&mut TakenMetrics::default()).users;
    // An event finds all shards taken only if as many threads are in them.
    assert_eq!(users.rest_max, (0, Usd::ZERO));
    for row in &users.top {
        // Requests repeat what their calls cost.
        let seen = (row.events, row.tokens, row.cost_usd.to_string(), row.events_error);
        assert_eq!(seen, (8_000, 12_000, "1000".to_owned(), 0), "{row:?}");
    }
    assert_eq!(users.top.len(), 4);
    assert!(collector.take_totals(&mut TakenMetrics::default()).users.top.is_empty());
}

#[test]
fn a_user_who_is_a_mail_address_is_counted_and_not_shown() {
    let collector = MetricsCollector::default();
    for user in ["ann@example.org", "bob@example.org", "ann@example.org"] {
        collector.observe(&invoke("a").user(user));
    }
    let users = collector.take_totals(&mut TakenMetrics::default()).users.top;
    assert_eq!(users.iter().map(|row| row.events).collect::<Vec<_>>(), [2, 1]);
    assert!(users.iter().all(|row| row.user.starts_with("u_")), "{users:?}");
}

#[test]
fn parts_of_tokens_and_first_tokens_are_counted() {
    let collector = MetricsCollector::default();
    let usage = Usage { cache_read: 7, reasoning: 2, ..Usage::new(10, 3) };
    for first in [5.0, 15.0, f64::NAN] {
        collector.observe(
            &AuditEvent::new(EventType::LlmInvoke, "a", "chat").usage(&usage).first_token_ms(first),
        );
    }
    let row = &collector.metrics().rows[0];
    assert_eq!((row.tokens_input, row.usage.cache_read, row.usage.reasoning), (30, 21, 6));
    assert_eq!((row.first_tokens.count(), row.first_token_ms_sum, row.priced), (2, 20.0, 0));
}

#[test]
fn calls_are_counted_by_their_tokens() {
    let collector = MetricsCollector::default();
    for input in [1, 4, 5, 300, u64::MAX] {
        collector.observe(&invoke("a").tokens(input, 0));
    }
    // An event of a request repeats the tokens of its calls.
    collector.observe(&AuditEvent::new(EventType::RequestEnd, "a", "b").tokens(10, 10));
    let rows = collector.metrics().rows;
    let counts = |of: fn(&MetricsRow) -> TokenHistogram| {
        rows.iter().map(|row| of(row).counts()).collect::<Vec<_>>()
    };
    let input = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let output = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(counts(|row| row.calls_by_input), [input, [0; 15]]);
    assert_eq!(counts(|row| row.calls_by_output), [output, [0; 15]]);
}

#[test]
fn counters_of_all_threads_add_up() {
    let collector = MetricsCollector::default();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10_000).for_each(|at| collector.count(["a", "b"][at % 2], 2)));
        }
    });
    let expected = ["a", "b"].map(|name| (name.to_owned(), 80_000));
    assert_eq!(collector.metrics().counters, expected.into());
}

#[test]
fn counters_are_bounded_and_redacted() {
    let collector = MetricsCollector::default();
    for name in 0..1_000 {
        collector.count(&format!("ann{name}@example.org"), 1);
        collector.count(&format!("plans-{name}"), 1);
    }
    collector.count(&"n".repeat(LABEL_BYTES_MAX + 1), 1);
    let counters = collector.metrics().counters;
    assert_eq!(counters.len(), counters::NAMES_MAX + 1);
    assert_eq!((counters["[REDACTED_email]"], counters["plans-0"]), (1_000, 1));
    assert_eq!(counters[OTHER], 1_001 - (counters::NAMES_MAX as u64 - 1));
}
