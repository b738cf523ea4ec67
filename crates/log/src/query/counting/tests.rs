use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::folder::Folder;
use crate::query::{Figures, Groups, Scan};
use crate::schema::notices::{Notice, NoticeHead};
use crate::schema::{Latencies, Status, TokenKinds, Usd, latency_bucket, spelled_time};

/// 2026-01-02T23:50:00Z: the next day begins in ten minutes.
const BEGIN: i64 = 1_767_397_800_000_000;
const FILE: &str = "audit-2026-01-02.jsonl";

/// An event, as it is counted and as a line has it.
#[derive(Clone, Debug)]
struct AnyEvent {
    event_type: &'static str,
    status: Status,
    labels: [&'static str; 4],
    latency_ms: Option<f64>,
    tokens: Option<[u64; 3]>,
    cost: Option<Usd>,
    time: i64,
}

fn any_event(rng: &mut fastrand::Rng, time: i64) -> AnyEvent {
    let types =
        ["request.end", "tool.call", "tool.error", "llm.invoke", "llm.error", "agent.route"];
    let event_type = *rng.choice(&types).unwrap();
    let has_labels = event_type.starts_with("llm.");
    let mut label = |of: [&'static str; 3]| *rng.choice(&of).unwrap();
    let agent = label(["planner", "clerk", "guide"]);
    let action = label(["chat", "embed", "search"]);
    let model = if has_labels { label(["gpt-4o", "gpt-4o-mini", "claude"]) } else { "" };
    let tenant = label(["", "north", "south"]);
    // Totals do not say which of the calls with the same labels have tokens.
    let is_metered = action != "search";
    AnyEvent {
        event_type,
        status: *rng.choice(&Status::ALL).unwrap(),
        labels: [agent, action, model, tenant],
        latency_ms: rng.bool().then(|| rng.u32(..60_000) as f64 / 8.0),
        tokens: is_metered.then(|| [rng.u64(..5_000), rng.u64(..100), rng.u64(..900)]),
        cost: (is_metered && rng.bool())
            .then(|| format!("0.{:06}", rng.u32(..1_000_000)).parse().unwrap()),
        time,
    }
}

impl AnyEvent {
    fn line(&self, instance: &str, seq: u64) -> String {
        let [agent, action, model, tenant] = self.labels;
        let member = |name: &str, value: Option<String>| {
            value.map_or(String::new(), |value| format!(",\"{name}\":{value}"))
        };
        let [input, cached, output] = [0, 1, 2].map(|at| self.tokens.map(|tokens| tokens[at]));
        let numbers = member("latency_ms", self.latency_ms.map(|ms| ms.to_string()))
            + &member("tokens_input", input.map(|n| n.to_string()))
            + &member("tokens_output", output.map(|n| n.to_string()))
            + &member("cost_usd", self.cost.map(|cost| cost.to_string()));
        let quoted = |label: &str| (!label.is_empty()).then(|| format!("\"{label}\""));
        let data = member("model", quoted(model))
            + &member("tenant", quoted(tenant))
            + &member("usage", cached.map(|cached| format!("{{\"cache_read\":{cached}}}")));
        format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"{instance}\",\"seq\":{seq},\
             \"timestamp\":\"{}\",\"event_type\":\"{}\",\"agent\":\"{agent}\",\"action\":\"{action}\",\
             \"status\":\"{}\"{numbers},\"data\":{{{}}}}}\n",
            spelled_time(self.time),
            self.event_type,
            self.status.name(),
            data.trim_start_matches(','),
        )
    }

    fn row(&self) -> MetricsRow {
        let [agent, action, model, tenant] = self.labels.map(str::to_owned);
        let mut latencies = Latencies::default();
        if let Some(ms) = self.latency_ms {
            latencies.add_to_bucket(latency_bucket((ms * 1_000.0) as u64), 1);
        }
        let [tokens_input, cache_read, tokens_output] = self.tokens.unwrap_or_default();
        MetricsRow {
            event_type: self.event_type.to_owned(),
            status: self.status,
            agent,
            action,
            model,
            tenant,
            events: 1,
            tokens_input,
            tokens_output,
            usage: TokenKinds { cache_read, ..TokenKinds::default() },
            cost_usd: self.cost.unwrap_or_default(),
            priced: u64::from(self.cost.is_some()),
            latencies,
            ..MetricsRow::default()
        }
    }
}

/// The minute of a time.
fn minute(time: i64) -> i64 {
    time - time.rem_euclid(MINUTE)
}

/// What one instance writes.
struct Recorder {
    instance: String,
    text: String,
    seq: u64,
    notice: u64,
}

impl Recorder {
    fn start(instance: u64, has_totals: bool) -> Self {
        let mut recorder =
            Self { instance: format!("{instance:016x}"), text: String::new(), seq: 0, notice: 0 };
        let data = format!(
            "\"service\":\"s{instance}\",\"totals\":{has_totals},\"sampling\":{{\"trace_rate\":0,\
             \"success_rate\":0.25,\"error_rate\":0.5,\"slow_threshold_ms\":5000}}"
        );
        recorder.own("start", &data, BEGIN);
        recorder
    }

