//! The housekeeping thread's part in the model: it syncs, compresses and removes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::super::DAY;
use super::super::book::{self, Book};
use super::Model;
use super::destinations::Destinations;
use crate::config::Compress;
use crate::writer::files::utc_date_of_micros;
use crate::writer::fs::mem::MemFs;
use crate::writer::retention::Retention;
use llm_audit_log::FileName;
use llm_audit_log::schema::notices::Retired;
use llm_audit_log::zst;

const BY_DAYS: &str = "AUDIT_RETENTION_DAYS";
const BY_BYTES: &str = "AUDIT_MAX_TOTAL_BYTES";

/// A file that retention removed.
pub(super) struct Removed {
    /// The instance whose process removed it.
    by: String,
    /// What the log must report about it.
    data: Value,
    file: File,
    /// How often the folder had been synced before.
    dir_syncs: usize,
}

impl Removed {
    /// Returns its plain text.
    pub(super) fn text(&self) -> &[u8] {
        &self.file.text
    }

    /// Keeps only what the log must report.
    pub(super) fn forget(&mut self) {
        self.file.text.clear();
    }

    fn name(&self) -> &FileName {
        self.file.name.as_ref().expect("a file of the log")
    }

    fn why(&self) -> &str {
        self.data["why"].as_str().unwrap()
    }
}

/// How far one run of retention gets.
struct Course {
    /// How often it is told to continue.
    may_continue: Cell<usize>,
    /// Whether the removal of a file can no longer be reported.
    refuses: bool,
    /// If set, the process is killed after this many changes.
    killed_after: Option<usize>,
}

impl Course {
    fn any(rng: &mut fastrand::Rng) -> Self {
        let may_continue = if rng.u32(..4) == 0 { rng.usize(..10) } else { usize::MAX };
        Self {
            may_continue: Cell::new(may_continue),
            refuses: rng.u32(..8) == 0,
            killed_after: (rng.u32(..8) == 0).then(|| rng.usize(..12)),
        }
    }

    fn may_continue(&self) -> bool {
        self.may_continue.replace(self.may_continue.get().saturating_sub(1)) > 0
    }

    fn is_broken_off(&self) -> bool {
        self.may_continue.get() == 0
    }

    fn is_whole(&self) -> bool {
        !self.is_broken_off() && !self.refuses && self.killed_after.is_none()
    }
}

impl Model {
    /// Makes durable what was written.
    pub(super) fn sync(&mut self) {
        let process = self.process.as_mut().unwrap();
        let files = process.writer.files.as_mut().unwrap();
        while let Some(file) = files.take_for_sync() {
            if file.sync_data().is_err() {
                files.sync_failed(&file);
                process.is_doubtful = true;
            }
        }
        if !process.is_doubtful && !process.may_keep_fragments {
            let instance = process.audit.instance().to_owned();
            let mut books = BTreeMap::new();
            self.read_files(&mut books);
            self.durable.extend(books.get(&instance).map(Book::ns).unwrap_or_default());
        }
    }

    /// Applies the retention rules, mostly after a sync, because files that wait for one are
    /// locked.
    pub(super) fn apply_retention(&mut self) {
        // Often days pass first, so that files are old.
        if self.rng.bool() {
            self.now += DAY * self.rng.i64(1..6);
            self.clock.set(self.now);
        }
        if self.rng.u32(..4) > 0 {
            self.sync();
        }
        let known = self.written();
        let course = Course::any(&mut self.rng);
        let process = self.process.as_ref().unwrap();
        let settings = &process.writer.shared.settings;
        let retention = Retention {
            fs: Arc::new(self.fs.clone()),
            dir: PathBuf::from("logs"),
            retention_days: settings.retention_days,
            max_total_bytes: settings.max_total_bytes,
            waits: settings.retention_waits,
            compress: settings.compress == Compress::Zstd,
            warns: false,
        };
        self.destinations.step(&self.fs, &mut self.rng);
        let destinations = &self.destinations;
        let today = utc_date_of_micros(self.now);
        let rules = Rules { retention: &retention, today, destinations };
        let is_well = self.is_well() && self.can_retire();
        let before = Folder::of(&self.fs);
        let (removed, told) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let retire = |remove: &mut dyn FnMut() -> io::Result<Retired>| {
            if course.refuses {
                return Ok(false);
            }
            let folder = Folder::of(&self.fs);
            let retired = remove()?;
            let gone = folder.gone(&self.fs, &retired, process.audit.instance(), destinations);
            folder.assert_none_older(&gone, self.may_keep_fragments);
            rules.assert_past(&gone, &folder);
            removed.borrow_mut().push(gone);
            told.borrow_mut().push(retired);
            Ok(true)
        };
        self.fs.state().changes_left = course.killed_after;
        let is_done = retention.apply_rules(rules.today, &|| course.may_continue(), &retire);
        assert!(is_done || course.is_broken_off());
        let (removed, told) = (removed.into_inner(), told.into_inner());
        let after = Folder::of(&self.fs);
        rules.assert_nothing_lost(&before, &after, &removed);
        if is_well && course.is_whole() {
            rules.assert_done(&before, &after, &removed);
        }
        removed.iter().for_each(|removed| self.forget(&removed.file.books));
        self.removed.extend(removed);
        self.process.as_mut().unwrap().retired.extend(told);
        if course.killed_after.is_some() {
            self.kill(&known);
        }
    }

