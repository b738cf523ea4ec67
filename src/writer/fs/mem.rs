//! A file system in memory and a clock that is set, for tests of what the writer promises when
//! the real ones fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::{Clock, Fs, LogFile};

/// A clock that stands still until it is set.
#[derive(Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file system in memory. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct MemFs(Arc<Mutex<State>>);

/// Everything there is, and everything that is to go wrong.
#[derive(Default)]
pub(crate) struct State {
    names: BTreeMap<PathBuf, usize>,
    nodes: Vec<Node>,
    /// What becomes of the next writes, one each.
    pub(crate) write_faults: VecDeque<WriteFault>,
    /// Bytes all files may hold together; a write past it takes what fits, or is `StorageFull`.
    pub(crate) capacity: Option<usize>,
    pub(crate) truncate_fails: bool,
    pub(crate) sync_fails: bool,
    /// No file can be opened, as when the process has no file handle left.
    pub(crate) open_fails: bool,
    /// The next file that is locked has just been removed by its last holder.
    pub(crate) vanishes_at_lock: bool,
    /// Names taken by a symlink or the like.
    pub(crate) foreign: BTreeSet<PathBuf>,
    pub(crate) writes: usize,
    pub(crate) dir_syncs: usize,
}

/// A write that goes wrong.
pub(crate) enum WriteFault {
    /// Takes this many bytes and says so.
    Short(usize),
    /// Takes this many bytes and says that it failed.
    Fails(usize, ErrorKind),
}

#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    synced: usize,
    locked: bool,
}

impl MemFs {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// The names of all files, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.keys().map(|path| path.display().to_string()).collect()
    }

    /// Puts a file there, in place of what has the name.
    pub(crate) fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let node = state.nodes.len();
        state.nodes.push(Node { bytes: bytes.to_vec(), ..Node::default() });
        state.names.insert(path.as_ref().to_owned(), node);
    }

    /// Takes the name away; handles stay as good as they were.
    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        self.state().names.remove(path.as_ref()).expect("a file to remove");
    }

    /// What is in a file.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> String {
        let state = self.state();
        let node = state.names.get(path.as_ref()).expect("a file to read");
        String::from_utf8(state.nodes[*node].bytes.clone()).unwrap()
    }

    /// How much of a file is durable, in bytes.
    pub(crate) fn synced(&self, path: impl AsRef<Path>) -> usize {
        let state = self.state();
        state.nodes[state.names[path.as_ref()]].synced
    }

    /// Takes or gives back the lock of a file as another process would.
    pub(crate) fn set_locked(&self, path: impl AsRef<Path>, locked: bool) {
        let mut state = self.state();
        let node = state.names[path.as_ref()];
        state.nodes[node].locked = locked;
    }
}

impl Fs for MemFs {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open_log(&self, path: &Path, _mode: u32) -> io::Result<Option<Arc<dyn LogFile>>> {
        let mut state = self.state();
        if state.open_fails {
            return Err(io::Error::other("no file handle left"));
        }
        if state.foreign.contains(path) {
            return Ok(None);
        }
        let new = state.nodes.len();
        let node = *state.names.entry(path.to_owned()).or_insert(new);
        if node == new {
            state.nodes.push(Node::default());
        }
        Ok(Some(Arc::new(MemFile { fs: self.clone(), node, holds_lock: AtomicBool::new(false) })))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state().names.contains_key(path))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.state().dir_syncs += 1;
        Ok(())
    }
}

struct MemFile {
    fs: MemFs,
    node: usize,
    holds_lock: AtomicBool,
}

impl LogFile for MemFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.fs.state();
        state.writes += 1;
        let held: usize = state.nodes.iter().map(|node| node.bytes.len()).sum();
        let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(held));
        let (taken, error) = match state.write_faults.pop_front() {
            Some(WriteFault::Short(taken)) => (taken, None),
            Some(WriteFault::Fails(taken, kind)) => (taken, Some(kind)),
            None if room == 0 && !bytes.is_empty() => (0, Some(ErrorKind::StorageFull)),
            None => (room.min(bytes.len()), None),
        };
        state.nodes[self.node].bytes.extend_from_slice(&bytes[..taken]);
        error.map_or(Ok(taken), |kind| Err(kind.into()))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.state().nodes[self.node].bytes.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        if state.truncate_fails {
            return Err(io::Error::other("cannot cut"));
        }
        state.nodes[self.node].bytes.resize(len as usize, 0);
        Ok(())
    }

    fn read_at(&self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        let state = self.fs.state();
        let bytes = state.nodes[self.node].bytes.get(start..start + piece.len());
        piece.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.fs.state();
        if std::mem::take(&mut state.vanishes_at_lock) {
            state.names.retain(|_, node| *node != self.node);
        }
        let node = &mut state.nodes[self.node];
        let free = !std::mem::replace(&mut node.locked, true);
        self.holds_lock.fetch_or(free, Ordering::Relaxed);
        Ok(free)
    }

    fn is_at(&self, path: &Path) -> bool {
        self.fs.state().names.get(path) == Some(&self.node)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        if state.sync_fails {
            return Err(io::Error::other("cannot sync"));
        }
        let node = &mut state.nodes[self.node];
        node.synced = node.bytes.len();
        Ok(())
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        if self.holds_lock.load(Ordering::Relaxed) {
            self.fs.state().nodes[self.node].locked = false;
        }
    }
}
