//! What becomes of files that are no longer written to: compressed, and in the end removed. Only
//! those whose lock can be had, so never one that any process writes to.

use std::cell::RefCell;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::Date;

use super::fs::{FileHandle, Fs};
use super::rotate::whole_lines_len;
use llm_audit_log::schema::Prefix;
use llm_audit_log::schema::notices::{NoticeType, ReadNotice, Retired, Seqs};
use llm_audit_log::zst;
use llm_audit_log::{Ending, read_line};
use llm_audit_log::{FileName, compressed_path, with_suffix};

/// Between two pieces of so many bytes it is asked whether to go on.
const PIECE_BYTES: usize = 1 << 20;
/// Behind the name of a compressed file that is being written.
const UNFINISHED: &str = ".tmp";

/// The rules by which a folder is tidied.
pub(super) struct Tidy {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    /// Files of days further back are removed.
    pub(super) retention_days: Option<u32>,
    /// The oldest files are removed until all together have no more bytes.
    pub(super) max_total_bytes: Option<u64>,
    pub(super) compress: bool,
}

/// Runs what removes a file, and tells of it; `false` where it is not to be removed now.
pub(super) type Retire<'a> =
    dyn Fn(&mut dyn FnMut() -> io::Result<Retired>) -> io::Result<bool> + 'a;

/// A file of the log in the folder.
struct Listed {
    name: FileName,
    path: PathBuf,
    bytes: u64,
}

impl Tidy {
    /// Whether there is anything to do by these rules.
    pub(super) fn is_needed(&self) -> bool {
        self.retention_days.is_some() || self.max_total_bytes.is_some() || self.compress
    }

    /// Goes through the folder once, on this day. Each file is removed by `retire`. `false`: broken
    /// off, because `goes_on` said so.
    ///
    /// What cannot be read, locked, written or removed now stays as it is for another time.
    pub(super) fn run(&self, today: Date, goes_on: &dyn Fn() -> bool, retire: &Retire<'_>) -> bool {
        let job = Job { tidy: self, goes_on, retire, kept: RefCell::default() };
        // A folder that cannot be listed has nothing to tidy.
        job.run(today).unwrap_or(true) && goes_on()
    }

    /// The files of the log, oldest first, and what compressing left unfinished.
    fn list(&self) -> io::Result<(Vec<Listed>, Vec<PathBuf>)> {
        let (mut files, mut unfinished) = (Vec::new(), Vec::new());
        for (name, bytes) in self.fs.list(&self.dir)? {
            let path = self.dir.join(&name);
            if let Some(name) = FileName::parse(&name) {
                files.push(Listed { name, path, bytes });
            } else if name.strip_suffix(UNFINISHED).and_then(FileName::parse).is_some() {
                unfinished.push(path);
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((files, unfinished))
    }

    /// A file with its lock; `None` where somebody else has it, or it has gone.
    fn claim(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let Some(file) = self.fs.open_existing(path)? else { return Ok(None) };
        Ok((file.try_lock()? && file.is_at(path)).then_some(file))
    }
}

/// One walk through the folder.
struct Job<'a> {
    tidy: &'a Tidy,
    goes_on: &'a dyn Fn() -> bool,
    retire: &'a Retire<'a>,
    kept: RefCell<Kept>,
}

/// What is in files that were to be removed and stay. No later file of the same instance goes
/// before: what is missing of an instance is its beginning.
#[derive(Default)]
struct Kept {
    instances: Vec<Seqs>,
    /// One of them cannot be read, so that it may be any instance's.
    is_unread: bool,
}

impl Kept {
    /// Whether a file with these goes before one that stays; `None`: it cannot be read.
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

impl Job<'_> {
    fn run(&self, today: Date) -> io::Result<bool> {
        let (files, unfinished) = self.tidy.list()?;
        for path in unfinished {
            let _kept = self.remove(&path);
        }
        // A file and its copy, where the process was killed before the file could go: else both would be
        // told of as removed, with the same numbers.
        for pair in files.windows(2) {
            let [copy, file] = pair else { continue };
            if copy.path == compressed_path(&file.path) {
                let _kept = self.remove_copied(&file.path, &copy.path);
            }
        }
        let oldest = self.tidy.retention_days.and_then(|days| oldest_day(today, days));
        for file in &files {
            if !(self.goes_on)() {
                return Ok(false);
            }
            let is_old = oldest.is_some_and(|oldest| file.name.day < oldest);
            // What fails with one file says nothing of the others.
            let _kept = match is_old {
                true => self.retire(file, "AUDIT_RETENTION_DAYS").map(drop),
                false => self.compress(file),
            };
        }
        match self.tidy.max_total_bytes {
            Some(bytes) => self.retire_past(bytes),
            None => Ok(true),
        }
    }