    /// Returns whether a file can be compressed and removed if writes succeed.
    fn can_retire(&self) -> bool {
        let state = self.fs.state();
        !state.remove_fails && !state.sync_fails
    }

    /// Checks that the log reports removed files correctly, and each one once. If an instance
    /// closed, it has reported all files that it removed.
    pub(super) fn assert_reported(&self, books: &BTreeMap<String, Book>) {
        for (instance, book) in books {
            let removed = self.removed.iter().filter(|removed| removed.by == *instance);
            let mut unreported: Vec<&Value> = removed.map(|removed| &removed.data).collect();
            for data in book.retired.iter().cloned().map(in_order) {
                let at = unreported.iter().position(|unreported| **unreported == data);
                assert!(at.is_some() || self.may_keep_fragments, "no such removal: {data}");
                at.map(|at| unreported.swap_remove(at));
            }
            let has_closed = self.closed.contains_key(instance);
            assert!(
                !has_closed || unreported.is_empty(),
                "{instance} does not report {unreported:?}"
            );
        }
    }

    /// Checks that a file reported as removed does not come back after a power cut. The folder must
    /// have been synced before the report.
    pub(super) fn assert_removed_for_good(&self, books: &BTreeMap<String, Book>, dir_syncs: usize) {
        for removed in &self.removed {
            let told = books.get(&removed.by).into_iter().flat_map(|book| &book.retired);
            let is_told = told.cloned().map(in_order).any(|data| data == removed.data);
            assert!(
                !is_told || dir_syncs > removed.dir_syncs,
                "reported too early: {}",
                removed.data
            );
        }
    }
}

/// Returns the plain text of a file. Returns `None` if no reader reads it: an unfinished copy, or
/// the shorter one of a file and its copy.
pub(super) fn text(fs: &MemFs, path: &str) -> Option<Vec<u8>> {
    if path.ends_with(".tmp") {
        return None;
    }
    let text = plain(fs, path);
    let (plain_path, zst_path) = both(path);
    let twin = if path == plain_path { &zst_path } else { &plain_path };
    if fs.names().contains(twin) {
        let twin = plain(fs, twin);
        if twin.len() > text.len() || twin.len() == text.len() && path == zst_path {
            return None;
        }
    }
    Some(text)
}

fn plain(fs: &MemFs, path: &str) -> Vec<u8> {
    let bytes = fs.bytes(path);
    if !path.ends_with(".zst") {
        return bytes;
    }
    let mut plain = Vec::new();
    zst::reader(&*bytes).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

/// Returns the plain and the compressed path of a file, given either.
fn both(path: &str) -> (String, String) {
    let plain = path.strip_suffix(".zst").unwrap_or(path);
    (plain.to_owned(), format!("{plain}.zst"))
}

pub(super) fn whole_lines(text: &[u8]) -> &[u8] {
    &text[..text.len() - book::split(text).1.len()]
}

/// Returns the lines of a text that another does not have.
fn without(text: &[u8], other: &[u8]) -> Vec<u8> {
    let other: BTreeSet<&[u8]> = book::split(other).0.collect();
    let lines = book::split(text).0.filter(|line| !other.contains(line));
    lines.flat_map(|line| [line, b"\n"].concat()).collect()
}

/// Returns the `data` of an `audit.retired` line with its instances in order.
fn in_order(mut data: Value) -> Value {
    let instances = data["instances"].as_array_mut().expect("every file can be read");
    instances.sort_by_key(|seqs| seqs["instance"].as_str().unwrap().to_owned());
    data
}

/// Returns the files of the log, oldest first.
fn log<'f>(files: impl Iterator<Item = &'f File>) -> Vec<(&'f FileName, &'f File)> {
    let mut log: Vec<_> = files.filter_map(|file| Some((file.name.as_ref()?, file))).collect();
    log.sort_by_key(|(name, _)| *name);
    log
}

/// All files at one moment, by path.
pub(super) struct Folder(BTreeMap<String, File>);

