use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;

use llm_audit_log::Line;

use super::*;

/// A destination that fails at random, and remembers what came.
#[derive(Debug)]
struct Flaky {
    rng: fastrand::Rng,
    /// Whether it is trusted to work.
    is_well: bool,
    /// What it answers instead of taking anything, one after the other.
    errors: Vec<SendError>,
    /// The sizes of the requests that it got.
    sizes: Vec<usize>,
    came: BTreeMap<u64, u64>,
    /// Those that it has acknowledged, or would have if the answer had come.
    copies_allowed: BTreeSet<u64>,
}

/// Every tenth line is never taken.
fn is_poison(seq: u64) -> bool {
    seq % 10 == 7
}

fn later(why: &str) -> SendError {
    SendError::Later { why: why.to_owned(), after: None }
}

impl Destination for Flaky {
    type Item = u64;

    fn name(&self) -> &str {
        "flaky"
    }

    fn limits(&self) -> BatchLimits {
        BatchLimits { lines: 13, bytes: 2_000 }
    }

    fn item(&mut self, line: &Line<'_>, source: &LineSource<'_>) -> Option<(usize, u64)> {
        let seq = line.seq()?;
        assert_eq!(
            source.origin.unwrap().service.as_deref(),
            Some("benefits"),
            "also after a restart"
        );
        Some(((seq % 2) as usize, seq))
    }

    fn send(&mut self, part: usize, items: &[Shipped<u64>]) -> Result<Rejected, SendError> {
        let seqs: Vec<_> = items.iter().map(|item| item.item).collect();
        assert!(seqs.iter().all(|seq| seq % 2 == part as u64) && !seqs.is_empty());
        self.sizes.push(items.len());
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        if !self.is_well && self.rng.u8(0..4) == 0 {
            return Err(later("down"));
        }
        let (poison, good): (Vec<_>, Vec<_>) = seqs.iter().partition(|seq| is_poison(**seq));
        // Of even ones it takes the good ones and says which it did not take. Of odd ones it takes all or none.
        if part == 1 && !poison.is_empty() {
            return Err(SendError::Refused { why: "poison".to_owned() });
        }
        good.iter().for_each(|seq| *self.came.entry(*seq).or_default() += 1);
        if !self.is_well && self.rng.u8(0..4) == 0 {
            self.copies_allowed.extend(good);
            return Err(later("the answer is lost"));
        }
        let places = items.iter().enumerate().filter(|(_, item)| is_poison(item.item));
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        let count = places.len() as u64;
        Ok(Rejected { count, places: Some(places), why: "poison".to_owned() })
    }
}

const INSTANCE: &str = "4c8e78a91890a010";

fn start() -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{INSTANCE}\",\"timestamp\":\"2026-11-29T23:00:00Z\",\
         \"event_type\":\"audit.start\",\"agent\":\"llm-audit\",\"action\":\"start\",\"status\":\"ok\",\
         \"data\":{{\"service\":\"benefits\"}}}}\n"
    )
}

fn event(seq: u64) -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{INSTANCE}\",\"seq\":{seq},\
         \"timestamp\":\"2026-11-29T23:00:40Z\",\"event_type\":\"tool.call\",\"agent\":\"benefits\",\
         \"action\":\"plan.search\",\"status\":\"ok\"}}\n"
    )
}

fn append(dir: &Path, file: u64, text: &str) {
    let path = dir.join(format!("audit-2026-11-02.{}.jsonl", file + 1));
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn refused_in(dir: &Path) -> Vec<u64> {
    let mut seqs = Vec::new();
    for file in fs::read_dir(dir.join(".ship/refused")).unwrap() {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            seqs.push(parse(&mut line.as_bytes().to_vec()).unwrap().seq().unwrap());
        }
    }
    seqs
}

