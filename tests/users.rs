//! Users whose ids are personal stay distinct, and their ids stay out of the log.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{DEADLINE, lines, logger};
use llm_audit::{AuditEvent, AuditLogger, Builder, EventType, TraceContext};
use serde_json::{Value, json};

/// Records a call of each user, and returns the lines.
fn calls(folder: &Path, with: impl FnOnce(Builder) -> Builder, users: &[&str]) -> Vec<Value> {
    let audit = with(logger(folder)).build().unwrap();
    for user in users {
        let data = json!({ "user": user });
        let event = AuditEvent::new(EventType::LlmInvoke, "desk", "chat").cost_usd(0.5);
        audit.emit(&event.user(user).data(&data));
    }
    audit.shutdown(DEADLINE).unwrap();
    assert!(!fs::read_to_string(audit.path().unwrap()).unwrap().contains("example.org"));
    lines(folder)
}

fn users(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["data"]["user"].as_str()).collect()
}

#[test]
fn a_folder_has_one_name_for_a_user_in_lines_and_totals() {
    let folder = tempfile::tempdir().unwrap();
    let first =
        calls(folder.path(), |builder| builder, &["ann@example.org", "bob@example.org", "u-1"]);
    let names = users(&first);
    assert!(names[0].starts_with("u_") && names[0] != names[1] && names[2] == "u-1", "{names:?}");
    let totals = first.iter().find(|line| line["event_type"] == "audit.totals").unwrap();
    let mut counted: Vec<_> = totals["data"]["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["user"].as_str().unwrap(), row["cost_usd"].as_str().unwrap()))
        .collect();
    counted.sort_unstable();
    let mut expected: Vec<_> = names.iter().map(|name| (*name, "0.5")).collect();
    expected.sort_unstable();
    assert_eq!(counted, expected);
    // Another logger of the folder has the same key.
    let all = calls(folder.path(), |builder| builder, &["ann@example.org"]);
    assert_eq!(users(&all).last(), Some(&names[0]));
    let keys: Vec<_> = all.iter().filter(|line| line["event_type"] == "audit.start").collect();
    assert_eq!(keys[0]["data"]["user_key"], keys[1]["data"]["user_key"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = fs::metadata(folder.path().join(".key")).unwrap();
        assert_eq!((key.permissions().mode() & 0o777, key.len()), (0o600, 64));
    }
}

#[test]
fn the_user_of_a_context_is_the_same_in_lines_and_totals() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    let call = || AuditEvent::new(EventType::LlmInvoke, "desk", "chat").cost_usd(0.5);
    let ann = TraceContext::new_trace().with_user("ann@example.org").with_tenant("acme");
    let ann = ann.with_conversation("+49 170 1234567 ann@example.org");
    let below = ann.new_span();
    audit.emit(&call().context(&ann));
    let thread = {
        let (audit, below) = (audit.clone(), below.clone());
        std::thread::spawn(move || {
            let _scope = below.enter();
            audit.emit(&call().tenant("globex"));
        })
    };
    thread.join().unwrap();
    audit.emit(&call().span(&below).user("u-1"));
    audit.emit(&call());
    audit.shutdown(DEADLINE).unwrap();
    let lines = lines(folder.path());
    let data = |event_type: &'static str| {
        lines.iter().filter(move |line| line["event_type"] == event_type).map(|line| &line["data"])
    };
    let of_lines = |name: &str| count(data("llm.invoke").map(|data| (&data[name], 1)));
    let of_totals = |rows: &str, name: &str| {
        let rows = data("audit.totals").flat_map(|data| data[rows].as_array().unwrap());
        count(rows.map(|row| (&row[name], row["events"].as_u64().unwrap())))
    };
    assert_eq!(of_lines("user"), of_totals("users", "user"));
    assert_eq!(of_lines("tenant"), of_totals("rows", "tenant"));
    assert_eq!(of_lines("tenant"), BTreeMap::from([("acme", 2), ("globex", 1)]));
    assert_eq!(of_lines("user").len(), 2);
    let conversations = of_lines("conversation");
    assert!(
        conversations.len() == 1 && conversations.keys().all(|id| id.starts_with("u_")),
        "{conversations:?}"
    );
}

/// Returns how many events each value has. Those without one are not counted.
fn count<'a>(events: impl Iterator<Item = (&'a Value, u64)>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    for (value, events) in events {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            *counts.entry(value).or_default() += events;
        }
    }
    counts
}

#[test]
fn services_with_one_key_have_one_name_for_a_user() {
    let key = "a key of several services";
    let name = |key: &'static str| {
        let folder = tempfile::tempdir().unwrap();
        let lines = calls(folder.path(), |builder| builder.hash_users(key), &["ann@example.org"]);
        assert!(!folder.path().join(".key").exists());
        users(&lines)[0].to_owned()
    };
    assert_eq!(name(key), name(key));
    assert_ne!(name(key), name("another key of several"));
}

#[test]
fn a_short_key_is_refused_and_not_shown() {
    let error = AuditLogger::builder().without_environment().hash_users("walrus7").build();
    let message = error.unwrap_err().to_string();
    assert!(message.contains("AUDIT_HASH_USERS") && message.contains("16 bytes"), "{message}");
    assert!(!message.contains("walrus7"), "{message}");
}
