//! A file system in memory, for tests of what the writer promises if the real one fails.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{FileHandle, Fs, Stat};

/// A file system in memory. All clones share the same files.
#[derive(Clone, Default)]
pub(crate) struct MemFs(Arc<(Mutex<MemFsState>, Condvar)>);

/// All files, and the faults to come.
#[derive(Default)]
pub(crate) struct MemFsState {
    names: BTreeMap<PathBuf, usize>,
    /// The names at the last sync of the folder, and the changes since. A power cut keeps any
    /// subset of the changes.
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<Vec<NameChange>>,
    nodes: Vec<MemNode>,
    /// The outcome of each of the next writes.
    pub(crate) write_faults: VecDeque<WriteFault>,
    /// Bytes that someone else adds to a file just before the next write to it.
    pub(crate) added_before_write: VecDeque<Vec<u8>>,
    /// If set, every write fails with this error.
    pub(crate) writes_fail: Option<ErrorKind>,
    /// The bytes that all files may have together, with their reserved room. If a write exceeds it,
    /// it takes what fits, or fails with `StorageFull`.
    pub(crate) capacity: Option<usize>,
    /// Whether room can be reserved.
    pub(crate) reserves: bool,
    pub(crate) truncate_fails: bool,
    /// Files with lower numbers cannot be read, as after their server forgot them.
    pub(crate) stale_below: usize,
    pub(crate) sync_fails: bool,
    /// If set, a sync panics, which no real file system does.
    pub(crate) sync_panics: bool,
    /// Syncs of files and folders wait until this is `false`; see [`MemFs::release_syncs`].
    pub(crate) sync_hangs: bool,
    /// The number of syncs that wait now.
    pub(crate) syncs_held: usize,
    /// If set, no folder can be made, as when one above it is a file.
    pub(crate) dir_fails: Option<ErrorKind>,
    /// If set, no file can be opened, as when the process has no file handle left.
    pub(crate) open_fails: bool,
    /// If set, no name can be removed.
    pub(crate) remove_fails: bool,
    /// If set, the next file that is locked was just removed by its last holder.
    pub(crate) vanishes_at_lock: bool,
    /// If set, the next file that is locked was just compressed by its last holder.
    pub(crate) compressed_at_lock: bool,
    /// Names that are taken by a symlink or something similar.
    pub(crate) foreign: BTreeSet<PathBuf>,
    /// If set, nothing changes after this many more changes, because the process was killed.
    pub(crate) changes_left: Option<usize>,
    pub(crate) writes: usize,
    pub(crate) dir_syncs: usize,
    /// The number of open handles.
    pub(crate) handles: usize,
}

/// A write that goes wrong.
pub(crate) enum WriteFault {
    /// Takes this many bytes, or all, and reports how many.
    Short(usize),
    /// Takes this many bytes, or all, and reports an error.
    Fails(usize, ErrorKind),
}

/// A name that appears, with its file, or disappears.
type NameChange = (PathBuf, Option<usize>);