#[derive(Clone)]
pub(super) struct File {
    /// `None` if the file is an unfinished copy, or does not belong to the log.
    name: Option<FileName>,
    bytes: Vec<u8>,
    is_locked: bool,
    pub(super) text: Vec<u8>,
    books: BTreeMap<String, Book>,
}

impl Folder {
    pub(super) fn of(fs: &MemFs) -> Self {
        let file = |path: String| {
            let name = FileName::parse(&path["logs/".len()..]);
            let text = name.as_ref().map(|_| plain(fs, &path)).unwrap_or_default();
            let mut books = BTreeMap::new();
            book::read(&mut books, book::split(&text).0);
            let (bytes, is_locked) = (fs.bytes(&path), fs.is_locked(&path));
            (path, File { name, bytes, is_locked, text, books })
        };
        Self(fs.names().into_iter().map(file).collect())
    }

    /// Returns the files of the log, oldest first.
    pub(super) fn log(&self) -> Vec<(&FileName, &File)> {
        log(self.0.values())
    }

    /// Returns whether a copy contains all lines of a file that no process holds.
    fn is_copied(&self, path: &str) -> bool {
        let (plain_path, zst_path) = both(path);
        let copy = self.0.get(&zst_path).filter(|_| path == plain_path);
        let file = &self.0[path];
        !file.is_locked && copy.is_some_and(|copy| copy.text.starts_with(whole_lines(&file.text)))
    }

    fn log_bytes(&self) -> usize {
        self.log().iter().map(|(_, file)| file.bytes.len()).sum()
    }

    /// Returns the one file that is gone since. Checks it against `retired`, by instance.
    fn gone(
        &self,
        fs: &MemFs,
        retired: &Retired,
        by: &str,
        destinations: &Destinations,
    ) -> Removed {
        let there = fs.names();
        let mut gone = self.0.iter().filter(|(path, _)| !there.contains(path));
        let (path, file) = gone.next().expect("a file that has gone");
        assert_eq!(gone.next().map(|(path, _)| path), None, "one at a time");
        let instances = file.books.iter().filter_map(|(instance, book)| book.as_retired(instance));
        let mut data = json!({
            "file": path["logs/".len()..],
            "bytes": file.bytes.len(),
            "why": retired.why,
            "instances": instances.collect::<Vec<_>>(),
        });
        let lack = destinations.lack(file.name.as_ref().unwrap(), &file.text);
        if !lack.is_empty() {
            data["unshipped"] = lack.into();
        }
        assert_eq!(in_order(serde_json::to_value(retired).unwrap()), data);
        // The process that removes a file has its lock. The folder before shows that no other
        // process had it.
        let mut file = File { is_locked: false, ..file.clone() };
        // If a copy exists beside the plain file, the lines that both have are still there.
        let (plain_path, zst_path) = both(path);
        let twin = self.0.get(if *path == plain_path { &zst_path } else { &plain_path });
        if let Some(twin) = twin {
            file.text = without(&file.text, &twin.text);
        }
        Removed { by: by.to_owned(), data, file, dir_syncs: fs.state().dir_syncs }
    }

    /// Checks that no older file has lines of the same instances. Only the beginning of an instance
    /// may be missing.
    fn assert_none_older(&self, gone: &Removed, may_keep_fragments: bool) {
        let key = |name: &FileName| (name.day, name.number);
        // A file and its copy count as one.
        let others = self.log().into_iter().filter(|(name, _)| key(name) != key(gone.name()));
        for (name, file) in others {
            for (instance, book) in &file.books {
                let Some(lost) = gone.file.books.get(instance) else { continue };
                assert!(name > gone.name(), "{} goes, {name:?} stays", gone.data);
                let ends = lost.numbers().last().copied().zip(book.numbers().first().copied());
                let is_before = ends.is_none_or(|(last, first)| last < first);
                assert!(is_before || may_keep_fragments, "{} goes, {name:?} stays", gone.data);
            }
        }
    }
}

/// The retention rules, and the day on which they apply.
struct Rules<'t> {
    retention: &'t Retention,
    today: Date,
    destinations: &'t Destinations,
}

