//! `reader`: the log files read back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use llm_audit::metrics::MetricsRow;
use llm_audit::reader::{
    Basis, Choice, Counting, DEPTH_MAX, Ending, Entry, Estimate, Event, Expression, Failure,
    Failures, Figures, Filter, Finding, Folder, Follow, Found, GroupBy, Groups, Input, Instance,
    Items, Json, LINE_BYTES_MAX, Line, Lines, LogFile, Members, Position, Scan, Scanned, Span,
    State, Step, Sums, Timeline, Trace, UserRow, UserTotals, Verification, Writers, parse,
    read_line, verify, verify_folder, verify_with,
};
use llm_audit::{CaptureContent, Error, Status, Usd};
use serde::Serialize;

use crate::{Plain, Shared, converted, fields, implement, variants};

const _: usize = LINE_BYTES_MAX;
const _: usize = DEPTH_MAX;

// Folders and files.

fn open(dir: impl Into<PathBuf>) -> Result<Folder, Error> {
    converted(Folder::open(dir))
}

fn of_files(paths: Vec<PathBuf>) -> Result<Folder, Error> {
    converted(Folder::of_files(paths))
}

fn folder() {
    let _: fn(&Folder) -> &[LogFile] = Folder::files;
    let _: fn(&Folder) -> u64 = Folder::bytes;
    let _: fn(&Folder) -> Lines<'_> = Folder::lines;
}

fn log_file() {
    let _: fn(&LogFile) -> &str = LogFile::name;
    let _: fn(&LogFile) -> u64 = LogFile::bytes;
    let _: fn(&LogFile) -> bool = LogFile::is_locked;
    let _: fn(&LogFile) -> bool = LogFile::is_stream;
}

fn parts_from_end(file: &LogFile) -> impl Iterator<Item = Result<Range<u64>, Error>> {
    file.parts_from_end().map(converted)
}