fn apply_name_changes(names: &mut BTreeMap<PathBuf, usize>, change: &[NameChange]) {
    for (path, node) in change {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

#[derive(Clone, Default)]
struct MemNode {
    bytes: Vec<u8>,
    /// The bytes that survive a power cut.
    durable: Vec<u8>,
    locked: bool,
    mode: u32,
    /// The end of the reserved room.
    reserved_to: usize,
}

impl MemNode {
    /// Returns the bytes that it takes on the disk.
    fn bytes_on_disk(&self) -> usize {
        self.bytes.len().max(self.reserved_to)
    }
}

impl MemFsState {
    /// Counts one more change, or fails if the process is gone.
    fn count_change(&mut self) -> io::Result<()> {
        match &mut self.changes_left {
            Some(0) => return Err(io::Error::other("the process is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    /// Changes names. A power cut may undo it.
    fn change_names(&mut self, change: Vec<NameChange>) {
        apply_name_changes(&mut self.names, &change);
        self.name_changes.push(change);
    }

    /// Changes names durably, as if long ago.
    fn set_names(&mut self, change: &[NameChange]) {
        let is_set = |path: &PathBuf| change.iter().any(|(set, _)| set == path);
        for before in &mut self.name_changes {
            before.retain(|(path, _)| !is_set(path));
        }
        apply_name_changes(&mut self.names, change);
        apply_name_changes(&mut self.durable_names, change);
    }

    /// Returns how many bytes a file can take.
    fn room_in(&self, node: usize) -> usize {
        let node = &self.nodes[node];
        self.free_bytes().saturating_add(node.bytes_on_disk() - node.bytes.len())
    }

    /// Returns the free bytes. A file without a name takes none.
    fn free_bytes(&self) -> usize {
        let taken: usize = self.names.values().map(|node| self.nodes[*node].bytes_on_disk()).sum();
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(taken))
    }
}

impl MemFs {
    /// Forgets all files, as a restarted server does.
    pub(crate) fn forget_files(&self) {
        let mut state = self.state();
        state.stale_below = state.nodes.len();
        state.names.clear();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, MemFsState> {
        self.0.0.lock()
    }

    /// Returns the names of all files, in order, except the key and what shippers keep.
    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state();
        let names = state.names.keys().map(|path| path.display().to_string());
        names.filter(|name| !name.ends_with("/.key") && !name.contains(".ship/")).collect()
    }

    /// Puts a durable file at this path, and replaces any other.
    pub(crate) fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let node = state.nodes.len();
        let (bytes, durable) = (bytes.to_vec(), bytes.to_vec());
        state.nodes.push(MemNode { bytes, durable, mode: 0o600, ..MemNode::default() });
        state.set_names(&[(path.as_ref().to_owned(), Some(node))]);
    }

    /// Removes the name. Open handles stay valid.
    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        assert!(state.names.contains_key(path.as_ref()), "a file to remove");
        state.set_names(&[(path.as_ref().to_owned(), None)]);
    }

    /// Renames a file, as another process would.
    pub(crate) fn rename_away(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let mut state = self.state();
        let node = *state.names.get(from.as_ref()).expect("a file to rename");
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        state.set_names(&[(from, None), (to, Some(node))]);
    }

    /// Cuts a file durably or extends it with zeros, as another process would.
    pub(crate) fn set_len(&self, path: impl AsRef<Path>, len: usize) {
        let mut state = self.state();
        let node = state.names[path.as_ref()];
        state.nodes[node].bytes.resize(len, 0);
        state.nodes[node].durable.truncate(len);
        state.nodes[node].reserved_to = 0;
    }

    /// Adds bytes to a file, as another process would.
    pub(crate) fn add_foreign_bytes(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let node = state.names[path.as_ref()];
        state.nodes[node].bytes.extend_from_slice(bytes);
    }

    /// Returns the bytes of a file.
    pub(crate) fn bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let state = self.state();
        let node = state.names.get(path.as_ref()).expect("a file to read");
        state.nodes[*node].bytes.clone()
    }

    /// Returns the text of a file.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8(self.bytes(path)).unwrap()
    }

    /// Returns how many bytes of a file are durable.
    pub(crate) fn synced(&self, path: impl AsRef<Path>) -> usize {
        let state = self.state();
        state.nodes[state.names[path.as_ref()]].durable.len()
    }

    /// Returns the end of the room reserved for a file.
    pub(crate) fn reserved_to(&self, path: impl AsRef<Path>) -> usize {
        let state = self.state();
        state.nodes[state.names[path.as_ref()]].reserved_to
    }

    /// Returns the permissions that a file was made with.
    pub(crate) fn mode(&self, path: impl AsRef<Path>) -> u32 {
        let state = self.state();
        state.nodes[state.names[path.as_ref()]].mode
    }

    /// Takes or releases the lock of a file, as another process would.
    pub(crate) fn set_locked(&self, path: impl AsRef<Path>, locked: bool) {
        let mut state = self.state();
        let node = state.names[path.as_ref()];
        state.nodes[node].locked = locked;
    }

    /// Returns whether the lock of a file is taken.
    pub(crate) fn is_locked(&self, path: impl AsRef<Path>) -> bool {
        let state = self.state();
        state.nodes[state.names[path.as_ref()]].locked
    }

    /// Lets waiting syncs continue.
    pub(crate) fn release_syncs(&self) {
        self.state().sync_hangs = false;
        self.0.1.notify_all();
    }

    /// Waits until a sync waits.
    pub(crate) fn wait_until_sync_hangs(&self) {
        let mut state = self.state();
        self.0.1.wait_while(&mut state, |state| state.syncs_held == 0);
    }

    /// Returns a disk as it may be after a power cut. Each file has what was synced, and some of
    /// the rest. The names are those of the last sync, with some of the changes since in any order.
    pub(crate) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> Self {
        let before = self.state();
        let mut names = before.durable_names.clone();
        for change in before.name_changes.iter().filter(|_| rng.bool()) {
            apply_name_changes(&mut names, change);
        }
        let node = |node: &MemNode| {
            let mut bytes = node.durable.clone();
            if node.bytes.starts_with(&node.durable) {
                let kept = rng.usize(node.durable.len()..=node.bytes.len());
                bytes.extend_from_slice(&node.bytes[node.durable.len()..kept]);
            }
            MemNode { durable: bytes.clone(), bytes, mode: node.mode, ..MemNode::default() }
        };
        let nodes = before.nodes.iter().map(node).collect();
        let after = Self::default();
        *after.state() =
            MemFsState { durable_names: names.clone(), names, nodes, ..MemFsState::default() };
        after
    }

    fn open_handle(&self, state: &mut MemFsState, node: usize) -> Arc<dyn FileHandle> {
        state.handles += 1;
        Arc::new(MemFile { fs: self.clone(), node, holds_lock: AtomicBool::new(false) })
    }
}

impl Fs for MemFs {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.state().dir_fails.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn open_log(&self, path: &Path, mode: u32) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let mut state = self.state();
        if state.open_fails {
            return Err(io::Error::other("no file handle left"));
        }
        if state.foreign.contains(path) {
            return Ok(None);
        }
        let node = match state.names.get(path) {
            Some(node) => *node,
            None => {
                state.count_change()?;
                let new = state.nodes.len();
                state.nodes.push(MemNode { mode, ..MemNode::default() });
                state.change_names(vec![(path.to_owned(), Some(new))]);
                new
            }
        };
        Ok(Some(self.open_handle(&mut state, node)))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let mut state = self.state();
        if state.open_fails {
            return Err(io::Error::other("no file handle left"));
        }
        let node = state.names.get(path).copied();
        Ok(node.map(|node| self.open_handle(&mut state, node)))
    }

    fn list_names(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.list_files(dir)?.into_iter().map(|(name, _)| name).collect())
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let state = self.state();
        let file = |(path, node): (&PathBuf, &usize)| {
            let name = path.strip_prefix(dir).ok()?.to_str()?.to_owned();
            let is_direct = !name.contains('/');
            is_direct.then(|| (name, state.nodes[*node].bytes.len() as u64))
        };
        Ok(state.names.iter().filter_map(file).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count_change()?;
        let node = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(node))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.remove_fails {
            return Err(ErrorKind::PermissionDenied.into());
        }
        state.count_change()?;
        if !state.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change_names(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        // A folder exists while it contains a file.
        Ok(self.state().names.keys().any(|name| name.starts_with(path)))
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.state().names.keys().any(|name| name != path && name.starts_with(path))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.syncs_held += 1;
        self.0.1.notify_all();
        self.0.1.wait_while(&mut state, |state| state.sync_hangs);
        state.syncs_held -= 1;
        state.count_change()?;
        state.dir_syncs += 1;
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        Ok(())
    }
}

