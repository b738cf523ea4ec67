use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::Folder;
use crate::query::{Filter, Scan};

const NAME: &str = "audit-2026-01-02.jsonl";

fn line(status: &str) -> String {
    format!("{{\"event_type\":\"a.b\",\"status\":\"{status}\"}}\n")
}

/// A log in a folder of its own.
struct Log(tempfile::TempDir);

impl Log {
    fn with(text: &str) -> Self {
        let log = Self(tempfile::tempdir().unwrap());
        fs::write(log.path(NAME), text).unwrap();
        log
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn index(&self) -> PathBuf {
        index_path(&self.path(NAME)).unwrap()
    }

    /// How many errors a scan finds.
    fn errors(&self) -> u64 {
        errors_in(&Folder::open(self.0.path()).unwrap())
    }

    /// Writes an index that says of itself that it is whole.
    fn write_index(&self, blocks: &[Block]) {
        let folder = Folder::open(self.0.path()).unwrap();
        let identity = FileIdentity::of_closed(&folder.files()[0]).unwrap();
        fs::create_dir_all(self.path(FOLDER)).unwrap();
        fs::write(self.index(), bytes::encode(blocks, &identity.to_bytes())).unwrap();
    }

    fn is_index_used(&self) -> bool {
        Index::load(&Folder::open(self.0.path()).unwrap().files()[0]).is_some()
    }
}

fn errors_in(folder: &Folder) -> u64 {
    let filter = Filter { statuses: vec![Status::Error], ..Filter::default() };
    Scan::of(folder).filter(filter).chunk_bytes(100).for_each(|_, _| {}).events
}

fn block(bytes: u64, is_always_read: bool) -> Block {
    Block { is_always_read, ..BlockSummary::of_bytes(bytes).into_block() }
}

#[test]
fn an_index_of_other_bytes_than_the_file_has_is_not_used() {
    let log = Log::with(&line("error"));
    let bytes = line("error").len() as u64;
    let past_end = (0..200_000).map(|at| block(1_000, at % 2 == 1)).collect();
    let cases: [(Vec<Block>, bool); 7] = [
        (vec![block(bytes, true)], true),
        (vec![], false),
        (vec![block(bytes - 1, true)], false),
        (vec![block(bytes + 1, true)], false),
        (vec![block(bytes, true), block(0, true)], false),
        (vec![block(u64::MAX, true), block(bytes + 1, true)], false),
        (past_end, false),
    ];
    for (blocks, is_used) in cases {
        log.write_index(&blocks);
        assert_eq!(log.is_index_used(), is_used, "{} blocks", blocks.len());
        assert_eq!(log.errors(), 1);
    }
}

#[test]
fn blocks_are_read_as_they_were_written() {
    let blocks = [
        Block { traces: vec![7, u64::MAX], statuses: 5, ..block(3, true) },
        Block { times: (-1, i64::MAX), totals: (-7, 7), types: 1 << 63, ..block(u64::MAX, false) },
    ];
    let identity = [9; bytes::IDENTITY_BYTES];
    let encoded = bytes::encode(&blocks, &identity);
    let decoded = bytes::decode(&encoded, &identity).unwrap();
    assert_eq!(decoded.blocks, blocks);
    assert_eq!(bytes::decode(&encoded, &[8; bytes::IDENTITY_BYTES]), None);
    for at in 0..encoded.len() {
        let mut other = encoded.clone();
        other[at] ^= 1;
        assert_eq!(bytes::decode(&other, &identity), None, "{at}");
        assert_eq!(bytes::decode(&encoded[..at], &identity), None, "{at}");
    }
}

#[test]
fn lines_rewritten_in_place_make_an_index_stale() {
    let log = Log::with(&line("retry").repeat(50));
    assert_eq!(log.errors(), 0);
    assert!(log.is_index_used());
    let before = fs::metadata(log.path(NAME)).unwrap();
    // The system's clock of files goes on in steps.
    loop {
        fs::write(log.path(NAME), line("error").repeat(50)).unwrap();
        let file = File::options().write(true).open(log.path(NAME)).unwrap();
        file.set_times(FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
        let now = fs::metadata(log.path(NAME)).unwrap();
        assert_eq!(
            (now.ino(), now.len(), now.mtime()),
            (before.ino(), before.len(), before.mtime())
        );
        if (now.ctime(), now.ctime_nsec()) != (before.ctime(), before.ctime_nsec()) {
            break;
        }
    }
    assert_eq!(log.errors(), 50);
}

/// A line with its fields in the order of the schema.
fn line_in_order(number: u32) -> String {
    format!(
        "{{\"seq\":{number},\"event_type\":\"a.b\",\"status\":\"error\",\"data\":{{\"x\":[1]}},\"error\":{{\"y\":2}}}}\n"
    )
}

#[test]
fn a_block_says_whether_all_its_lines_are_in_order() {
    let in_order: String = (0..40).map(line_in_order).collect();
    let log = Log::with(&format!(
        "{in_order}{}{in_order}",
        " {\"event_type\":\"a\",\"status\":\"error\"}\n"
    ));
    assert_eq!(log.errors(), 81);
    let index = Index::load(&Folder::open(log.0.path()).unwrap().files()[0]).unwrap();
    let others = index.blocks.iter().filter(|block| !block.is_in_order).count();
    assert!((1..3).contains(&others) && index.blocks.len() > 10, "{others}");
    let parts = index.parts(&IndexQuery::default());
    let are_in_order: Vec<_> = parts.iter().map(|part| part.is_in_order).collect();
    assert_eq!(are_in_order, [true, false, true]);
    let folder = Folder::open(log.0.path()).unwrap();
    let mut texts = Vec::new();
    Scan::of(&folder).for_each(|line, _| texts.push(serde_json::to_string(&line.json()).unwrap()));
    assert_eq!(texts.len(), 81);
    assert_eq!(format!("{}\n", texts[3]), line_in_order(3));
}

#[test]
fn an_index_that_is_wrong_about_the_lines_does_no_harm() {
    let whole = line_in_order(7);
    let mut rng = fastrand::Rng::with_seed(11);
    let text: String = (0..2_000)
        .map(|_| {
            let mut line = whole.trim_end().to_owned();
            let at = rng.usize(..line.len());
            match rng.u8(..3) {
                0 => line.truncate(at),
                1 => line.insert(at, *rng.choice(&['{', '}', '"', ',', '\\', 'é', '1']).unwrap()),
                _ => drop(line.remove(at)),
            }
            line + "\n"
        })
        .collect();
    let log = Log::with(&text);
    log.write_index(&[Block { is_in_order: true, ..block(text.len() as u64, true) }]);
    assert!(log.is_index_used());
    let folder = Folder::open(log.0.path()).unwrap();
    let scanned = Scan::of(&folder).for_each(|line, _| {
        let _ = (line.data(), line.error_message(), line.check(), line.json());
    });
    assert_eq!(scanned.events + scanned.bad_lines, 2_000);
}

#[test]
fn neither_a_link_nor_a_pipe_is_read_as_an_index() {
    let log = Log::with(&line("error"));
    assert_eq!(log.errors(), 1);
    let (index, aside) = (log.index(), log.path("aside"));
    assert!(log.is_index_used());
    fs::rename(&index, &aside).unwrap();
    symlink(&aside, &index).unwrap();
    assert!(!log.is_index_used(), "a link to a file");
    fs::remove_file(&index).unwrap();
    assert!(Command::new("mkfifo").arg(&index).status().unwrap().success());
    assert!(!log.is_index_used(), "a pipe");
    assert_eq!(log.errors(), 1);
    fs::remove_dir_all(log.path(FOLDER)).unwrap();
    fs::create_dir(log.path("elsewhere")).unwrap();
    symlink(log.path("elsewhere"), log.path(FOLDER)).unwrap();
    assert_eq!(log.errors(), 1);
    assert_eq!(fs::read_dir(log.path("elsewhere")).unwrap().count(), 0, "a link to a folder");
}

#[test]
fn the_index_of_a_file_that_is_gone_is_removed_by_the_next_scan() {
    let log = Log::with(&line("error"));
    let other = log.path("audit-2026-01-03.jsonl");
    fs::write(&other, line("error")).unwrap();
    assert_eq!(log.errors(), 2);
    let (kept, gone) = (log.index(), index_path(&other).unwrap());
    let of_others = log.path(FOLDER).join("notes.idx");
    fs::write(&of_others, "").unwrap();
    assert!(gone.exists());
    fs::remove_file(&other).unwrap();
    assert_eq!(log.errors(), 1);
    assert!(!gone.exists() && kept.exists() && of_others.exists());
}

#[test]
fn files_that_were_named_have_no_index() {
    let log = Log::with(&line("error"));
    assert_eq!(errors_in(&Folder::of_files([log.path(NAME)]).unwrap()), 1);
    assert!(!log.path(FOLDER).exists());
}

#[test]
fn an_index_that_another_reader_writes_is_left_to_it() {
    let log = Log::with(&line("error"));
    fs::create_dir(log.path(FOLDER)).unwrap();
    let unfinished = with_suffix(&log.index(), ".tmp");
    let file = File::create(&unfinished).unwrap();
    assert_eq!(log.errors(), 1);
    assert!(unfinished.exists() && !log.index().exists());
    // A process that was killed left it.
    file.set_times(FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH)).unwrap();
    assert_eq!(log.errors(), 1);
    assert!(!unfinished.exists() && log.index().exists());
}

#[test]
fn an_index_that_would_be_too_large_is_not_gathered() {
    let mut builder = IndexBuilder::default();
    let most = bytes::BYTES_MAX / bytes::bytes_of_block(&block(1, false));
    for count in 0..most * 2 {
        builder.push(block(1, false));
        assert!(builder.blocks().len() as u64 <= most, "{count}");
    }
    assert!(builder.blocks().is_empty());
}

/// The version before said so of objects with neither an event type nor a time.
#[test]
fn an_index_of_an_earlier_version_is_not_used() {
    let log = Log::with("{\"data\":{\"x\":1}}\n");
    let block = Block { is_in_order: true, ..block(17, true) };
    log.write_index(&[block]);
    assert!(log.is_index_used());
    let index = fs::read(log.index()).unwrap();
    let content = [b"auditix2", &index[8..index.len() - 8]].concat();
    fs::write(log.index(), [&content[..], &checksum(&content).to_le_bytes()].concat()).unwrap();
    assert!(!log.is_index_used());
    let folder = Folder::open(log.0.path()).unwrap();
    let scanned = Scan::of(&folder).for_each(|_, _| {});
    assert_eq!((scanned.events, scanned.bad_lines), (0, 1));
}