/// Ships while a log grows and files begin, with a destination that fails and a process that is killed.
fn ship_at_random(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &start());
    let (mut next, mut file, mut killed) = (0, 0, BTreeSet::<u64>::new());
    let mut flaky = Flaky {
        rng: rng.fork(),
        is_well: false,
        errors: Vec::new(),
        sizes: Vec::new(),
        came: BTreeMap::new(),
        copies_allowed: BTreeSet::new(),
    };
    for round in 0..15 {
        flaky.is_well = round == 14;
        let mut shipper = Shipper::open(dir.path(), flaky).unwrap().unwrap();
        for _ in 0..rng.u8(1..6) {
            for _ in 0..rng.u8(0..40) {
                file += u64::from(rng.u8(0..20) == 0);
                append(dir.path(), file, &event(next));
                next += 1;
            }
            let (came, mut patience) = (shipper.destination.came.clone(), rng.u8(0..5));
            let wait = |_: Duration, _: &str| {
                patience = patience.saturating_sub(1);
                patience > 0
            };
            if shipper.ship(wait).unwrap() == Progress::Interrupted {
                // If it is killed now, all of the batch comes again.
                let of_batch = &shipper.destination.came;
                killed.extend(of_batch.keys().filter(|seq| came.get(seq) != of_batch.get(seq)));
            }
        }
        while shipper.destination.is_well
            && shipper.ship(|_, _| true).unwrap() != Progress::UpToDate
        {}
        if shipper.destination.is_well {
            let poison = (0..next).filter(|seq| is_poison(*seq)).count() as u64;
            let counts = (shipper.sent(), shipper.refused(), shipper.lost());
            assert_eq!(counts, (next, poison, 0), "each line counts once, seed {seed}");
        }
        let Shipper { destination, .. } = shipper;
        flaky = destination;
    }
    let refused: BTreeSet<_> = refused_in(dir.path()).into_iter().collect();
    for seq in 0..next {
        let (copies, is_refused) =
            (flaky.came.get(&seq).copied().unwrap_or(0), refused.contains(&seq));
        assert_eq!(is_refused, is_poison(seq), "{seq}, seed {seed}");
        assert_eq!(copies > 0, !is_poison(seq), "{seq}, seed {seed}");
        let may_repeat = flaky.copies_allowed.contains(&seq) || killed.contains(&seq);
        assert!(copies <= 1 || may_repeat, "{seq} came {copies} times, seed {seed}");
    }
}

#[test]
fn whatever_fails_each_line_comes_or_is_kept() {
    for seed in 0..6 {
        ship_at_random(seed);
    }
}

fn well() -> Flaky {
    Flaky {
        rng: fastrand::Rng::with_seed(1),
        is_well: true,
        errors: Vec::new(),
        sizes: Vec::new(),
        came: BTreeMap::new(),
        copies_allowed: BTreeSet::new(),
    }
}

#[test]
fn one_shipper_has_a_destination_and_its_position_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(1) + &event(2)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert!(Shipper::open(dir.path(), well()).unwrap().is_none());
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(2));
    assert!(forget(dir.path(), "flaky").is_err(), "it is in use");
    assert_eq!(shipper.sent(), 2);
    drop(shipper);
    let mut again = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(again.ship(|_, _| true).unwrap(), Progress::UpToDate);
    drop(again);
    assert!(forget(dir.path(), "flaky").unwrap() && !forget(dir.path(), "flaky").unwrap());
    let mut anew = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(anew.ship(|_, _| true).unwrap(), Progress::Sent(2));
}

/// The time of all lines of [`event`].
fn event_time() -> i64 {
    parse(&mut event(0).into_bytes()).unwrap().timestamp().unwrap()
}

