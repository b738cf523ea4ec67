//! Detects forks, and what a child must not inherit.
//!
//! A forked child has a copy of all memory, of all file descriptors, and of one thread. If another
//! thread held a lock or was making a value, the child finds that lock held and that value half made,
//! and nothing ever changes that. So a child touches no lock or cell of that kind:
//!
//! - [`Process`] identifies the process. It is read with one load and differs in a child.
//! - [`cell`](crate::cell) has cells that nobody waits for, and cells that each process has for itself.
//! - [`lock`](crate::lock) has locks that share no state, and one that a child can open.
//! - A [`PrivateFile`] is closed in every child. A lock on a file is held as long as any copy of its
//!   descriptor is open.
//!
//! The kernel wipes a page of memory on a fork (`MADV_WIPEONFORK`), and the child sees zeros there.
//! This also detects a fork that bypasses the C library. If the kernel cannot do that, a handler of
//! `pthread_atfork` wipes the memory. A child that shares its parent's memory (`vfork`, a thread) is not
//! a fork in this sense.
#![allow(unsafe_code, reason = "mmap, pthread_atfork, and a pointer that is published once")]

use std::fmt;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

/// The state that every process has for itself. In a child all of it is zero.
///
/// Relaxed throughout: each number is independent, and the kernel wipes them before any thread of the
/// child runs.
pub struct ProcessState {
    /// The number of this process, or zero if nobody has asked yet.
    process: AtomicU64,
    /// Events emitted before `init`.
    pub early: AtomicU64,
    /// Writer threads that have not ended.
    pub writers: AtomicU64,
    /// The signal that ends the process after its recorders are closed, or zero if none came.
    pub closing: AtomicI32,
    /// The pipe by which the first signal wakes the thread that closes the recorders, or zero if there
    /// is no such thread.
    pub signal_pipe: AtomicI32,
}

impl ProcessState {
    const fn new() -> Self {
        Self {
            process: AtomicU64::new(0),
            early: AtomicU64::new(0),
            writers: AtomicU64::new(0),
            closing: AtomicI32::new(0),
            signal_pipe: AtomicI32::new(0),
        }
    }

    #[cfg(unix)]
    fn wipe(&self) {
        self.process.store(0, Ordering::Relaxed);
        self.early.store(0, Ordering::Relaxed);
        self.writers.store(0, Ordering::Relaxed);
        self.closing.store(0, Ordering::Relaxed);
        self.signal_pipe.store(0, Ordering::Relaxed);
    }
}

/// What the owner of shared tables does around every fork.
#[derive(Debug)]
pub struct ForkHooks {
    /// Runs in the parent before the fork: waits until no table is half changed, and blocks further
    /// changes.
    pub before: fn(),
    /// Runs in the parent after the fork: allows changes again.
    pub parent: fn(),
    /// Runs in the child before `fork` returns, on its only thread: opens the locks that threads of
    /// the parent held. It must not allocate, lock, or call what a signal handler may not call.
    pub child: fn(),
}

/// Null until [`register_fork_hooks`] was called.
static HOOKS: AtomicPtr<ForkHooks> = AtomicPtr::new(ptr::null_mut());

/// Makes every later fork of this process and its children run these hooks. There is one set of
/// hooks. Registering it again costs two loads.
///
/// If a table is inherited by children, call this before the first change of the table.
///
/// # Panics
///
/// Other hooks are registered.
pub fn register_fork_hooks(hooks: &'static ForkHooks) {
    let hooks = ptr::from_ref(hooks).cast_mut();
    let (acquire, release) = (Ordering::Acquire, Ordering::Release);
    if let Err(known) = HOOKS.compare_exchange(ptr::null_mut(), hooks, release, acquire) {
        assert!(ptr::eq(known, hooks), "a process has one set of fork hooks");
    }
    // Only set after the handlers are installed, so that no caller goes on without them. If several
    // threads are here at once, a fork runs the hooks several times, which they have to count.
    static ARE_INSTALLED: AtomicBool = AtomicBool::new(false);
    if !ARE_INSTALLED.load(acquire) {
        platform::install_hook_handlers();
        ARE_INSTALLED.store(true, release);
    }
    process_state();
}

