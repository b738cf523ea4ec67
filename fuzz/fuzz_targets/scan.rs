//! The scan of a log with a filter finds what parsing every line finds, with and without an index.
#![no_main]

use std::fs;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llm_audit_log::{Filter, Folder, Scan, Status, Writers, schema};

#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Event { seq: u16, trace: Trace, second: u8, kind: u8, status: u8, data: &'a str },
    Own(bool),
    Bytes(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Trace {
    Full(u8),
    Short(u32),
    Text(u64),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    since: Option<u8>,
    until: Option<u8>,
    event_type: Option<u8>,
    statuses: [Option<u8>; 2],
    trace: Option<(Trace, u8)>,
    has_own: bool,
    has_service: bool,
    chunk_bytes: u16,
    lines: Vec<Line<'a>>,
}

const TYPES: [&str; 6] = ["tool.call", "tool.error", "tool", "llm.invoke", "tool.", "audit"];

impl Trace {
    fn id(&self) -> String {
        match self {
            Self::Full(n) => format!("{:032x}", u128::from(*n) << 120 | 1),
            Self::Short(n) => format!("{n:012X}"),
            Self::Text(n) => format!("{n:x}"),
        }
    }
}

impl Line<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Event { seq, trace, second, kind, status, data } => {
                let (id, second) = (trace.id(), second % 60);
                let status = Status::ALL[usize::from(status % 4)].name();
                let kind = TYPES[usize::from(*kind) % TYPES.len()];
                let data = serde_json::to_string(data).expect("a text");
                out.extend(format!(
                    "{{\"event_version\":\"3.0\",\"instance\":\"00112233445566ff\",\"seq\":{seq},\
                     \"trace_id\":\"{id}\",\"timestamp\":\"2026-01-02T03:04:{second:02}.000000Z\",\
                     \"event_type\":\"{kind}\",\"status\":\"{status}\",\"data\":{{\"x\":{data}}}}}"
                ).bytes());
            }
            Self::Own(is_first) => out.extend(
                format!(
                    "{{\"instance\":\"00112233445566ff\",\"event_type\":\"audit.start\",\
                 \"data\":{{\"service\":\"{}\"}}}}",
                    if *is_first { "a" } else { "b" }
                )
                .bytes(),
            ),
            Self::Bytes(bytes) => out.extend(*bytes),
        }
        out.push(b'\n');
    }
}

fn filter_of(input: &Input<'_>) -> Filter {
    let begin = llm_audit_log::parse_time("2026-01-02T03:04:00Z").expect("a time");
    let time = |second: u8| begin + i64::from(second % 60) * 1_000_000;
    let mut filter = Filter::default();
    (filter.since, filter.until) = (input.since.map(time), input.until.map(time));
    filter.event_type = input.event_type.map(|at| TYPES[usize::from(at) % TYPES.len()].to_owned());
    let statuses = input.statuses.iter().flatten();
    filter.statuses = statuses.map(|at| Status::ALL[usize::from(at % 4)]).collect();
    filter.trace = input.trace.as_ref().map(|(trace, length)| {
        let id = trace.id().to_ascii_lowercase();
        id[..usize::from(*length).min(id.len())].to_owned()
    });
    filter
}

fuzz_target!(|input: Input<'_>| {
    let dir = std::env::temp_dir().join(format!("llm-audit-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder");
    let mut text = Vec::new();
    input.lines.iter().for_each(|line| line.write(&mut text));
    fs::write(dir.join("audit-2026-01-02.jsonl"), text).expect("a file");
    let (folder, filter) = (Folder::open(&dir).expect("a folder"), filter_of(&input));
    let service = input.has_service.then_some("a");
    let (mut expected, mut bad, mut writers) = (Vec::new(), 0, Writers::default());
    let mut lines = folder.lines();
    while let Some(entry) = lines.next_line().expect("a line") {
        let line = schema::parse_whole(entry.bytes).ok();
        // An object of another program is not an event.
        let line = line.filter(|line| line.event_type().is_some() || line.timestamp().is_some());
        let Some(line) = line else {
            bad += 1;
            continue;
        };
        writers.note(&line);
        let is_meant = input.has_own || !line.is_own();
        if writers.is_of(&line, service) && is_meant && filter.matches(&line) {
            expected.push(format!("{:?}", line.json()));
        }
    }
    let scan = Scan::of(&folder).filter(filter).service(service).own_lines(input.has_own);
    let scan = scan.chunk_bytes(input.chunk_bytes.into());
    for _ in 0..2 {
        let mut found = Vec::new();
        let scanned = scan.for_each(|line, _| found.push(format!("{:?}", line.json())));
        assert_eq!((found, scanned.bad_lines), (expected.clone(), bad));
    }
    fs::remove_dir_all(&dir).expect("the folder");
});