    /// Removes the oldest files until the others have no more than so many bytes.
    fn retire_past(&self, bytes: u64) -> io::Result<bool> {
        let (files, _) = self.tidy.list()?;
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if total <= bytes {
                break;
            }
            if !(self.goes_on)() {
                return Ok(false);
            }
            if self.retire(&file, "AUDIT_MAX_TOTAL_BYTES").unwrap_or(false) {
                total -= file.bytes;
            }
        }
        Ok(true)
    }

    /// Removes a file that nobody holds, and tells what was in it. `false`: it stays.
    fn retire(&self, file: &Listed, why: &'static str) -> io::Result<bool> {
        let held = match self.tidy.claim(&file.path) {
            Ok(Some(held)) => held,
            Ok(None) | Err(_) => {
                self.keep(file);
                return Ok(false);
            }
        };
        // What cannot be read is as old as what can, and goes too.
        let instances = self.instances(&*held, file.name.is_compressed).ok();
        if instances.is_none() && !(self.goes_on)() {
            return Ok(false);
        }
        if self.kept.borrow().holds_back(instances.as_deref()) {
            self.kept.borrow_mut().add(instances);
            return Ok(false);
        }
        let retired =
            Retired { file: name_of(&file.path), bytes: file.bytes, why: why.into(), instances };
        let told = retired.numbered();
        let is_removed = (self.retire)(&mut || {
            self.tidy.fs.remove(&file.path)?;
            Ok(told.clone())
        });
        if !matches!(is_removed, Ok(true)) {
            self.kept.borrow_mut().add(retired.instances);
        }
        let is_removed = is_removed?;
        let _kept = self.tidy.fs.sync_dir(&self.tidy.dir);
        Ok(is_removed)
    }

    /// Takes note of what is in a file that stays because somebody holds it.
    fn keep(&self, file: &Listed) {
        let open = |path: &Path| self.tidy.fs.open_existing(path);
        let (held, is_compressed) = match open(&file.path) {
            // Another process may have compressed it since it was listed.
            Ok(None) if !file.name.is_compressed => (open(&compressed_path(&file.path)), true),
            held => (held, file.name.is_compressed),
        };
        let instances = match held {
            // Gone, or of a user whose instances are others.
            Ok(None) => return,
            Ok(Some(held)) => self.instances(&*held, is_compressed).ok(),
            Err(_) => None,
        };
        self.kept.borrow_mut().add(instances);
    }

    /// The numbers that the lines of a file hold or tell of, by instance.
    fn instances(&self, file: &dyn FileHandle, is_compressed: bool) -> io::Result<Vec<Seqs>> {
        let input = self.pieces(file)?;
        let input: Box<dyn Read> = match is_compressed {
            true => Box::new(zst::reader(input)?),
            false => Box::new(input),
        };
        let mut input = BufReader::with_capacity(PIECE_BYTES, input);
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while let Some(ending) = read_line(&mut input, &mut line)? {
            // A torn one of a killed process is none, and its number may be torn, too.
            if ending != Ending::Torn {
                add_line(&mut found, &mut line);
            }
        }
        Ok(found)
    }

    /// Puts a compressed file in the place of a plain one that nobody holds.
    ///
    /// The original goes last, and only where the compressed file, read back from under its final
    /// name, holds all its whole lines: a power cut at any point leaves one of the two whole. With both
    /// there, readers take the longer.
    fn compress(&self, file: &Listed) -> io::Result<()> {
        let Tidy { fs, compress, .. } = self.tidy;
        if !compress || file.name.is_compressed || file.bytes == 0 {
            return Ok(());
        }
        let target = compressed_path(&file.path);
        if fs.exists(&target)? {
            return Ok(());
        }
        let Some(original) = self.tidy.claim(&file.path)? else { return Ok(()) };
        let unfinished = with_suffix(&target, UNFINISHED);
        let _held = self.write_compressed(&*original, &unfinished).inspect_err(|_| {
            let _kept = self.remove(&unfinished);
        })?;
        fs.rename(&unfinished, &target)?;
        drop(original);
        self.remove_copied(&file.path, &target)
    }