/// Used if the kernel cannot wipe memory on a fork.
static UNWIPED: ProcessState = ProcessState::new();
/// Null until first asked for. Never freed.
static OWN: AtomicPtr<ProcessState> = AtomicPtr::new(ptr::null_mut());

/// Returns the state of this process.
///
/// A signal handler may call this if it was called before.
#[inline]
pub fn process_state() -> &'static ProcessState {
    // Acquire: pairs with the release that published it.
    match OWN.load(Ordering::Acquire) {
        null if null.is_null() => make_process_state(),
        // SAFETY: only `make_process_state` stores it, and what it points to is never freed.
        own => unsafe { &*own },
    }
}

#[cold]
fn make_process_state() -> &'static ProcessState {
    // If several threads are here at once, the handlers may run twice, and a page is left over.
    platform::install_child_handler();
    let own = platform::map_page_wiped_on_fork().unwrap_or(&raw const UNWIPED).cast_mut();
    let published = OWN.compare_exchange(ptr::null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
    let own = published.err().unwrap_or(own);
    // SAFETY: it points to a static, or to a page of zeros that is never unmapped.
    unsafe { &*own }
}

/// A process, distinct from its ancestors and its children.
#[derive(Clone, Copy)]
pub struct Process {
    own: &'static ProcessState,
    number: u64,
}

impl Process {
    /// Returns the calling process.
    #[inline]
    pub fn current() -> Self {
        let own = process_state();
        match own.process.load(Ordering::Relaxed) {
            0 => Self { own, number: Self::draw_number(own) },
            number => Self { own, number },
        }
    }

    #[cold]
    fn draw_number(own: &ProcessState) -> u64 {
        /// The last number drawn, here or before a fork.
        static LAST: AtomicU64 = AtomicU64::new(0);
        // Incremented before it is stored: a child that is forked in between draws another number.
        let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let told = own.process.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        told.err().unwrap_or(next)
    }

    /// Returns the number that differs from those of its ancestors and children. Never zero.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends the calling process with status 1 if it is a child of this one. Such a child has only the
    /// calling thread, whose work belongs to the parent. No exit handler runs.
    pub fn exit_if_forked(&self) {
        if !self.is_current() {
            platform::exit_forked_child();
        }
    }

    /// Returns whether this is the calling process. Costs one load.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.own.process.load(Ordering::Relaxed) == self.number
    }
}

/// How many descriptors can be closed in children. If there are more, children inherit them.
const PRIVATE_MAX: usize = 256;
/// Each is a descriptor plus one, or zero if it is free.
static PRIVATE: [AtomicI32; PRIVATE_MAX] = [const { AtomicI32::new(0) }; PRIVATE_MAX];

/// A file that every forked child closes. If more than 256 are open, children inherit the rest.
///
/// In a child the value is still there, but each use of the file fails. A file that another process
/// opened is not closed again, because its number may belong to another file by then.
pub struct PrivateFile {
    place: Option<&'static AtomicI32>,
    opened_by: Process,
    file: ManuallyDrop<File>,
}