struct MemFile {
    fs: MemFs,
    node: usize,
    holds_lock: AtomicBool,
}

impl FileHandle for MemFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.fs.state();
        state.count_change()?;
        state.writes += 1;
        if let Some(kind) = state.writes_fail {
            return Err(kind.into());
        }
        let added = state.added_before_write.pop_front().unwrap_or_default();
        state.nodes[self.node].bytes.extend(added);
        let (taken, error) = match state.write_faults.pop_front() {
            Some(WriteFault::Short(taken)) => (taken, None),
            Some(WriteFault::Fails(taken, kind)) => (taken, Some(kind)),
            None if state.room_in(self.node) == 0 && !bytes.is_empty() => {
                (0, Some(ErrorKind::StorageFull))
            }
            None => (state.room_in(self.node), None),
        };
        let taken = taken.min(bytes.len());
        state.nodes[self.node].bytes.extend_from_slice(&bytes[..taken]);
        error.map_or(Ok(taken), |kind| Err(kind.into()))
    }

    fn stat(&self) -> io::Result<Stat> {
        let state = self.fs.state();
        if self.node < state.stale_below {
            return Err(ErrorKind::StaleNetworkFileHandle.into());
        }
        let is_linked = state.names.values().any(|node| *node == self.node);
        let node = &state.nodes[self.node];
        Ok(Stat { len: node.bytes.len() as u64, is_linked, mode: node.mode })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        if state.truncate_fails {
            return Err(io::Error::other("cannot cut"));
        }
        state.count_change()?;
        let node = &mut state.nodes[self.node];
        node.bytes.resize(len as usize, 0);
        node.reserved_to = 0;
        Ok(())
    }

    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        if !state.reserves {
            return Err(ErrorKind::Unsupported.into());
        }
        if let Some(kind) = state.writes_fail {
            return Err(kind.into());
        }
        let to = (from + bytes) as usize;
        if to.saturating_sub(state.nodes[self.node].bytes_on_disk()) > state.free_bytes() {
            return Err(ErrorKind::StorageFull.into());
        }
        let node = &mut state.nodes[self.node];
        node.reserved_to = node.reserved_to.max(to);
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
        let vanishes = std::mem::take(&mut state.vanishes_at_lock);
        if std::mem::take(&mut state.compressed_at_lock) {
            let path = state.names.iter().find(|(_, node)| **node == self.node);
            let path = path.expect("a name").0.with_extension("jsonl.zst");
            let new = state.nodes.len();
            state.nodes.push(MemNode::default());
            state.names.insert(path, new);
        }
        if vanishes {
            state.names.retain(|_, node| *node != self.node);
        }
        let node = &mut state.nodes[self.node];
        let free = !std::mem::replace(&mut node.locked, true);
        self.holds_lock.fetch_or(free, Ordering::Relaxed);
        Ok(free)
    }

    fn is_still_at(&self, path: &Path) -> bool {
        self.fs.state().names.get(path) == Some(&self.node)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        state.syncs_held += 1;
        self.fs.0.1.notify_all();
        self.fs.0.1.wait_while(&mut state, |state| state.sync_hangs);
        state.syncs_held -= 1;
        assert!(!state.sync_panics, "planned");
        if state.sync_fails {
            return Err(io::Error::other("cannot sync"));
        }
        state.count_change()?;
        let node = &mut state.nodes[self.node];
        node.durable.clone_from(&node.bytes);
        Ok(())
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        let mut state = self.fs.state();
        state.handles -= 1;
        if self.holds_lock.load(Ordering::Relaxed) {
            state.nodes[self.node].locked = false;
        }
    }
}