#[test]
fn the_lag_is_what_was_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(1)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    let bytes = (start() + &event(1)).len() as u64;
    let lag = shipper.lag(event_time()).unwrap();
    assert_eq!((lag.bytes, lag.lines, lag.seconds), (bytes, Some(2), Some(40.0)));
    shipper.ship(|_, _| true).unwrap();
    let now = event_time() + 5_000_000;
    let nothing = Lag { lines: Some(0), ..Lag::default() };
    assert_eq!(shipper.lag(now).unwrap(), nothing);
    append(dir.path(), 0, &event(2));
    let lag = shipper.lag(now).unwrap();
    assert_eq!((lag.bytes, lag.lines, lag.seconds), (event(2).len() as u64, Some(1), Some(5.0)));
    shipper.ship(|_, _| true).unwrap();
    // A killed process leaves half a line, which is never sent.
    append(dir.path(), 0, "{\"event_version\":");
    assert_eq!(shipper.lag(now).unwrap(), nothing);
}

#[test]
fn the_lag_is_the_age_of_the_oldest_line_of_all_processes() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    shipper.ship(|_, _| true).unwrap();
    let older = event(6).replace("23:00:40", "23:00:10");
    append(dir.path(), 0, &event(4));
    append(dir.path(), 1, &older);
    let lag = shipper.lag(event_time()).unwrap();
    assert_eq!(lag.bytes, (event(4) + &older).len() as u64);
    assert_eq!((lag.lines, lag.seconds), (Some(2), Some(30.0)));
    // What retention removed does not wait.
    fs::remove_file(dir.path().join("audit-2026-11-02.2.jsonl")).unwrap();
    let lag = shipper.lag(event_time()).unwrap();
    assert_eq!((lag.bytes, lag.seconds), (event(4).len() as u64, Some(0.0)));
}

/// Does what the recorder does with a file that is no longer written to.
fn compress(dir: &Path, file: u64) {
    let path = dir.join(format!("audit-2026-11-02.{}.jsonl", file + 1));
    let (text, mut compressed) = (fs::read(&path).unwrap(), Vec::new());
    llm_audit_log::zst::compress(&mut &text[..], text.len() as u64, &mut compressed).unwrap();
    fs::write(path.with_extension("jsonl.zst"), compressed).unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_compressed_while_it_is_sent_goes_on() {
    for restarts in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let events = |seqs: std::ops::Range<u64>| seqs.map(|n| event(n * 2)).collect::<String>();
        append(dir.path(), 0, &(start() + &events(0..40)));
        append(dir.path(), 1, &events(40..50));
        let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
        assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(12));
        compress(dir.path(), 0);
        let lag = shipper.lag(event_time()).unwrap();
        assert_eq!(lag.bytes, events(12..50).len() as u64);
        assert_eq!(lag.lines, Some(38));
        if restarts {
            let came = shipper.destination.came.clone();
            drop(shipper);
            shipper = Shipper::open(dir.path(), Flaky { came, ..well() }).unwrap().unwrap();
        }
        while shipper.ship(|_, _| true).unwrap() != Progress::UpToDate {}
        compress(dir.path(), 1);
        assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
        let expected = (0..50).map(|n| (n * 2, 1));
        assert_eq!(shipper.destination.came, expected.collect());
        let lag = shipper.lag(event_time()).unwrap();
        assert_eq!((shipper.sent(), lag.bytes, lag.seconds), (50, 0, None));
    }
}

#[test]
fn a_destination_is_known_before_it_has_anything() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    assert_eq!(destinations(dir.path(), 0).unwrap().len(), 0);
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    let all = || destinations(dir.path(), event_time()).unwrap();
    let status = || all().pop().unwrap().unwrap();
    assert_eq!((status().name, status().positions, status().sent), ("flaky".into(), vec![], 0));
    assert_eq!(status().lag, shipper.lag(event_time()).unwrap());
    shipper.ship(|_, _| true).unwrap();
    append(dir.path(), 0, &(event(7) + &event(9)));
    shipper.ship(|_, _| true).unwrap();
    let expected = DestinationStatus {
        name: "flaky".to_owned(),
        positions: shipper.state.positions.clone(),
        sent: 3,
        refused: 1,
        lost: 0,
        lost_files: 0,
        until: Some(event_time()),
        lag: Lag { lines: Some(0), ..Lag::default() },
    };
    assert_eq!(status(), expected);
    fs::write(dir.path().join(".ship/another.json"), "{").unwrap();
    let all = all();
    assert!(all[0].as_ref().is_err_and(|error| error.to_string().contains("another.json")));
    assert_eq!(all[1].as_ref().unwrap(), &expected);
}