impl PrivateFile {
    /// Takes an open file.
    pub fn new(file: File) -> Self {
        process_state();
        let kept = platform::descriptor(&file) + 1;
        let take = |place: &&AtomicI32| {
            place.compare_exchange(0, kept, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let opened_by = Process::current();
        Self { place: PRIVATE.iter().find(take), opened_by, file: ManuallyDrop::new(file) }
    }
}

impl fmt::Debug for PrivateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl Deref for PrivateFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for PrivateFile {
    /// Frees the place before the file is closed. Otherwise a child may close another file that got the
    /// same number.
    fn drop(&mut self) {
        if let Some(place) = self.place {
            if !self.opened_by.is_current() {
                return;
            }
            place.store(0, Ordering::Relaxed);
        }
        // SAFETY: it is dropped here only, and not used after this.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::sync::atomic::Ordering;

    use super::{ForkHooks, HOOKS, OWN, PRIVATE, ProcessState};

    pub(super) fn descriptor(file: &File) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(file)
    }

    pub(super) fn install_child_handler() {
        // SAFETY: the handlers are functions of this type, and do only what their comments say.
        // If there is no memory for them, the call fails, and only the wiped page detects a fork.
        let _failed = unsafe { libc::pthread_atfork(None, None, Some(clean_forked_child)) };
    }

    /// Installs the handlers of the hooks, after these were stored. A C library runs the handlers after
    /// a fork only if it ran the one before it, so the hooks always run in pairs.
    pub(super) fn install_hook_handlers() {
        // SAFETY: the handlers are functions of this type, and do only what their comments say.
        // If there is no memory for them, the call fails, and a fork does not wait for changes.
        let _failed = unsafe {
            libc::pthread_atfork(
                Some(fork_hook_before),
                Some(fork_hook_in_parent),
                Some(fork_hook_in_child),
            )
        };
    }

    pub(super) fn exit_forked_child() -> ! {
        // SAFETY: it has no precondition.
        unsafe { libc::_exit(1) }
    }

    fn run_fork_hook(hook: fn(&ForkHooks) -> fn()) {
        // SAFETY: null, or a reference to a static. Acquire: pairs with the release of `register_fork_hooks`.
        if let Some(hooks) = unsafe { HOOKS.load(Ordering::Acquire).as_ref() } {
            hook(hooks)();
        }
    }

    extern "C" fn fork_hook_before() {
        run_fork_hook(|hooks| hooks.before);
    }

    extern "C" fn fork_hook_in_parent() {
        run_fork_hook(|hooks| hooks.parent);
    }

    extern "C" fn fork_hook_in_child() {
        run_fork_hook(|hooks| hooks.child);
    }

    /// Runs in the child, on its only thread, before `fork` returns. It may only do what a signal
    /// handler may do: no allocation, no lock.
    extern "C" fn clean_forked_child() {
        // SAFETY: null, or a pointer to what is never freed.
        if let Some(own) = unsafe { OWN.load(Ordering::Acquire).as_ref() } {
            own.wipe();
        }
        for place in &PRIVATE {
            if let descriptor @ 0.. = place.swap(0, Ordering::Relaxed) - 1 {
                // SAFETY: closing touches no memory. The number is the file's, unless another thread of the
                // parent opened or closed files while the process was copied. Then it is free here, or
                // it is a file that nothing in the child uses yet. The parent's copy, and its lock, stay.
                unsafe { libc::close(descriptor) };
            }
        }
    }

    /// Maps a page of zeros that is zeros again in every child. `None` if the kernel cannot do that.
    #[cfg(target_os = "linux")]
    pub(super) fn map_page_wiped_on_fork() -> Option<*const ProcessState> {
        let bytes = size_of::<ProcessState>();
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address that the kernel chooses. Nobody else has it.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the mapping made above, whole.
        if unsafe { libc::madvise(page, bytes, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: the same mapping, which was never used.
            unsafe { libc::munmap(page, bytes) };
            return None;
        }
        Some(page.cast_const().cast())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn map_page_wiped_on_fork() -> Option<*const ProcessState> {
        None
    }
}

#[cfg(not(unix))]
mod platform {
    /// No number, because nothing forks here.
    pub(super) fn descriptor(_: &std::fs::File) -> i32 {
        -1
    }

    pub(super) fn install_child_handler() {}

    pub(super) fn install_hook_handlers() {}

    /// Nothing forks here.
    pub(super) fn exit_forked_child() {}

    pub(super) fn map_page_wiped_on_fork() -> Option<*const super::ProcessState> {
        None
    }
}