    fn own(&mut self, name: &str, data: &str, time: i64) {
        self.notice += 1;
        let (instance, notice) = (&self.instance, self.notice);
        self.text += &format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"{instance}\",\"notice\":{notice},\
             \"timestamp\":\"{}\",\"event_type\":\"audit.{name}\",\"data\":{{{data}}}}}\n",
            spelled_time(time)
        );
    }

    fn event(&mut self, event: &AnyEvent) {
        self.seq += 1;
        self.text += &event.line(&self.instance, self.seq);
    }

    /// Totals of events of one minute. Lines up to `through_seq` are not held any more.
    fn totals(&mut self, events: &[AnyEvent], through_seq: u64) {
        let mut rows: BTreeMap<String, MetricsRow> = BTreeMap::new();
        for event in events {
            let key = format!("{:?}", (event.event_type, event.status, event.labels));
            let row = event.row();
            rows.entry(key).and_modify(|sum| sum.merge(&row)).or_insert(row);
        }
        let from = minute(events[0].time);
        let rows = rows.into_values().collect();
        let totals =
            EventTotals { from, to: from + MINUTE, through_seq, rows, ..Default::default() };
        self.notice += 1;
        let mut out = Vec::new();
        let (notice, timestamp) = (self.notice, from + MINUTE + 7);
        totals.write(&mut out, NoticeHead { instance: &self.instance, notice, timestamp });
        self.text += &String::from_utf8(out).unwrap();
    }
}

/// The events of an instance, minute by minute.
fn any_minutes(rng: &mut fastrand::Rng) -> Vec<Vec<AnyEvent>> {
    let minutes = (0..rng.i64(1..25)).filter(|_| rng.u8(..4) > 0).collect::<Vec<_>>();
    let events = |number: i64| {
        let begin = BEGIN + number * MINUTE;
        let mut times: Vec<_> = (0..rng.usize(1..40)).map(|_| begin + rng.i64(0..MINUTE)).collect();
        times.sort_unstable();
        times.into_iter().map(|time| any_event(rng, time)).collect()
    };
    minutes.into_iter().map(events).collect()
}

/// The log of an instance that samples and has totals. A line may come after the totals that contain it.
fn sampled_text(rng: &mut fastrand::Rng, instance: u64, minutes: &[Vec<AnyEvent>]) -> String {
    let mut recorder = Recorder::start(instance, true);
    let mut late: Option<AnyEvent> = None;
    for (at, events) in minutes.iter().enumerate() {
        late.take().into_iter().for_each(|event| recorder.event(&event));
        let share = rng.f64();
        let mut kept: Vec<_> = events.iter().filter(|_| rng.f64() < share).collect();
        if at + 1 < minutes.len() && rng.bool() {
            late = kept.pop().cloned();
        }
        kept.into_iter().for_each(|event| recorder.event(event));
        let seq = recorder.seq;
        recorder.totals(events, seq);
    }
    let end = minutes.last().map_or(BEGIN, |events| events[0].time + 2 * MINUTE);
    recorder.own("stop", "", end);
    recorder.text
}

