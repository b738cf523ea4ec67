use llm_audit_log::parse;

use super::*;

#[test]
fn a_line_that_is_too_long_keeps_its_fields_and_says_where_it_is() {
    let long = "x".repeat(2 << 20);
    let text = format!(
        r#"{{"event_version":"3.0","seq":7,"event_type":"tool.call","agent":"a","action":"b","status":"ok",
        "timestamp":"2026-11-29T23:00:40Z","data":{{"x":"{long}"}}}}"#
    );
    let mut bytes = text.clone().into_bytes();
    let line = parse(&mut bytes).unwrap();
    let file = "audit-2026-11-29.jsonl";
    let source = LineSource { bytes: text.as_bytes(), file, offset: 5, origin: None };
    let cut: serde_json::Value = serde_json::from_str(&message_of(&line, &source)).unwrap();
    assert_eq!((&cut["seq"], &cut["data"]), (&7.into(), &serde_json::Value::Null));
    let place = serde_json::json!({"file": file, "offset": 5, "bytes": text.len()});
    assert_eq!(cut["cut"], place);
    let members = (0..4_000).map(|n| format!(r#","m{n}":"{}""#, "x".repeat(5_000)));
    let many =
        text.replace(r#","seq":7"#, &(r#","seq":7"#.to_owned() + &members.collect::<String>()));
    let mut bytes = many.clone().into_bytes();
    let line = parse(&mut bytes).unwrap();
    let source = LineSource { bytes: many.as_bytes(), ..source };
    assert!(message_of(&line, &source).len() <= cut::MESSAGE_BYTES_MAX);
    let short = LineSource { bytes: b"{}", ..source };
    assert_eq!(message_of(&line, &short), "{}");
}

#[test]
fn the_events_that_were_not_stored_are_named() {
    // In the order of time these are the third, the first, the second and the fourth line.
    let order = [2, 0, 1, 3];
    let info = |old: Option<i32>, expired: Option<i32>, new: Option<i32>| {
        let info = RejectedLogEventsInfo::builder().set_too_old_log_event_end_index(old);
        let info = info.set_expired_log_event_end_index(expired);
        info.set_too_new_log_event_start_index(new).build()
    };
    for (info, expected) in [
        (info(None, None, None), vec![]),
        (info(Some(1), None, None), vec![2]),
        (info(Some(1), Some(2), None), vec![2, 0]),
        (info(None, None, Some(3)), vec![3]),
        (info(Some(1), None, Some(3)), vec![2, 3]),
        (info(Some(9), None, Some(-1)), vec![2, 0, 1, 3]),
    ] {
        let rejected = rejected_of(&info, &order);
        assert_eq!(rejected.places.as_ref(), Some(&expected), "{info:?}");
        assert_eq!(rejected.count, expected.len() as u64);
    }
}

#[test]
fn other_streams_have_other_positions() {
    let name = |group: &str, stream: &str| CloudWatchLogs::new(group, stream).unwrap().name;
    assert_eq!(name("/agents/benefits", "host.1"), "cloudwatch-_2fagents_2fbenefits-host.1");
    assert_ne!(name("a-b", "c"), name("a", "b-c"));
    assert!(CloudWatchLogs::new("a".repeat(512), "s").is_err(), "it is too long for a file");
    for (group, stream) in [("a b", "s"), ("", "s"), ("g", "a:b"), ("g", "*"), ("g", "")] {
        let error = CloudWatchLogs::new(group, stream).unwrap_err().to_string();
        assert!(error.contains("accepted: "), "{error}");
    }
}
