//! Removes old log files, and reads from them which numbers go with them.

use std::io::{self, BufReader, Read};
use std::path::Path;

use jiff::civil::Date;

use super::shipped::UnshippedEvents;
use super::{ListedFile, PIECE_BYTES, RetentionPass};
use crate::writer::fs::FileHandle;
use llm_audit_log::schema::Prefix;
use llm_audit_log::schema::notices::{NoticeType, ReadNotice, Retired, Seqs};
use llm_audit_log::{Ending, compressed_path, read_line, zst};

/// The instances in files that should be removed but stay. Later files of these instances stay too,
/// so that only the beginning of an instance can be missing.
#[derive(Default)]
pub(super) struct KeptInstances {
    instances: Vec<Seqs>,
    /// Whether one of the files cannot be read. It may contain any instance.
    is_unread: bool,
}

impl KeptInstances {
    /// Returns whether a file must stay because an earlier one of its instances stays. `None` means
    /// that the file cannot be read.
    fn holds_back(&self, instances: Option<&[Seqs]>) -> bool {
        let stays = |seqs: &Seqs| self.instances.iter().any(|kept| kept.instance == seqs.instance);
        self.is_unread
            || instances.map_or(!self.instances.is_empty(), |found| found.iter().any(stays))
    }

    fn add(&mut self, instances: Option<Vec<Seqs>>) {
        self.is_unread |= instances.is_none();
        self.instances.extend(instances.into_iter().flatten());
    }
}

impl RetentionPass<'_> {
    /// Removes the oldest files until the others have at most this many bytes. Refused lines go first.
    pub(super) fn retire_oldest_files(&self, bytes: u64, today: Date) -> io::Result<bool> {
        let (files, _) = self.rules.list_log_and_copies()?;
        let of_log: u64 = files.iter().map(|file| file.bytes).sum();
        let mut total = of_log + self.retire_refused_lines(bytes.saturating_sub(of_log), today);
        for file in files {
            if total <= bytes {
                break;
            }
            if !(self.may_continue)() {
                return Ok(false);
            }
            if self.retire_file(&file, "AUDIT_MAX_TOTAL_BYTES").unwrap_or(false) {
                total -= file.bytes;
            }
        }
        Ok(true)
    }

    /// Removes a file that no process holds, and reports its numbers. Returns `false` if it stays.
    pub(super) fn retire_file(&self, file: &ListedFile, why: &'static str) -> io::Result<bool> {
        let held = match self.rules.open_and_lock(&file.path) {
            Ok(Some(held)) => held,
            Ok(None) | Err(_) => {
                self.keep_file_instances(file);
                return Ok(false);
            }
        };
        // A file that cannot be read is as old as any other, and is removed too.
        // Read again, because compressing the files before this one may have taken long.
        let destinations = self.rules.read_destinations();
        let mut unshipped = UnshippedEvents::of(&destinations, file);
        let instances =
            self.read_file_instances(&*held, file.name.is_compressed, &mut unshipped).ok();
        if instances.is_none() && !(self.may_continue)() {
            return Ok(false);
        }
        if self.kept.borrow().holds_back(instances.as_deref()) {
            self.kept.borrow_mut().add(instances);
            return Ok(false);
        }
        let retired = Retired {
            file: file_name_of_path(&file.path),
            bytes: file.bytes,
            why: why.into(),
            unshipped: unshipped.by_name(instances.is_some()),
            instances,
        };
        let told = retired.numbered();
        let is_removed = (self.retire)(&mut || {
            self.rules.fs.remove(&file.path)?;
            self.remove_index(&file.path);
            Ok(told.clone())
        });
        if !matches!(is_removed, Ok(true)) {
            self.kept.borrow_mut().add(retired.instances);
        }
        let is_removed = is_removed?;
        let _kept = self.rules.fs.sync_dir(&self.rules.dir);
        Ok(is_removed)
    }

    /// Records the instances of a file that stays because a process holds it.
    fn keep_file_instances(&self, file: &ListedFile) {
        let open = |path: &Path| self.rules.fs.open_existing(path);
        let (held, is_compressed) = match open(&file.path) {
            // Another process may have compressed it after it was listed.
            Ok(None) if !file.name.is_compressed => (open(&compressed_path(&file.path)), true),
            held => (held, file.name.is_compressed),
        };
        let instances = match held {
            // It is gone, or belongs to a user with other instances.
            Ok(None) => return,
            Ok(Some(held)) => {
                let unshipped = &mut UnshippedEvents::default();
                self.read_file_instances(&*held, is_compressed, unshipped).ok()
            }
            Err(_) => None,
        };
        self.kept.borrow_mut().add(instances);
    }

    /// Returns the numbers that the lines of a file have or report as lost, by instance.
    fn read_file_instances(
        &self,
        file: &dyn FileHandle,
        is_compressed: bool,
        unshipped: &mut UnshippedEvents<'_>,
    ) -> io::Result<Vec<Seqs>> {
        let input = self.read_in_pieces(file)?;
        let input: Box<dyn Read> = match is_compressed {
            true => Box::new(zst::reader(input)?),
            false => Box::new(input),
        };
        let mut input = BufReader::with_capacity(PIECE_BYTES, input);
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while let Some(ending) = read_line(&mut input, &mut line)? {
            // A torn line of a killed process does not count, and its number may be torn too.
            if ending != Ending::Torn {
                unshipped.add_line(&line, ending);
                add_seqs_of_line(&mut found, &mut line);
            }
        }
        Ok(found)
    }
}

/// Adds the number of a line, or the losses that it reports. If it is one of the log's own lines,
/// it may only show that the instance was here. A line of another program has no instance.
fn add_seqs_of_line(found: &mut Vec<Seqs>, line: &mut [u8]) {
    if let Some(Prefix { instance, seq, .. }) = Prefix::of(line) {
        let seqs = seqs_of_instance(found, instance);
        if let Some(seq) = seq {
            return seqs.hold(seq);
        }
    }
    if memchr::memmem::find(line, NoticeType::Loss.name().as_bytes()).is_none() {
        return;
    }
    let Ok(line) = llm_audit_log::parse(line) else { return };
    if let (Some(instance), Some(ReadNotice::Loss(Some(loss)))) =
        (line.instance(), ReadNotice::of(&line))
    {
        seqs_of_instance(found, instance).lose(loss);
    }
}

fn seqs_of_instance<'f>(found: &'f mut Vec<Seqs>, instance: &str) -> &'f mut Seqs {
    // Nearly always the instance of the line before.
    let at = found.iter().rposition(|seqs| seqs.instance == instance).unwrap_or_else(|| {
        found.push(Seqs::of(instance));
        found.len() - 1
    });
    &mut found[at]
}

pub(super) fn file_name_of_path(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