#[test]
fn what_retention_removed_is_counted_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    let retired = |unshipped: &str| {
        format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"{INSTANCE}\",\"notice\":2,\
             \"timestamp\":\"2026-11-29T23:00:01Z\",\"event_type\":\"audit.retired\",\
             \"agent\":\"llm-audit\",\"action\":\"retired\",\"status\":\"ok\",\
             \"data\":{{\"file\":\"x\",\"unshipped\":{{{unshipped}}}}}}}\n"
        )
    };
    let lost = retired(r#""flaky":3,"other":5"#)
        + &retired(r#""other":null"#)
        + &retired(r#""flaky":null"#);
    append(dir.path(), 0, &(start() + &lost + &event(2) + &retired(r#""flaky":1"#)));
    for _ in 0..2 {
        let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
        while shipper.ship(|_, _| true).unwrap() != Progress::UpToDate {}
        assert_eq!((shipper.sent(), shipper.lost(), shipper.lost_files()), (1, 4, 1));
        let status = destinations(dir.path(), 0).unwrap().pop().unwrap().unwrap();
        assert_eq!((status.lost, status.lost_files), (4, 1));
    }
}

#[test]
fn a_damaged_position_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &start());
    drop(Shipper::open(dir.path(), well()).unwrap());
    fs::write(dir.path().join(".ship/flaky.json"), "{").unwrap();
    let error = Shipper::open(dir.path(), well()).unwrap_err().to_string();
    assert!(error.contains("flaky.json is no position"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_copy_of_the_lock_does_not_hold_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = PrivateFolder::create(dir.path().join(".ship")).unwrap();
    let held = StateFile::lock(&folder, "flaky").unwrap().unwrap();
    // As in a process that is just being started.
    let _copy = held.lock.try_clone().unwrap();
    assert!(StateFile::lock(&folder, "flaky").unwrap().is_none());
    drop(held);
    assert!(StateFile::lock(&folder, "flaky").unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn a_position_that_cannot_be_kept_is_an_error_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    // A folder in the place of the file, since root may write everywhere.
    fs::create_dir(dir.path().join(".ship/flaky.json.new")).unwrap();
    assert!(shipper.ship(|_, _| true).is_err());
    fs::remove_dir(dir.path().join(".ship/flaky.json.new")).unwrap();
    append(dir.path(), 0, &event(4));
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(1));
    assert_eq!(shipper.destination.came, BTreeMap::from([(2, 1), (4, 1)]));
}

#[test]
fn a_position_that_could_not_be_kept_is_kept_later() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    let in_the_way = dir.path().join(".ship/flaky.json.new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(shipper.ship(|_, _| true).is_err());
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
    drop(shipper);
    let mut again = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(again.ship(|_, _| true).unwrap(), Progress::UpToDate);
}

#[test]
fn what_could_not_be_kept_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(10) + &event(27) + &event(29) + &event(37)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    // A file in the place of the folder.
    let refused = dir.path().join(".ship/refused");
    fs::write(&refused, "").unwrap();
    assert!(shipper.ship(|_, _| true).is_err() && shipper.ship(|_, _| true).is_err());
    fs::remove_file(&refused).unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(4));
    assert_eq!(shipper.destination.came, BTreeMap::from([(10, 1), (29, 1)]));
    assert_eq!((refused_in(dir.path()).len(), shipper.refused()), (2, 2));
}

#[test]
fn a_file_that_is_cut_and_grows_is_sent_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2) + &event(4)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(2));
    let path = dir.path().join("audit-2026-11-02.1.jsonl");
    fs::write(path, start() + &event(100) + &event(102) + &event(104)).unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(3));
    assert!([100, 102, 104].iter().all(|seq| shipper.destination.came.contains_key(seq)));
}

