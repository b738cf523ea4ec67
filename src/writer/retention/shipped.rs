//! What destinations of shippers have not acknowledged of the files that are due.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{ListedFile, Retention, RetentionPass};
use crate::warnings;
use crate::writer::files::whole_lines_len_of_file;
use llm_audit_log::schema::Prefix;
use llm_audit_log::schema::notices::{NoticeType, ReadNotice};
use llm_audit_log::{
    Acknowledged, Ending, SHIP_FOLDER, destination_of_file, line_bytes_in_file, zst,
};

/// So many destinations are named in the line of a removed file.
const NAMED_MAX: usize = 64;

/// A destination with a position in the folder.
pub(super) struct Destination {
    name: String,
    /// Or why its position cannot be read.
    acknowledged: Result<Acknowledged, String>,
}

impl Destination {
    /// Returns how many bytes of a file it surely has.
    fn bytes_of(&self, file: &ListedFile) -> u64 {
        let plain_name = file.name.plain().to_string();
        self.acknowledged.as_ref().map_or(0, |acknowledged| acknowledged.bytes_of(&plain_name))
    }

    /// Describes what it lacks of a file, which may be one that cannot be read.
    fn why_it_is_waited_for(&self, unread: Option<io::Error>) -> String {
        let Self { name, acknowledged } = self;
        match (unread, acknowledged) {
            (Some(error), _) => format!("the file cannot be read: {error}"),
            (None, Err(why)) => {
                format!("{name} may not have all of it, as its position cannot be read: {why}")
            }
            (None, Ok(_)) => format!("{name} does not have all of it"),
        }
    }
}

impl Retention {
    /// Reads the positions of all destinations, in the order of their names. If the folder of the positions
    /// cannot be read, it stands for one destination whose position cannot be read.
    pub(super) fn read_destinations(&self) -> Vec<Destination> {
        self.list_destinations().unwrap_or_else(|error| {
            vec![Destination { name: SHIP_FOLDER.into(), acknowledged: Err(error.to_string()) }]
        })
    }

    fn list_destinations(&self) -> io::Result<Vec<Destination>> {
        let folder = self.dir.join(SHIP_FOLDER);
        if !self.fs.exists(&folder)? {
            return Ok(Vec::new());
        }
        // No shipper follows a link.
        if !self.fs.is_folder(&folder) {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
        }
        let mut names: Vec<_> =
            self.fs.list_files(&folder)?.into_iter().map(|(name, _)| name).collect();
        names.sort();
        let destination = |name: &String| {
            let acknowledged = self.read_position(&folder.join(name));
            Some(Destination { name: destination_of_file(name)?.to_owned(), acknowledged })
        };
        Ok(names.iter().filter_map(destination).collect())
    }

    fn read_position(&self, path: &Path) -> Result<Acknowledged, String> {
        let read = || {
            let file = self.fs.open_existing(path)?.ok_or(io::ErrorKind::PermissionDenied)?;
            let mut text = vec![0; file.stat()?.len as usize];
            file.read_at(0, &mut text).map(|()| text)
        };
        Acknowledged::parse(&read().map_err(|error: io::Error| error.to_string())?)
    }
}

impl RetentionPass<'_> {
    /// Returns whether a file must stay because a destination does not have all of it.
    pub(super) fn waits_for_destination(&self, file: &ListedFile) -> bool {
        if !self.rules.waits || self.destinations.is_empty() {
            return false;
        }
        let bytes = self.content_bytes(file);
        // If it cannot be opened now, it can later.
        let needed = *bytes.as_ref().unwrap_or(&u64::MAX);
        let lacks = |destination: &&Destination| destination.bytes_of(file) < needed;
        let Some(destination) = self.destinations.iter().find(lacks) else { return false };
        if self.rules.warns {
            let why = destination.why_it_is_waited_for(bytes.err());
            warnings::warn_of_waiting_retention(&file.path, &destination.name, &why);
        }
        true
    }

    /// Returns how many bytes of whole lines a file contains. If a compressed file does not say it, as no file of
    /// ours, nobody waits for it: no destination may be able to read it.
    fn content_bytes(&self, file: &ListedFile) -> io::Result<u64> {
        let Some(opened) = self.rules.fs.open_existing(&file.path)? else { return Ok(0) };
        if file.name.is_compressed {
            let said = zst::content_bytes_of_file(&mut self.read_in_pieces(&*opened)?)?;
            return Ok(said.unwrap_or(0));
        }
        whole_lines_len_of_file(&*opened, opened.stat()?.len)
    }
}

/// The events of a file that destinations have not acknowledged.
#[derive(Default)]
pub(super) struct UnshippedEvents<'p> {
    /// The bytes of the lines so far.
    offset: u64,
    of: Vec<Lack<'p>>,
}

/// What one destination lacks.
struct Lack<'p> {
    destination: &'p Destination,
    /// The bytes of the file that it has.
    bytes: u64,
    /// The events after them; `None` if that is unknown.
    events: Option<u64>,
}

impl<'p> UnshippedEvents<'p> {
    /// Begins to count what of a file each destination lacks.
    pub(super) fn of(destinations: &'p [Destination], file: &ListedFile) -> Self {
        let lack = |destination: &'p Destination| Lack {
            destination,
            bytes: destination.bytes_of(file),
            events: destination.acknowledged.as_ref().ok().map(|_| 0),
        };
        Self { offset: 0, of: destinations.iter().take(NAMED_MAX).map(lack).collect() }
    }

    /// Takes the next line.
    pub(super) fn add_line(&mut self, line: &[u8], ending: Ending) {
        let has_number = |prefix: Prefix<'_>| prefix.seq.is_some();
        // A line of another program counts too, unless it cannot be an event.
        let is_event = line.starts_with(b"{") && Prefix::of(line).is_none_or(has_number);
        // What another line says goes with it, so this one says it in its place.
        let carried = if is_event || self.of.is_empty() { None } else { unshipped_of(line) };
        for Lack { destination, events, .. } in
            self.of.iter_mut().filter(|lack| self.offset >= lack.bytes)
        {
            let said = carried.as_ref().and_then(|said| said.get(&destination.name).copied());
            let more = said.unwrap_or(Some(u64::from(is_event)));
            *events = events.zip(more).map(|(events, more)| events.saturating_add(more));
        }
        self.offset += line_bytes_in_file(ending, line.len());
    }

    /// Returns how many events each destination lacks, `None` if that is unknown.
    pub(super) fn by_name(&self, is_read: bool) -> BTreeMap<String, Option<u64>> {
        let lacks = self
            .of
            .iter()
            .map(|lack| (lack.destination.name.clone(), lack.events.filter(|_| is_read)));
        lacks.filter(|(_, events)| *events != Some(0)).collect()
    }
}

/// Returns what an `audit.retired` line says of destinations.
fn unshipped_of(line: &[u8]) -> Option<BTreeMap<String, Option<u64>>> {
    memchr::memmem::find(line, NoticeType::Retired.name().as_bytes())?;
    let mut line = line.to_vec();
    match ReadNotice::of(&llm_audit_log::parse(&mut line).ok()?)? {
        ReadNotice::Retired(retired) => Some(retired.unshipped),
        _ => None,
    }
}
