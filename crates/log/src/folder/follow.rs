//! Lines read while they are being written.

use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Read, Take};
use std::path::PathBuf;

use super::input::Input;
use super::lines::{BLOCK_BYTES, Ending, Entry, read_line};
use super::{FileSource, Folder, LogFile, Position};
use crate::error::Error;

/// Lines as they are written, across rotation and by several writers at once.
///
/// The caller polls it; it never waits. A line is returned once its newline is there. Lines of several
/// files come in the order of the files, not of time.
#[derive(Debug)]
pub struct Follow {
    source: FileSource,
    /// How far each file was returned, by its name without `.zst`: compressing adds no lines.
    positions: HashMap<String, Position>,
    /// Those of an earlier time, of files that were not looked at yet.
    unchecked: HashMap<String, Position>,
    pending: VecDeque<LogFile>,
    reading: Option<(LogFile, BufReader<Take<Input>>)>,
    /// Files that do not say how much they hold and were read to their end, with their bytes on the disk.
    read_out: HashMap<String, u64>,
    line: Vec<u8>,
    truncated: Vec<String>,
}

impl Follow {
    /// Follows everything in the folder, from the first line on. The folder may be created later.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::of(FileSource::Folder(dir.into()))
    }

    fn of(source: FileSource) -> Self {
        Self {
            source,
            positions: HashMap::new(),
            unchecked: HashMap::new(),
            pending: VecDeque::new(),
            reading: None,
            read_out: HashMap::new(),
            line: Vec::new(),
            truncated: Vec::new(),
        }
    }

    /// Follows everything that is not yet a whole line in `folder`, or in the files of a list. A file
    /// of a list may go away and come again. One that cannot be read now is followed from its present end.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn after(folder: &Folder) -> Result<Self, Error> {
        let mut follow = Self::of(folder.source.clone());
        for file in folder.files() {
            let position = Position::of_file(file, file.lines_end().unwrap_or(file.bytes()));
            follow.positions.insert(position.file.clone(), position);
            follow.note_end(file);
        }
        Ok(follow)
    }

    /// Follows everything in the folder that is after these positions, which
    /// [`positions`](Self::positions) returned at an earlier time. A file that no longer has the last line
    /// at its place is read from its beginning, and named by [`take_truncated`](Self::take_truncated).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use llm_audit_log::{Follow, Position};
    ///
    /// let kept: Vec<Position> = Vec::new(); // of the last run
    /// let mut follow = Follow::resume("logs", kept);
    /// while let Some(entry) = follow.next_line()? {
    ///     println!("{}", String::from_utf8_lossy(entry.bytes));
    /// }
    /// let to_keep: Vec<Position> = follow.positions().cloned().collect();
    /// # Ok::<(), llm_audit_log::Error>(())
    /// ```
    pub fn resume(dir: impl Into<PathBuf>, positions: impl IntoIterator<Item = Position>) -> Self {
        let unchecked = positions.into_iter().map(|position| (position.file.clone(), position));
        Self { unchecked: unchecked.collect(), ..Self::new(dir) }
    }

    /// How far each file was returned, in no order.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.values().chain(self.unchecked.values())
    }

    /// Returns the next line; `None` if there is nothing new for now.
    ///
    /// # Errors
    ///
    /// The folder or a file cannot be read. The next call continues with the next file. If a compressed file is damaged,
    /// and did not change for an hour, the rest of it counts as returned.
    pub fn next_line(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let mut listed = false;
        let ending = loop {
            if let Some((file, input)) = &mut self.reading {
                match read_line(input, &mut self.line) {
                    Ok(Some(ending @ (Ending::Newline | Ending::TooLong(_)))) => break ending,
                    Ok(Some(Ending::Torn) | None) => {
                        let ended = self.reading.take();
                        ended.iter().for_each(|(file, _)| self.note_end(file));
                    }
                    Err(source) => {
                        let error = file.read_error(source);
                        let failed = self.reading.take();
                        failed.iter().for_each(|(file, _)| self.pass_if_damaged(file, &error));
                        return Err(error);
                    }
                }
            } else if let Some(file) = self.pending.pop_front() {
                let begun = self.begin_file(&file);
                begun.inspect_err(|error| self.pass_if_damaged(&file, error))?;
            } else if listed {
                return Ok(None);
            } else {
                self.list_folder()?;
                listed = true;
            }
        };
        let Some((file, _)) = &self.reading else { return Ok(None) };
        let position = self.positions.entry(file.plain_name().to_owned());
        let position = position.or_insert_with(|| Position::of_file(file, 0));
        let offset = position.pass_line(&self.line, ending);
        let may_repeat = position.may_repeat;
        let (file, bytes) = (file.name(), &mut self.line);
        Ok(Some(Entry { file, number: 0, offset, ending, may_repeat, bytes }))
    }

    /// Returns the files that were cut below what had been returned, since the last call. They are
    /// read again from the beginning.
    pub fn take_truncated(&mut self) -> Vec<String> {
        std::mem::take(&mut self.truncated)
    }

    fn list_folder(&mut self) -> Result<(), Error> {
        if matches!(&self.source, FileSource::Folder(dir) if !dir.exists()) {
            // It may come back with the same files, or with others.
            self.unchecked.extend(self.positions.drain());
            return Ok(());
        }
        self.pending.extend(Folder::reopen_existing(&self.source)?.files);
        let pending = &self.pending;
        let is_there = |name: &str| pending.iter().any(|file| file.plain_name() == name);
        self.positions.retain(|name, _| is_there(name));
        self.read_out.retain(|name, _| is_there(name));
        self.unchecked.retain(|name, _| is_there(name));
        Ok(())
    }

    /// Opens `file` at the first byte that was not returned, if it has grown.
    fn begin_file(&mut self, file: &LogFile) -> Result<(), Error> {
        let name = file.plain_name();
        let unchecked = self.unchecked.get(name);
        let position = match unchecked.or_else(|| self.positions.get(name)) {
            None => Position::of_file(file, 0),
            // If that cannot be said now, the position stays as it is.
            Some(position) if self.is_cut(file, position, unchecked.is_some())? => {
                self.truncated.push(file.name().to_owned());
                Position::again_from_start(file)
            }
            Some(position) => position.clone(),
        };
        let offset = position.offset;
        self.unchecked.remove(name);
        self.positions.insert(name.to_owned(), position);
        if self.has_news(file, offset) {
            // What is appended while it is read may replace half a line that was read already.
            let rest = file.bytes_when_listed().saturating_sub(offset);
            let input = file.read_from(offset)?.take(rest);
            self.reading = Some((file.clone(), BufReader::with_capacity(BLOCK_BYTES, input)));
        }
        Ok(())
    }

    /// Passes the rest of a file that is damaged for good. Otherwise each list of the folder would fail there, and
    /// retention would wait for it for ever.
    fn pass_if_damaged(&mut self, file: &LogFile, error: &Error) {
        let Some(bytes) = file.content_bytes().filter(|_| file.is_damaged_for_good(error)) else {
            return;
        };
        self.unchecked.remove(file.plain_name());
        self.positions.insert(file.plain_name().to_owned(), Position::of_file(file, bytes));
    }

    /// Whether a file was cut below a position, or replaced. It may have been cut, and have grown since.
    fn is_cut(&self, file: &LogFile, position: &Position, is_new: bool) -> Result<bool, Error> {
        let is_short = file.bytes() < position.offset && !file.is_compressed();
        let is_open = is_new || self.has_news(file, position.offset);
        Ok(is_short || is_open && !position.fits(file)?)
    }

    /// Whether a file has more than its first `offset` bytes, or may have.
    fn has_news(&self, file: &LogFile, offset: u64) -> bool {
        match file.content_bytes() {
            Some(bytes) => bytes > offset,
            None => self.read_out.get(file.plain_name()) != Some(&file.stored_bytes()),
        }
    }

    /// Takes note of the end of a file that does not say how much it holds.
    fn note_end(&mut self, file: &LogFile) {
        if file.content_bytes().is_none() {
            self.read_out.insert(file.plain_name().to_owned(), file.stored_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn append(dir: &Path, name: &str, text: &str) {
        let mut file = File::options().create(true).append(true).open(dir.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn news(follow: &mut Follow) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(entry) = follow.next_line().unwrap() {
            found.push(String::from_utf8_lossy(entry.bytes).into_owned());
        }
        found
    }

    #[test]
    fn follows_growth_rotation_and_two_writers() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = ("audit-2026-01-02.jsonl", "audit-2026-01-02.1.jsonl");
        append(dir.path(), first, "old\nhal");
        let mut follow = Follow::after(&Folder::open(dir.path()).unwrap()).unwrap();
        assert!(news(&mut follow).is_empty(), "half a line is no news");
        append(dir.path(), first, "f\n");
        append(dir.path(), second, "b\n");
        assert_eq!(news(&mut follow), ["half", "b"]);
        append(dir.path(), first, "c\n");
        append(dir.path(), "audit-2026-01-03.jsonl", "d\ne\n");
        assert_eq!(news(&mut follow), ["c", "d", "e"]);
        assert!(news(&mut follow).is_empty() && follow.take_truncated().is_empty());
        File::create(dir.path().join(second)).unwrap();
        append(dir.path(), first, "f\n");
        assert_eq!(news(&mut follow), ["f"]);
        assert_eq!(follow.take_truncated(), [second]);
        append(dir.path(), second, "g\n");
        assert_eq!(news(&mut follow), ["g"]);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn compressing_a_file_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let name = "audit-2026-01-02.jsonl";
        let compress = || {
            let (text, mut out) = (fs::read(at(name)).unwrap(), Vec::new());
            crate::zst::compress(&mut &text[..], text.len() as u64, &mut out).unwrap();
            fs::write(at(&format!("{name}.zst")), out).unwrap();
        };
        append(dir.path(), name, "a\nb\n");
        let mut follow = Follow::new(dir.path());
        assert_eq!(news(&mut follow), ["a", "b"]);
        append(dir.path(), name, "c\n");
        compress();
        assert_eq!(news(&mut follow), ["c"], "both are there");
        fs::remove_file(at(name)).unwrap();
        assert!(news(&mut follow).is_empty() && follow.take_truncated().is_empty());
        let mut again = Follow::resume(dir.path(), follow.positions().cloned());
        assert!(news(&mut again).is_empty() && again.take_truncated().is_empty());
        // What was not yet read before is read after.
        fs::remove_file(at(&format!("{name}.zst"))).unwrap();
        append(dir.path(), name, "a\nb\nc\nd\n");
        compress();
        fs::remove_file(at(name)).unwrap();
        assert_eq!(news(&mut follow), ["d"]);
        let mut after = Follow::after(&Folder::open(dir.path()).unwrap()).unwrap();
        assert!(news(&mut after).is_empty());
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_damaged_file_is_passed_once_it_no_longer_changes() {
        use std::time::{Duration, SystemTime};

        let dir = tempfile::tempdir().unwrap();
        let (name, other) = ("audit-2026-01-02.jsonl", "audit-2026-01-03.jsonl");
        let text = "a line of many that are alike\n".repeat(1_000);
        let mut packed = Vec::new();
        crate::zst::compress(&mut text.as_bytes(), text.len() as u64, &mut packed).unwrap();
        packed.truncate(packed.len() / 2);
        let path = dir.path().join(format!("{name}.zst"));
        fs::write(&path, packed).unwrap();
        append(dir.path(), other, "b\n");
        let mut follow = Follow::new(dir.path());
        let error = follow.next_line().map(|_| ()).unwrap_err().to_string();
        assert_eq!(news_or_error(&mut follow), (vec!["b".to_owned()], Some(error.clone())));
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(2 * 60 * 60)).unwrap();
        assert_eq!(news_or_error(&mut follow), (vec![], Some(error)));
        let mut again = Follow::resume(dir.path(), follow.positions().cloned());
        for follow in [&mut follow, &mut again] {
            assert!(news(follow).is_empty());
            let position = follow.positions().find(|position| position.file == name).unwrap();
            assert_eq!(position.offset, text.len() as u64);
        }
    }

    /// The lines until there is no other one, or an error.
    #[cfg(feature = "zstd")]
    fn news_or_error(follow: &mut Follow) -> (Vec<String>, Option<String>) {
        let mut found = Vec::new();
        loop {
            match follow.next_line() {
                Ok(Some(entry)) => found.push(String::from_utf8_lossy(entry.bytes).into_owned()),
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    /// What `gzip` and `zstd` write of a stream does not say how much it holds.
    #[cfg(all(feature = "gzip", feature = "zstd"))]
    #[test]
    fn the_rest_of_a_file_that_was_compressed_meanwhile_is_read_once() {
        let gzip = |text: &str| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            packer.write_all(text.as_bytes()).unwrap();
            packer.finish().unwrap()
        };
        let zstd = |text: &str| zstd::stream::encode_all(text.as_bytes(), 3).unwrap();
        let name = "audit-2026-01-02.jsonl";
        let lines = |range: std::ops::Range<u32>| -> Vec<String> {
            range.map(|n| format!("line {n} of many that are alike")).collect()
        };
        let text = lines(0..100).join("\n") + "\n";
        for (end, packed) in [("gz", gzip(&text)), ("zst", zstd(&text))] {
            assert!(packed.len() < 50 * 30, "less than what was read of it");
            for restarts in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                append(dir.path(), name, &(lines(0..50).join("\n") + "\n"));
                let mut follow = Follow::new(dir.path());
                assert_eq!(news(&mut follow), lines(0..50));
                fs::write(dir.path().join(format!("{name}.{end}")), &packed).unwrap();
                fs::remove_file(dir.path().join(name)).unwrap();
                let resume = |follow: &Follow| {
                    Follow::resume(dir.path(), follow.positions().cloned().collect::<Vec<_>>())
                };
                if restarts {
                    follow = resume(&follow);
                }
                assert_eq!(news(&mut follow), lines(50..100), "{end} {restarts}");
                assert!(news(&mut follow).is_empty() && news(&mut resume(&follow)).is_empty());
                assert!(follow.take_truncated().is_empty());
                let mut after = Follow::after(&Folder::open(dir.path()).unwrap()).unwrap();
                assert!(news(&mut after).is_empty());
            }
        }
    }

    #[test]
    fn lines_of_a_file_that_was_cut_may_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let name = "audit-2026-01-02.jsonl";
        append(dir.path(), name, "a\nb\n");
        let mut follow = Follow::new(dir.path());
        let may_repeat = |follow: &mut Follow| {
            let mut found = Vec::new();
            while let Some(entry) = follow.next_line().unwrap() {
                found.push(entry.may_repeat);
            }
            found
        };
        assert_eq!(may_repeat(&mut follow), [false; 2]);
        fs::write(dir.path().join(name), "a\n").unwrap();
        assert_eq!(may_repeat(&mut follow), [true]);
        // Also after a restart in the middle of the file.
        let mut again = Follow::resume(dir.path(), follow.positions().cloned());
        append(dir.path(), name, "c\n");
        append(dir.path(), "audit-2026-01-03.jsonl", "d\n");
        assert_eq!(may_repeat(&mut again), [true, false]);
    }

    #[test]
    fn a_position_that_was_kept_is_gone_on_from() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = ("audit-2026-01-02.jsonl", "audit-2026-01-03.jsonl");
        let event =
            "{\"event_version\":\"3.0\",\"instance\":\"00112233445566ff\",\"seq\":7,\"x\":1}";
        append(dir.path(), first, "a\nb\n");
        append(dir.path(), second, &format!("{event}\nhal"));
        let mut follow = Follow::new(dir.path());
        assert_eq!(news(&mut follow), ["a", "b", event]);
        let keep = |follow: &Follow| {
            let kept: Vec<_> = follow.positions().collect();
            serde_json::to_string(&kept).unwrap()
        };
        let resume = |kept: &str| {
            Follow::resume(dir.path(), serde_json::from_str::<Vec<Position>>(kept).unwrap())
        };
        let kept = keep(&follow);
        let last = follow.positions().find(|position| position.file == second).unwrap();
        assert_eq!((last.instance.as_deref(), last.seq), (Some("00112233445566ff"), Some(7)));
        append(dir.path(), second, "f\n");
        let mut again = resume(&kept);
        assert_eq!(keep(&again).len(), kept.len(), "nothing is forgotten before it is looked at");
        assert_eq!(news(&mut again), ["half"]);
        assert!(again.take_truncated().is_empty());
        // Another file of the same length.
        fs::write(dir.path().join(first), "a\nc\nd\n").unwrap();
        let mut again = resume(&kept);
        assert_eq!(news(&mut again), ["a", "c", "d", "half"]);
        assert_eq!(again.take_truncated(), [first]);
        // A shorter one, and none.
        fs::write(dir.path().join(first), "a\n").unwrap();
        fs::remove_file(dir.path().join(second)).unwrap();
        let mut again = resume(&kept);
        assert_eq!(news(&mut again), ["a"]);
        assert_eq!(again.positions().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_read_for_a_while_keeps_its_position() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, aside) = (dir.path().join("logs"), dir.path().join("aside"));
        let name = "audit-2026-01-02.jsonl";
        fs::create_dir(&logs).unwrap();
        append(&logs, name, "a\nb\n");
        let mut follow = Follow::new(&logs);
        assert_eq!(news(&mut follow), ["a", "b"]);
        let mut again = Follow::resume(&logs, follow.positions().cloned());
        // Listed with its length, and not there when it is opened.
        again.list_folder().unwrap();
        fs::rename(&logs, &aside).unwrap();
        assert!(again.next_line().is_err());
        for follow in [&mut follow, &mut again] {
            assert!(news(follow).is_empty());
            assert_eq!(follow.positions().count(), 1, "the folder is missing");
        }
        fs::rename(&aside, &logs).unwrap();
        append(&logs, name, "c\n");
        for follow in [&mut follow, &mut again] {
            assert_eq!(news(follow), ["c"]);
            assert!(follow.take_truncated().is_empty());
        }
    }

    #[test]
    fn a_folder_may_come_later() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let mut follow = Follow::new(&logs);
        assert!(news(&mut follow).is_empty());
        fs::create_dir(&logs).unwrap();
        append(&logs, "audit-2026-01-02.jsonl", "a\n");
        assert_eq!(news(&mut follow), ["a"]);
    }
}