fn lines<'f>() {
    let _: fn(&'f [LogFile]) -> Lines<'f> = Lines::of;
    let _: fn(&'f LogFile, Range<u64>) -> Lines<'f> = Lines::of_part;
    let _: fn(&Lines<'f>) -> u64 = Lines::bytes_read;
}

fn next_line<'l>(lines: &'l mut Lines<'_>) -> Result<Option<Entry<'l>>, Error> {
    converted(lines.next_line())
}

fn follow(dir: impl Into<PathBuf>) -> Follow {
    let _: fn(&mut Follow) -> Vec<String> = Follow::take_truncated;
    Follow::new(dir)
}

fn follow_from(dir: impl Into<PathBuf>, kept: Vec<Position>) -> Vec<Position> {
    Follow::resume(dir, kept).positions().cloned().collect()
}

fields!(Position {
    file: String,
    offset: u64,
    instance: Option<String>,
    seq: Option<u64>,
    line_bytes: u64,
    line_hash: u64,
});

implement! {
    Position: Plain, Clone, Debug, Default, PartialEq, Eq, Serialize, serde::de::DeserializeOwned;
}

fn scan(folder: &Folder, filter: Filter, service: Option<&str>) -> Scanned {
    let scan = Scan::of(folder).filter(filter).service(service).own_lines(true).totals(None);
    scan.for_each(|_: &Line<'_>, _: f64| {})
}

fn scan_with(
    scan: &Scan<'_>,
    each: impl FnMut(&Line<'_>, Option<f64>) + Send,
    progress: impl FnMut(u64) + Send,
) -> Scanned {
    scan.for_each_line(each, progress)
}

fields!(Scanned {
    events: u64,
    bad_lines: u64,
    first_bad_lines: Vec<llm_audit::reader::Error>,
    damage: Vec<llm_audit::reader::Error>,
});

implement! {
    Scan<'_>: Plain, Clone, Debug;
    Scanned: Debug, Default;
}

fn follow_after(folder: &Folder) -> Result<Follow, Error> {
    converted(Follow::after(folder))
}

fn next_line_to_come(follow: &mut Follow) -> Result<Option<Entry<'_>>, Error> {
    converted(follow.next_line())
}

fn input(path: impl AsRef<Path>) -> io::Result<Input> {
    if path.as_ref().as_os_str() == "-" { Input::stdin() } else { Input::open(path) }
}

fn line_of(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Ending>> {
    read_line(input, line)
}

implement! {
    Folder: Plain, Clone, Debug;
    LogFile: Plain, Clone, Debug, PartialEq, Eq, PartialOrd, Ord;
    Lines<'_>: Shared, Debug;
    Follow: Shared, Debug;
    Input: Shared, Debug, Read;
}

fields!(Entry<'_> {
    file: &str,
    number: u64,
    offset: u64,
    ending: Ending,
    bytes: &mut [u8],
});

fn entry<'e>(entry: &'e mut Entry<'_>) -> Result<Line<'e>, Error> {
    converted(entry.parse())
}

/// The bytes outlive the entry, and can be taken out of it.
fn bytes_of_an_entry<'a>(entry: Entry<'a>) -> (&'a str, &'a mut [u8]) {
    let Entry { file, bytes, .. } = entry;
    (file, bytes)
}

variants!(Ending { Newline, Torn });

fn ending(ending: Ending) {
    if let Ending::TooLong(bytes, ..) = ending {
        let _: u64 = bytes;
    }
}

implement! {
    Entry<'_>: Shared, std::panic::RefUnwindSafe, Debug;
    Ending: Plain, Clone, Copy, Debug, PartialEq, Eq;
}

// Lines and JSON.

fn parsed(line: &mut [u8]) -> Result<Line<'_>, Error> {
    converted(parse(line))
}

fn line<'a>() {
    let _: for<'l> fn(&'l Line<'a>) -> Json<'l> = Line::json;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::event_version;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::instance;
    let _: fn(&Line<'a>) -> Option<u64> = Line::seq;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::trace_id;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::span_id;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::parent_span_id;
    let _: fn(&Line<'a>) -> Option<i64> = Line::timestamp;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::event_type;
    let _: fn(&Line<'a>) -> bool = Line::is_own;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::agent;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::action;
    let _: fn(&Line<'a>) -> Option<Status> = Line::status;
    let _: fn(&Line<'a>) -> Option<f64> = Line::latency_ms;
    let _: fn(&Line<'a>) -> Option<u64> = Line::tokens_input;
    let _: fn(&Line<'a>) -> Option<u64> = Line::tokens_output;
    let _: fn(&Line<'a>) -> Option<Usd> = Line::cost_usd;
    let _: for<'l> fn(&'l Line<'a>) -> Option<Json<'l>> = Line::data;
    let _: for<'l> fn(&'l Line<'a>) -> Option<Json<'l>> = Line::error;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::error_message;
    let _: fn(&Line<'a>) -> bool = Line::is_paid;
    let _: for<'l> fn(&'l Line<'a>) -> Option<&'l str> = Line::model;
}

fn texts<'l>(json: Json<'l>) -> impl Iterator<Item = &'l str> {
    json.texts()
}

fn extra<'l>(line: &'l Line<'_>) -> impl Iterator<Item = (&'l str, Json<'l>)> {
    line.extra()
}

fn answers<'l>(line: &'l Line<'_>) -> impl Iterator<Item = Json<'l>> {
    line.answers()
}

fn check(line: &Line<'_>) -> Result<(), Error> {
    converted(line.check())
}

fn json<'a>() {
    let _: fn(Json<'a>, &str) -> Option<Json<'a>> = Json::get;
    let _: fn(Json<'a>) -> Members<'a> = Json::members;
    let _: fn(Json<'a>) -> Items<'a> = Json::items;
    let _: fn(Json<'a>) -> Option<&'a str> = Json::as_str;
    let _: fn(Json<'a>) -> Option<u64> = Json::as_u64;
    let _: fn(Json<'a>) -> Option<f64> = Json::as_f64;
    let _: fn(Json<'a>) -> Option<bool> = Json::as_bool;
    let _: fn(Json<'a>) -> bool = Json::is_null;
    let _: fn(Json<'a>) -> bool = Json::is_object;
    let _: fn(Json<'a>) -> bool = Json::is_array;
}

implement! {
    Line<'_>: Plain, Debug;
    Json<'_>: Plain, Clone, Copy, Debug, Serialize, From<&'static str>, From<bool>, From<u64>, From<f64>;
    Items<'static>: Plain, Clone, Debug, Iterator<Item = Json<'static>>;
    Members<'static>: Plain, Clone, Debug, Iterator<Item = (&'static str, Json<'static>)>;
}

// Filters.

fields!(Filter {
    since: Option<i64>,
    until: Option<i64>,
    agent: Option<String>,
    action: Option<String>,
    event_type: Option<String>,
    statuses: Vec<Status>,
    model: Option<String>,
    trace: Option<String>,
    slower: Option<f64>,
    expression: Option<Expression>,
});

fn filter() {
    let _: fn(&Filter, &Line<'_>) -> bool = Filter::matches;
    let _: fn(&str, &str) -> bool = Filter::is_type_below;
    let _: fn(&Expression, &Line<'_>) -> bool = Expression::matches;
}

fn expression(text: &str) -> Result<Expression, Error> {
    converted(text.parse())
}

implement! {
    Filter: Plain, Clone, Debug, Default;
    Expression: Plain, Clone, Debug;
}

// Figures and failures.

fields!(Figures {
    events: u64,
    failed: u64,
    tokens_input: u64,
    tokens_cached: u64,
    tokens_output: u64,
    cost_usd: Usd,
    priced: u64,
    unpriced: u64,
    estimate: Estimate,
    times: Timeline,
});

fields!(Estimate {
    events: f64,
    failed: f64,
    tokens_input: f64,
    tokens_cached: f64,
    tokens_output: f64,
    cost_usd: f64,
});

fields!(Groups { total: Figures, other: Figures });

fields!(Failures { total: u64, other: u64, times: Timeline });

fields!(Failure {
    event_type: String,
    agent: String,
    action: String,
    error_type: Option<String>,
    message: Option<String>,
    count: u64,
    first: Option<i64>,
    last: Option<i64>,
    trace_id: Option<String>,
    times: Timeline,
});

fn figures() {
    let _: fn(&mut Figures, &Line<'_>, f64) = Figures::add;
    let _: fn(&mut Figures, &Line<'_>, f64, Option<Usd>) = Figures::add_priced;
    let _: fn(&Figures) -> bool = Figures::is_estimate;
    let _: fn(&mut Timeline, i64, f64) = Timeline::add;
    let _: fn(&Timeline) -> Option<(i64, i64)> = Timeline::range;
    let _: fn(&Timeline, (i64, i64)) -> [f64; 4] = Timeline::parts;
    let _: fn(&Figures, f64) -> Option<f64> = Figures::latency_ms;
    let _: fn(&GroupBy) -> bool = GroupBy::is_time;
    let _: fn(&GroupBy) -> bool = GroupBy::is_label;
    let _: fn(&mut Figures, &MetricsRow, Range<i64>) = Figures::add_row;
    let _: fn(&mut Figures, &Figures) = Figures::merge;
    let _: fn(Vec<GroupBy>) -> Groups = Groups::new;
    let _: fn(&mut Groups, &Line<'_>, f64) = Groups::add;
    let _: fn(&mut Groups, &Line<'_>, f64, Option<Usd>) = Groups::add_priced;
    let _: fn(&mut Failures, &Line<'_>) = Failures::add;
    let _: for<'f> fn(&'f Failures) -> Vec<&'f Failure> = Failures::by_count;
}

// Figures by totals.

fields!(Basis {
    counted: u64,
    others: u64,
    estimated_instances: u64,
    estimated_us: i64,
    unreadable: u64,
    missing: u64,
});

fn counting(line: &Line<'_>) {
    let _: fn(Groups, &Filter, &[GroupBy]) -> Counting<Groups> = Counting::new;
    let _: fn(Counting<Groups>) -> Counting<Groups> = Counting::without_totals;
    let _: fn(&Counting<Groups>) -> Option<Range<i64>> = Counting::totals;
    let _: fn(&Counting<Groups>) -> u64 = Counting::counted;
    let _: fn(&mut Counting<Groups>, &Line<'_>) = Counting::note;
    let _: fn(Counting<Groups>) -> (Groups, Basis) = Counting::finish;
    let mut counting = Counting::new(Groups::new(Vec::new()), &Filter::default(), &[]);
    counting.add(line, 1.0, |groups| groups.add(line, 1.0));
    let _: fn(&mut Groups, &MetricsRow, Range<i64>) = Sums::add_row;
    let _: fn(&mut Groups, &UserTotals) = Sums::add_users;
    let _: fn(&mut Groups, &Groups) = Sums::merge;
}

fields!(UserTotals { top: Vec<UserRow>, rest_max: (u64, Usd) });

fields!(UserRow {
    user: String,
    events: u64,
    tokens: u64,
    cost_usd: Usd,
    events_error: u64,
    cost_usd_error: Usd,
});

fn group_by(text: &str) -> Result<GroupBy, Error> {
    converted(text.parse())
}

fn groups(groups: &Groups) -> impl Iterator<Item = (&[String], &Figures)> {
    groups.iter()
}

fn grouped_by(groups: &Groups) -> impl Iterator<Item = (&GroupBy, bool)> {
    groups.by()
}

implement! {
    Figures: Plain, Clone, Debug, Default;
    Estimate: Plain, Clone, Copy, Debug, Default, PartialEq;
    Timeline: Plain, Clone, Debug, Default;
    GroupBy: Plain, Clone, Debug;
    Groups: Plain, Clone, Debug;
    Basis: Plain, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize;
    Counting<Groups>: Plain, Clone, Debug;
    Failures: Plain, Debug, Default;
    Failure: Plain, Clone, Debug, Default;
}

// The tree of a trace.

variants!(Choice { Last, Failed, Slowest });

fn choose(
    folder: &Folder,
    choice: Choice,
    filter: &Filter,
    service: Option<&str>,
    damage: &mut Vec<llm_audit::reader::Error>,
    progress: impl FnMut(u64) + Send,
) -> Option<String> {
    Trace::choose(folder, choice, filter, service, damage, progress)
}

implement! {
    Choice: Plain, Clone, Copy, Debug, PartialEq, Eq;
}

fn find(folder: &Folder, prefix: &str, progress: impl FnMut(u64) + Send) -> Result<Found, Error> {
    converted(Trace::find(folder, prefix, progress))
}

fn find_of_service(
    folder: &Folder,
    prefix: &str,
    service: Option<&str>,
    progress: impl FnMut(u64) + Send,
) -> Result<Found, Error> {
    converted(Trace::find_of_service(folder, prefix, service, progress))
}

fn find_despite(
    folder: &Folder,
    prefix: &str,
    service: Option<&str>,
    damage: &mut Vec<llm_audit::reader::Error>,
    progress: impl FnMut(u64) + Send,
) -> Result<Found, Error> {
    converted(Trace::find_despite(folder, prefix, service, damage, progress))
}

fn found(found: Found) {
    let _: Found = Found::Nothing;
    #[allow(unreachable_patterns, reason = "the enum may become non-exhaustive")]
    match found {
        Found::Nothing => {}
        Found::One(trace, ..) => {
            let _: Box<Trace> = trace;
        }
        Found::Several(ids, ..) => {
            let _: Vec<String> = ids;
        }
        _ => {}
    }
}

fields!(Trace {
    id: String,
    spans: Vec<Span>,
    roots: Vec<usize>,
    left_out: u64,
});

fn trace() {
    let _: fn(&Trace) -> Vec<Step> = Trace::walk;
    let _: fn(&Trace) -> Option<(i64, i64)> = Trace::interval;
    let _: fn(&Trace) -> (u64, u64) = Trace::tokens;
    let _: fn(&Trace) -> Option<Usd> = Trace::cost_usd;
}

fn events(trace: &Trace) -> impl Iterator<Item = &Event> {
    trace.events()
}

fields!(Span {
    id: String,
    parent: Option<String>,
    children: Vec<usize>,
    events: Vec<Event>,
    is_orphan: bool,
    is_circular: bool,
});

fn span() {
    let _: fn(&Span) -> Option<(i64, i64)> = Span::interval;
}

fields!(Step { span: usize, depth: usize, is_last: bool });

fields!(Event {
    event_type: String,
    agent: String,
    action: String,
    status: Option<Status>,
    timestamp: Option<i64>,
    latency_ms: Option<f64>,
    tokens_input: Option<u64>,
    tokens_output: Option<u64>,
    cost_usd: Option<Usd>,
    model: Option<String>,
    error: Option<String>,
    service: Option<String>,
    capture_content: Option<CaptureContent>,
    line: String,
});

fn writers() {
    let _: fn(&[u8]) -> bool = Writers::may_be_start;
    let _: for<'w> fn(&'w mut Writers, &Line<'_>) = Writers::note;
    let _: for<'w> fn(&'w Writers, &Line<'_>) -> Option<&'w str> = Writers::service_of;
    let _: fn(&Writers) -> bool = Writers::are_several;
    let _: fn(&Writers, &Line<'_>) -> f64 = Writers::weight_of;
    let _: fn(&Writers, &Line<'_>, Option<&str>) -> bool = Writers::is_of;
    let _: fn(&mut Writers, &LogFile, usize) = Writers::note_file;
    let _: for<'w> fn(&'w Writers) -> BTreeSet<&'w str> = Writers::services;
}

fn event() {
    let _: fn(&Event) -> bool = Event::is_failure;
}

implement! {
    Writers: Plain, Clone, Debug, Default;
    Found: Plain, Debug;
    Trace: Plain, Debug, Default;
    Span: Plain, Debug, Default;
    Step: Plain, Clone, Copy, Debug, PartialEq, Eq;
    Event: Plain, Clone, Debug, Default;
}

// Completeness.

fn verified(dir: impl AsRef<Path>) -> Result<Verification, Error> {
    converted(verify(dir))
}

fn verified_with(
    dir: impl AsRef<Path>,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, Error> {
    converted(verify_with(dir, progress))
}

fn verified_folder(
    folder: &Folder,
    service: Option<&str>,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, Error> {
    converted(verify_folder(folder, service, progress))
}

fields!(Verification {
    files: u64,
    bytes: u64,
    lines: u64,
    events: u64,
    retired: u64,
    instances: Vec<Instance>,
    findings: Vec<Finding>,
    findings_total: u64,
});

fn verification() {
    let _: fn(&Verification) -> bool = Verification::is_clean;
}

fields!(Instance {
    id: String,
    service: Option<String>,
    host: Option<String>,
    pid: Option<u64>,
    events: u64,
    seq: Option<(u64, u64)>,
    overwritten: u64,
    io_lost: u64,
    unexplained: u64,
    hold_full: u64,
    torn_traces: u64,
    refused: BTreeMap<String, u64>,
    state: State,
});

variants!(State { Closed, Open, Killed });

fields!(Finding {
    place: Option<(String, u64)>,
    instance: Option<String>,
    what: String,
});

implement! {
    Verification: Plain, Clone, Debug, Default;
    Instance: Plain, Clone, Debug;
    State: Plain, Clone, Copy, Debug, PartialEq, Eq;
    Finding: Plain, Clone, Debug, Display, PartialEq, Eq;
}

#[test]
fn what_is_not_a_line_is_an_error_of_the_library() {
    let error = parsed(&mut b"{".to_vec()).expect_err("half an object is not a line");
    assert!(!error.to_string().is_empty());
}