    /// Removes a plain file that nobody holds, if its copy has all its whole lines.
    fn remove_copied(&self, path: &Path, copy: &Path) -> io::Result<()> {
        let Tidy { fs, dir, .. } = self.tidy;
        let Some(original) = self.tidy.claim(path)? else { return Ok(()) };
        let Some(copy) = fs.open_existing(copy)? else { return Ok(()) };
        if begins_with(zst::reader(self.pieces(&*copy)?)?, self.lines(&*original)?)? {
            // The name of the copy first, also where a killed process gave it.
            fs.sync_dir(dir)?;
            fs.remove(path)?;
            fs.sync_dir(dir)?;
        }
        Ok(())
    }

    /// Writes what `original` holds, compressed and durable, under another name. Returns it with its
    /// lock, so that nobody takes it for a leftover.
    fn write_compressed(
        &self,
        original: &dyn FileHandle,
        to: &Path,
    ) -> io::Result<Arc<dyn FileHandle>> {
        let stat = original.stat()?;
        let copy = self.tidy.fs.open_log(to, stat.mode)?.ok_or(ErrorKind::AlreadyExists)?;
        if !copy.try_lock()? || !copy.is_at(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        copy.truncate(0)?;
        let mut lines = self.lines(original)?;
        let bytes = lines.len;
        zst::compress(&mut lines, bytes, &mut Appended(&*copy))?;
        copy.sync_data()?;
        Ok(copy)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.tidy.claim(path)? {
            Some(_held) => self.tidy.fs.remove(path),
            None => Ok(()),
        }
    }

    /// Its whole lines: a torn one of a killed process is none.
    fn lines<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<Pieces<'f>> {
        let pieces = self.pieces(file)?;
        Ok(Pieces { len: whole_lines_len(file, pieces.len)?, ..pieces })
    }

    fn pieces<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<Pieces<'f>> {
        Ok(Pieces { file, at: 0, len: file.stat()?.len, asked_at: 0, goes_on: self.goes_on })
    }
}

/// The first day whose files stay.
fn oldest_day(today: Date, days: u32) -> Option<Date> {
    let back = Span::new().try_days(days).ok()?;
    today.checked_sub(back).ok()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Adds what a line says of its instance's numbers; one of the log's own may say nothing but that
/// the instance was here. A line of another program has no instance.
fn add_line(found: &mut Vec<Seqs>, line: &mut [u8]) {
    if let Some(Prefix { instance, seq, .. }) = Prefix::of(line) {
        let seqs = seqs_of(found, instance);
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
        seqs_of(found, instance).lose(loss);
    }
}

fn seqs_of<'f>(found: &'f mut Vec<Seqs>, instance: &str) -> &'f mut Seqs {
    // Nearly always that of the line before.
    let at = found.iter().rposition(|seqs| seqs.instance == instance).unwrap_or_else(|| {
        found.push(Seqs::of(instance));
        found.len() - 1
    });
    &mut found[at]
}

/// Whether what is read from one begins with all that is read from the other.
fn begins_with(whole: impl Read, start: impl Read) -> io::Result<bool> {
    let (mut whole, mut start) = (BufReader::with_capacity(PIECE_BYTES, whole), start);
    let (mut there, mut here) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = match start.read(&mut here)? {
            0 => return Ok(true),
            read => read,
        };
        match whole.read_exact(&mut there[..read]) {
            Ok(()) if there[..read] == here[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// A file from its beginning to the end that it has now. Fails once it is not to go on.
struct Pieces<'f> {
    file: &'f dyn FileHandle,
    at: u64,
    len: u64,
    /// Where it was last asked whether to go on.
    asked_at: u64,
    goes_on: &'f dyn Fn() -> bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.at - self.asked_at >= PIECE_BYTES as u64 {
            self.asked_at = self.at;
            if !(self.goes_on)() {
                return Err(io::Error::other("broken off"));
            }
        }
        let bytes = (self.len - self.at).min(piece.len() as u64) as usize;
        self.file.read_at(self.at, &mut piece[..bytes])?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

/// What is written goes to the end of a file.
struct Appended<'f>(&'f dyn FileHandle);

impl Write for Appended<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