/// All lines, without totals and without sampling.
fn whole_text(instance: u64, minutes: &[Vec<AnyEvent>]) -> String {
    let mut recorder = Recorder::start(instance, false);
    recorder.text = recorder.text.replace("0.25", "1").replace("0.5", "1");
    minutes.iter().flatten().for_each(|event| recorder.event(event));
    recorder.text
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

/// The figures of a group that are the same for lines and for totals.
#[derive(Debug, PartialEq)]
struct Seen {
    counts: [u64; 7],
    cost: Usd,
    buckets: [Option<usize>; 4],
}

fn seen(figures: &Figures) -> Seen {
    let Figures { events, failed, tokens_input, tokens_cached, tokens_output, .. } = *figures;
    let Figures { priced, unpriced, cost_usd: cost, .. } = *figures;
    assert_eq!(figures.estimate.events, events as f64);
    assert_eq!(figures.estimate.tokens_input, tokens_input as f64);
    let bucket = |share| {
        let micros = figures.latency_ms(share)? * 1_000.0;
        Some(latency_bucket(micros.round() as u64))
    };
    Seen {
        counts: [events, failed, tokens_input, tokens_cached, tokens_output, priced, unpriced],
        cost,
        buckets: [0.5, 0.9, 0.99, 1.0].map(bucket),
    }
}

/// Counts the log of a folder.
fn count(dir: &Path, filter: &Filter, by: &[&str], service: Option<&str>) -> (Groups, Basis) {
    let by: Vec<GroupBy> = by.iter().map(|field| field.parse().unwrap()).collect();
    let mut counting = Counting::new(Groups::new(by.clone()), filter, &by);
    let folder = Folder::open(dir).unwrap();
    let scan = Scan::of(&folder).filter(filter.clone()).service(service).chunk_bytes(3_000);
    scan.totals(counting.totals()).for_each_line(
        |line, weight| match weight {
            None => counting.note(line),
            Some(weight) => counting.add(line, weight, |groups| groups.add(line, weight)),
        },
        |_| {},
    );
    counting.finish()
}

fn seen_groups(groups: &Groups) -> BTreeMap<Vec<String>, Seen> {
    groups.iter().map(|(values, figures)| (values.to_vec(), seen(figures))).collect()
}

fn any_filter(rng: &mut fastrand::Rng) -> Filter {
    let mut pick = |of: &[&str]| (rng.u8(..4) == 0).then(|| (*rng.choice(of).unwrap()).to_owned());
    let mut filter = Filter {
        agent: pick(&["planner", "clerk", "nobody"]),
        action: pick(&["chat", "search"]),
        event_type: pick(&["llm", "tool.call", "request", "llm.invoke"]),
        model: pick(&["gpt-4O", "claude"]),
        ..Filter::default()
    };
    filter.statuses.extend((rng.u8(..4) == 0).then(|| *rng.choice(&Status::ALL).unwrap()));
    let first = rng.i64(0..20);
    filter.since = rng.bool().then_some(BEGIN + first * MINUTE);
    filter.until = rng.bool().then(|| BEGIN + (first + rng.i64(1..20)) * MINUTE);
    filter
}

#[test]
fn totals_of_a_sampled_log_are_the_figures_of_the_whole_one() {
    const BY: [&[&str]; 9] = [
        &[],
        &["event_type"],
        &["agent", "action"],
        &["model"],
        &["data.model", "status"],
        &["tenant"],
        &["data.tenant", "day"],
        &["hour"],
        &["agent"],
    ];
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..10 {
        let (sampled, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for instance in 0..rng.u64(1..4) {
            let minutes = any_minutes(&mut rng);
            let name = format!("audit-2026-01-02.{}.jsonl", instance + 1);
            write(whole.path(), &name, &whole_text(instance, &minutes));
            // One of them may be without totals.
            let text = match instance == 1 {
                true => whole_text(instance, &minutes),
                false => sampled_text(&mut rng, instance, &minutes),
            };
            write(sampled.path(), &name, &text);
        }
        for _ in 0..12 {
            let (filter, by) = (any_filter(&mut rng), *rng.choice(&BY).unwrap());
            let service = rng.bool().then_some("s0");
            let (found, basis) = count(sampled.path(), &filter, by, service);
            let (expected, of_lines) = count(whole.path(), &filter, by, service);
            let what = format!("{by:?} {filter:?}");
            assert_eq!(seen(&found.total), seen(&expected.total), "{what}");
            assert_eq!(seen_groups(&found), seen_groups(&expected), "{what}");
            assert_eq!(of_lines, Basis::default());
            assert_eq!(basis, Basis { counted: basis.counted, ..Basis::default() }, "{what}");
            assert!(basis.counted <= found.total.events && !found.total.is_estimate());
        }
    }
}

/// A fixed event of one minute, some seconds after its beginning.
fn call(number: i64, second: i64) -> AnyEvent {
    AnyEvent {
        event_type: "llm.invoke",
        status: Status::Ok,
        labels: ["planner", "chat", "gpt-4o", ""],
        latency_ms: Some(100.0),
        tokens: Some([10, 0, 1]),
        cost: "0.5".parse().ok(),
        time: BEGIN + number * MINUTE + second * 1_000_000,
    }
}

/// An instance that counted three events in each of two minutes, and wrote one of each.
fn two_minutes() -> Recorder {
    let mut recorder = Recorder::start(7, true);
    for number in 0..2 {
        recorder.event(&call(number, 30));
        let seq = recorder.seq;
        recorder.totals(&[10, 20, 30].map(|second| call(number, second)), seq);
    }
    recorder
}

fn count_text(text: &str, filter: &Filter) -> (Groups, Basis) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FILE, text);
    count(dir.path(), filter, &["model"], None)
}