#[test]
fn of_a_file_that_is_cut_only_new_lines_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit-2026-11-02.1.jsonl");
    append(dir.path(), 0, &(start() + &event(2) + &event(4)));
    append(dir.path(), 1, &(start() + &event(6)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(3));
    // Its end is lost, and another logger goes on in it.
    let other = |seq| event(seq).replace(INSTANCE, "4c8e78a91890a011");
    fs::write(&path, start() + &event(2)).unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
    drop(shipper);
    append(dir.path(), 0, &(event(4) + &start().replace(INSTANCE, "4c8e78a91890a011") + &other(2)));
    append(dir.path(), 1, &event(8));
    let mut again = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(again.ship(|_, _| true).unwrap(), Progress::Sent(2));
    assert_eq!(again.destination.came, BTreeMap::from([(2, 1), (8, 1)]));
}

/// The writer cuts off what is left of a write that failed, and puts other lines in its place.
#[test]
fn half_a_line_that_is_replaced_is_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..12).map(|n| event(n * 2)).collect();
    append(dir.path(), 0, &(start() + &lines));
    let path = dir.path().join("audit-2026-11-02.1.jsonl");
    let end = fs::metadata(&path).unwrap().len();
    append(dir.path(), 0, &event(80_055_550)[..62]);
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    // The batch is full, and the rest of the file is in a buffer.
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(12));
    File::options().write(true).open(&path).unwrap().set_len(end).unwrap();
    append(dir.path(), 0, &(event(100) + &event(102)));
    while shipper.ship(|_, _| true).unwrap() != Progress::UpToDate {}
    let expected = (0..12).map(|n| n * 2).chain([100, 102]).map(|seq| (seq, 1));
    assert_eq!(shipper.destination.came, expected.collect());
}

#[test]
fn only_a_position_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    append(&logs, 0, &(start() + &event(2)));
    Shipper::open(&logs, well()).unwrap().unwrap().ship(|_, _| true).unwrap();
    fs::write(dir.path().join("other.json"), "x").unwrap();
    assert!(!forget(&logs, "../../other").unwrap() && !forget(&logs, "flakey").unwrap());
    assert!(dir.path().join("other.json").exists() && !logs.join(".ship/flakey.lock").exists());
}

fn failed(why: &str) -> SendError {
    SendError::Failed { why: why.to_owned(), after: None }
}

fn refused(why: &str) -> SendError {
    SendError::Refused { why: why.to_owned() }
}

/// Ships six lines to a destination that answers with these errors first.
fn ship_after(error: &SendError, times: usize) -> (Shipper<Flaky>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &(1..=6).map(|n| event(n * 2)).collect::<String>()));
    let flaky = Flaky { errors: vec![error.clone(); times], ..well() };
    let mut shipper = Shipper::open(dir.path(), flaky).unwrap().unwrap();
    let mut waits = Vec::new();
    let wait = |_: Duration, why: &str| {
        waits.push(why.to_owned());
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(6));
    assert!(!dir.path().join(".ship/refused").exists());
    (shipper, waits)
}

#[test]
fn a_destination_that_takes_nothing_is_waited_for() {
    let unanswered = SendError::Unanswered { why: "closed".to_owned() };
    for error in [failed("500"), refused("400"), unanswered, later("503")] {
        let (shipper, waits) = ship_after(&error, 200);
        assert_eq!((shipper.sent(), shipper.refused()), (6, 0), "{error:?}");
        let expected = (1..=6).map(|n| (n * 2, 1));
        assert_eq!(shipper.destination.came, expected.collect(), "{error:?}");
        let is_said = waits.iter().any(|why| {
            why.starts_with("everything is refused so far: ")
                && why.ends_with("; nothing is given up")
        });
        assert_eq!(is_said, matches!(error, SendError::Failed { .. } | SendError::Refused { .. }));
        assert!(waits.len() > 30, "it pauses: {waits:?}");
    }
}