impl Rules<'_> {
    fn is_old(&self, name: &FileName) -> bool {
        let days = (self.today - name.day).get_days();
        self.retention.retention_days.is_some_and(|limit| i64::from(days) > i64::from(limit))
    }

    /// Returns whether an old file stays until a destination has it.
    fn waits_for(&self, name: &FileName, file: &File) -> bool {
        self.retention.waits && !self.destinations.have(name, &file.text)
    }

    /// Checks that a removed file was past its limit.
    fn assert_past(&self, gone: &Removed, folder: &Folder) {
        match gone.why() {
            BY_DAYS => {
                assert!(self.is_old(gone.name()), "{}", gone.data);
                let file = &folder.0[&format!("logs/{}", gone.name())];
                assert!(!self.waits_for(gone.name(), file), "{}", gone.data);
            }
            BY_BYTES => {
                let limit = self.retention.max_total_bytes.unwrap();
                assert!(folder.log_bytes() as u64 > limit, "{}", gone.data);
            }
            other => panic!("{other}"),
        }
    }

    /// Checks that a file that a process holds is unchanged. Any other file that is not removed
    /// exists as it was or compressed.
    fn assert_nothing_lost(&self, before: &Folder, after: &Folder, removed: &[Removed]) {
        let removed: BTreeMap<String, &Removed> = removed
            .iter()
            .map(|removed| (format!("logs/{}", removed.data["file"].as_str().unwrap()), removed))
            .collect();
        for (path, was) in &before.0 {
            let is = after.0.get(path);
            let is_same = is.is_some_and(|is| is.bytes == was.bytes);
            let (_, zst_path) = both(path);
            let is_removed = removed.contains_key(path);
            if was.is_locked {
                assert!(is_same, "{path} is held");
                let is_alone = before.0.contains_key(&zst_path) == after.0.contains_key(&zst_path);
                assert!(is_alone, "{path} is held and compressed");
            } else if was.name.is_some() && !is_same && !is_removed {
                let may_go = self.retention.compress || before.is_copied(path);
                assert!(may_go && is.is_none(), "{path} has changed");
                let copy = after.0.get(&zst_path).map(|copy| &copy.text);
                let copy = copy.or_else(|| Some(&removed.get(&zst_path)?.file.text));
                let copy = copy.unwrap_or_else(|| panic!("{path} has gone"));
                assert!(copy.starts_with(whole_lines(&was.text)), "{path} has lost lines");
            } else if was.name.is_none() && !path.ends_with(".tmp") {
                assert!(is_same, "{path} is not the log's");
            }
        }
        for (path, new) in after.0.iter().filter(|(path, _)| !before.0.contains_key(*path)) {
            assert!(self.retention.compress, "{path} is new");
            if new.name.is_some() {
                let (plain_path, _) = both(path);
                let is_same = whole_lines(&before.0[&plain_path].text) == new.text;
                assert!(path.ends_with(".zst") && is_same, "{path} is not a copy");
            }
        }
    }

    /// Checks a run without faults. Everything past a limit is gone, except held files and later
    /// ones of their instances. All other files are compressed.
    fn assert_done(&self, before: &Folder, after: &Folder, removed: &[Removed]) {
        assert!(after.0.keys().all(|path| !path.ends_with(".tmp")), "a copy is left unfinished");
        for (path, was) in before.0.iter().filter(|(path, _)| !path.ends_with(".zst")) {
            let Some(name) = &was.name else { continue };
            let is_free = !was.is_locked && !was.bytes.is_empty() && !self.is_old(name);
            let has_twin = before.0.contains_key(&both(path).1);
            let is_due = self.retention.compress && is_free && !has_twin;
            assert!(!is_due || !after.0.contains_key(path), "{path} is not compressed");
        }
        let mut kept = BTreeSet::new();
        let mut goes = |file: &File| {
            let stays = file.is_locked || file.books.keys().any(|instance| kept.contains(instance));
            if stays {
                kept.extend(file.books.keys().cloned());
            }
            !stays
        };
        let mut due = Vec::new();
        let copied = before.0.keys().filter(|path| before.is_copied(path));
        let copied: Vec<_> = copied.map(|path| before.0[path].name.as_ref()).collect();
        assert!(after.log().iter().all(|(name, _)| !copied.contains(&Some(name))), "{copied:?}");
        let mut waits = false;
        for (name, file) in before.log() {
            // If its copy exists, the copy is removed instead.
            let is_old = self.is_old(name) && !copied.contains(&Some(name));
            waits |= is_old && self.waits_for(name, file);
            if is_old && !waits && goes(file) {
                due.push((name, BY_DAYS));
            }
        }
        if let Some(limit) = self.retention.max_total_bytes {
            // These are the files before the pass that removes by bytes.
            let by_bytes = removed.iter().filter(|gone| gone.why() == BY_BYTES);
            let files = log(by_bytes.map(|gone| &gone.file).chain(after.0.values()));
            let mut total: usize = files.iter().map(|(_, file)| file.bytes.len()).sum();
            for (name, file) in files {
                if total as u64 > limit && goes(file) {
                    total -= file.bytes.len();
                    due.push((name, BY_BYTES));
                }
            }
        }
        let gone: Vec<_> = removed.iter().map(|gone| (gone.name(), gone.why())).collect();
        assert_eq!(gone, due);
    }
}