#[test]
fn lines_after_the_last_totals_of_a_killed_instance_are_estimated() {
    let mut recorder = two_minutes();
    recorder.event(&call(2, 5));
    recorder.event(&call(2, 42));
    let (groups, basis) = count_text(&recorder.text, &Filter::default());
    // Each of the two stands for four.
    assert_eq!((groups.total.events, groups.total.estimate.events), (8, 14.0));
    assert!(groups.total.is_estimate());
    let estimated = Basis { estimated_instances: 1, estimated_us: 37_000_000, ..Basis::default() };
    assert_eq!(basis, Basis { counted: 6, ..estimated });

    // One that leaves nothing out has nothing to estimate.
    let text = recorder.text.replace("0.25", "1");
    let (groups, basis) = count_text(&text, &Filter::default());
    assert_eq!((groups.total.estimate.events, groups.total.is_estimate()), (8.0, false));
    assert_eq!(basis, Basis { counted: 6, ..Basis::default() });
}

#[test]
fn an_instance_without_totals_is_weighed_beside_one_with_them() {
    let mut other = Recorder::start(8, false);
    other.event(&call(0, 1));
    let (groups, basis) = count_text(&(two_minutes().text + &other.text), &Filter::default());
    assert_eq!((groups.total.events, groups.total.estimate.events), (7, 10.0));
    assert_eq!(groups.total.estimate.cost_usd, 5.0);
    assert_eq!(basis, Basis { counted: 6, ..Basis::default() });
}

#[test]
fn questions_that_totals_do_not_answer_are_about_lines() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FILE, &two_minutes().text);
    let slower = Filter { slower: Some(1.0), ..Filter::default() };
    let expression = Filter { expression: "latency_ms > 1".parse().ok(), ..Filter::default() };
    let one_minute = |from: i64, to: i64| {
        let [since, until] = [from, to].map(|second| Some(BEGIN + second * 1_000_000));
        Filter { since, until, ..Filter::default() }
    };
    for (filter, by) in [
        (Filter::default(), "data.tool"),
        (Filter::default(), "latency_ms"),
        (slower, "model"),
        (expression, "model"),
    ] {
        let (groups, basis) = count(dir.path(), &filter, &[by], None);
        assert_eq!((groups.total.events, groups.total.estimate.events), (2, 8.0), "{by}");
        assert_eq!(basis, Basis::default());
    }
    // A period within a minute.
    let (groups, basis) = count(dir.path(), &one_minute(25, 35), &["model"], None);
    assert_eq!((groups.total.estimate.events, basis.counted), (4.0, 0));
}

#[test]
fn a_period_has_the_minute_of_since_and_ends_before_that_of_until() {
    let at = |second: i64| Some(BEGIN + second * 1_000_000);
    for (since, until, expected) in [
        (at(0), at(120), 6),
        (at(0), at(119), 3),
        (at(59), at(60), 3),
        (at(59), None, 6),
        (at(60), None, 3),
        (None, at(61), 3),
        (at(-1), at(60), 3),
        (at(120), None, 0),
        (None, at(59), 0),
    ] {
        let filter = Filter { since, until, ..Filter::default() };
        let (groups, basis) = count_text(&two_minutes().text, &filter);
        assert_eq!((groups.total.events, basis.counted), (expected, expected), "{filter:?}");
        assert!(!groups.total.is_estimate());
    }
}

#[test]
fn a_line_of_the_period_may_be_in_totals_of_the_next_minute() {
    let mut recorder = Recorder::start(7, true);
    recorder.totals(&[call(0, 59)], 0);
    recorder.event(&call(0, 59));
    recorder.totals(&[call(1, 3)], 1);
    let filter = Filter { until: Some(BEGIN + MINUTE), ..Filter::default() };
    let (groups, basis) = count_text(&recorder.text, &filter);
    assert_eq!((groups.total.events, basis), (1, Basis { counted: 1, ..Basis::default() }));
}

#[test]
fn damaged_totals_are_named_and_the_lines_before_them_are_estimated() {
    let text = two_minutes().text;
    let first = text.lines().nth(2).unwrap();
    let (groups, basis) =
        count_text(&text.replace(first, &first.replace("rows", "row")), &Filter::default());
    assert_eq!(groups.total.estimate.events, 7.0);
    let estimated = Basis { estimated_instances: 1, unreadable: 1, ..Basis::default() };
    assert_eq!(basis, Basis { counted: 3, ..estimated });

    // If the line is not even JSON, its number is missing.
    let (groups, basis) = count_text(&text.replace(first, "{torn"), &Filter::default());
    assert_eq!((groups.total.events, groups.total.is_estimate()), (3, false));
    assert_eq!(basis, Basis { counted: 3, missing: 1, ..Basis::default() });
}