#[test]
fn requests_without_an_answer_become_smaller() {
    let (shipper, waits) = ship_after(&SendError::Unanswered { why: "late".to_owned() }, 3);
    assert_eq!((&*shipper.destination.sizes, waits.len()), (&[6, 6, 6, 3, 3][..], 2));
}

#[test]
fn a_part_of_what_failed_is_tried_twice() {
    let (shipper, waits) = ship_after(&failed("500"), 10);
    let expected = [6, 6, 6, 6, 6, 6, 6, 6, 3, 3, 1, 2, 3];
    assert_eq!((&*shipper.destination.sizes, waits.len()), (&expected[..], 8));
}

/// Whether it is the line or the settings shows with the next one.
#[test]
fn a_line_that_is_refused_alone_waits_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(7)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    let mut waits = 0;
    let wait = |_: Duration, _: &str| {
        waits += 1;
        if waits == 3 {
            append(dir.path(), 0, &event(9));
        }
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(2));
    assert_eq!((waits, shipper.refused(), shipper.sent()), (3, 1, 2));
    assert_eq!(refused_in(dir.path()), [7]);
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
}

/// A batch that is full takes some more lines, so that they show it.
#[test]
fn a_full_batch_that_is_refused_grows_once() {
    let dir = tempfile::tempdir().unwrap();
    let poison = |seqs: std::ops::Range<u64>| seqs.map(|n| event(n * 10 + 7)).collect::<String>();
    append(dir.path(), 0, &(start() + &poison(0..13) + &event(201) + &poison(13..40)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(24));
    assert_eq!((shipper.refused(), shipper.destination.came.len()), (23, 1));
    let mut left = 100;
    let wait = |_: Duration, _: &str| {
        left -= 1;
        left > 0
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Interrupted);
    assert_eq!((shipper.refused(), shipper.sent()), (23, 24), "nothing says that it is the lines");
}

#[cfg(unix)]
#[test]
fn a_position_that_was_removed_is_held_again_unless_somebody_else_has_it() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    shipper.ship(|_, _| true).unwrap();
    fs::remove_dir_all(dir.path().join(".ship")).unwrap();
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
    assert!(Shipper::open(dir.path(), well()).unwrap().is_none(), "it is held again");
    assert_eq!(destinations(dir.path(), 0).unwrap()[0].as_ref().unwrap().sent, 1);
    fs::remove_dir_all(dir.path().join(".ship")).unwrap();
    let _other = Shipper::open(dir.path(), well()).unwrap().unwrap();
    append(dir.path(), 0, &event(4));
    let error = shipper.ship(|_, _| true).unwrap_err().to_string();
    assert_eq!(error, "somebody is sending to flaky now");
    assert_eq!(shipper.destination.came, BTreeMap::from([(2, 1)]));
}

#[test]
fn a_position_with_any_numbers_is_read() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0, &(start() + &event(2)));
    drop(Shipper::open(dir.path(), well()).unwrap());
    let path = dir.path().join(".ship/flaky.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for name in ["sent", "sent_bytes", "refused", "lost", "lost_files"] {
        state[name] = u64::MAX.into();
    }
    state["until"] = i64::MIN.into();
    fs::write(&path, state.to_string()).unwrap();
    assert!(destinations(dir.path(), i64::MAX).unwrap()[0].is_ok());
    let mut shipper = Shipper::open(dir.path(), well()).unwrap().unwrap();
    append(dir.path(), 0, &(event(7) + &event(9)));
    assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(3));
    assert_eq!((shipper.sent(), shipper.refused()), (u64::MAX, u64::MAX));
    assert!(shipper.lag(i64::MAX).is_ok());
}