#[test]
fn totals_that_are_written_twice_count_once() {
    let text = two_minutes().text;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let twice = [&lines[..3], &lines[1..]].concat().concat();
    let (groups, basis) = count_text(&twice, &Filter::default());
    assert_eq!((groups.total.events, basis), (6, Basis { counted: 6, ..Basis::default() }));
}

#[test]
fn events_under_other_are_told() {
    let text = two_minutes().text.replace("\"through_seq\"", "\"others\":2,\"through_seq\"");
    assert_eq!(count_text(&text, &Filter::default()).1.others, 4);
}

#[test]
fn killed_instances_do_not_take_memory_without_end() {
    let killed = |instance: u64| {
        let mut recorder = Recorder::start(instance, true);
        recorder.event(&call(0, 1));
        recorder.text
    };
    let text: String = (0..HELD_MAX as u64 + 10).map(killed).collect();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FILE, &text);
    let folder = Folder::open(dir.path()).unwrap();
    let mut counting = Counting::new(Groups::new(Vec::new()), &Filter::default(), &[]);
    Scan::of(&folder).for_each_line(
        |line, weight| {
            match weight {
                None => counting.note(line),
                Some(weight) => counting.add(line, weight, |groups| groups.add(line, weight)),
            }
            assert!(counting.held.len() <= HELD_MAX);
        },
        |_| {},
    );
    let (groups, basis) = counting.finish();
    assert_eq!((groups.total.events, basis.estimated_instances), (74, 74));
}

/// Events wait for the end of their trace, if they have content that is kept in failed traces alone. Totals have counted
/// them when their lines come.
#[test]
fn events_that_were_held_count_once() {
    // Otherwise the rates weigh each of the two lines as four events.
    for (capture, expected) in [("\"failed\"", 6.0), ("true", 14.0)] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = two_minutes();
        recorder.text = recorder
            .text
            .replace("\"totals\":true", &format!("\"totals\":true,\"capture_content\":{capture}"));
        for second in [10, 20] {
            recorder.event(&call(1, second));
        }
        write(dir.path(), FILE, &recorder.text);
        let (groups, basis) = count(dir.path(), &Filter::default(), &[], None);
        assert_eq!(groups.total.estimate.events, expected, "{capture}");
        assert_eq!(basis.estimated_instances, u64::from(capture == "true"));
    }
}

/// The recorder writes totals a moment after the end of their minute, with the events of that moment.
#[test]
fn a_line_between_the_end_of_a_minute_and_its_totals_counts_once() {
    for (micros, expected) in [(0, 6.0), (6, 6.0), (7, 10.0), (30_000_000, 10.0)] {
        let mut recorder = two_minutes();
        let early = AnyEvent { time: BEGIN + 2 * MINUTE + micros, ..call(2, 0) };
        recorder.event(&early);
        let (groups, _) = count_text(&recorder.text, &Filter::default());
        assert_eq!(groups.total.estimate.events, expected, "{micros}");
    }
}

/// Without draws that keep something, a line that another reason kept stands for itself.
#[test]
fn a_log_is_not_estimated_at_less_than_its_lines() {
    let mut recorder = Recorder::start(7, false);
    recorder.text = recorder.text.replace("0.25", "0");
    recorder.event(&call(0, 1));
    recorder.event(&call(0, 2));
    let text = recorder.text.replace("\"data\":{\"model", "\"kept\":\"failed\",\"data\":{\"model");
    let (groups, _) = count_text(&text, &Filter::default());
    assert_eq!((groups.total.events, groups.total.estimate.events), (2, 2.0));
}

/// After an outage totals have the events of all of it.
#[test]
fn totals_of_several_minutes_count_in_the_last_one() {
    let mut recorder = Recorder::start(7, true);
    recorder.totals(&[call(0, 1)], 0);
    recorder.text =
        recorder.text.replace(&spelled_time(BEGIN + MINUTE), &spelled_time(BEGIN + 5 * MINUTE));
    for (minute, expected) in [(0, 0), (3, 0), (4, 1), (5, 0)] {
        let [since, until] = [minute, minute + 1].map(|minute| Some(BEGIN + minute * MINUTE));
        let filter = Filter { since, until, ..Filter::default() };
        assert_eq!(count_text(&recorder.text, &filter).0.total.events, expected, "{minute}");
    }
}
