//! Forks: how a child finds out that it is one, and what it must not inherit.
//!
//! The child of a fork has a copy of all memory, of all file descriptors and of one thread. What
//! the others were in the middle of stays so for ever: a lock they held, a value they were making.
//! So nothing that a child may touch is a lock or a cell of that kind:
//!
//! - [`Process`] tells whose something is: it is read with one load, and is another one in a child;
//! - [`cell`](crate::cell) has cells that nobody waits for, and those that every process has for itself;
//! - [`lock`](crate::lock) has locks that share nothing with each other, and one that a child finds open;
//! - [`Private`] descriptors are closed in every child, since a lock on a file is held as long as
//!   any copy of its descriptor is open.
//!
//! What a child is told by is memory that the kernel wipes on a fork (`MADV_WIPEONFORK`), so that
//! also a fork past the C library is found out; where there is none, a handler of `pthread_atfork`
//! wipes it. Children that share their parent's memory (`vfork`, threads) are none.
#![allow(unsafe_code, reason = "mmap, pthread_atfork, and a pointer that is published once")]

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

/// What every process has for itself: in a child all of it is zero.
///
/// Relaxed throughout: each is a number by itself, and the kernel wipes them before any thread of
/// the child runs.
pub struct Own {
    /// Which process this is; zero where nobody has asked yet.
    process: AtomicU64,
    /// Events emitted before `init`.
    pub early: AtomicU64,
    /// Writers' threads that have not ended.
    pub writers: AtomicU64,
    /// The signal that ends the process once its recorders are closed; zero: none came.
    pub closing: AtomicI32,
}

impl Own {
    const fn new() -> Self {
        Self {
            process: AtomicU64::new(0),
            early: AtomicU64::new(0),
            writers: AtomicU64::new(0),
            closing: AtomicI32::new(0),
        }
    }

    #[cfg(unix)]
    fn wipe(&self) {
        self.process.store(0, Ordering::Relaxed);
        self.early.store(0, Ordering::Relaxed);
        self.writers.store(0, Ordering::Relaxed);
        self.closing.store(0, Ordering::Relaxed);
    }
}

/// What the owner of shared tables does around every fork.
#[derive(Debug)]
pub struct Hooks {
    /// Runs in the parent before the fork: waits until no table is half changed, and holds up
    /// further changes.
    pub before: fn(),
    /// Runs in the parent after the fork: lets changes go on.
    pub parent: fn(),
    /// Runs in the child before `fork` returns, on its only thread: opens the locks that threads of
    /// the parent held. It must not allocate, lock, or call what a signal handler may not call.
    pub child: fn(),
}

/// Null until [`register`] was called.
static HOOKS: AtomicPtr<Hooks> = AtomicPtr::new(ptr::null_mut());

/// Has every later fork of this process and its children run these hooks. There is one place for
/// hooks: a second registration replaces the first.
///
/// Whoever changes a table that children inherit calls it before the first change.
pub fn register(hooks: &'static Hooks) {
    HOOKS.store(ptr::from_ref(hooks).cast_mut(), Ordering::Release);
    own();
}

/// Where no memory is wiped by the kernel.
static UNWIPED: Own = Own::new();
/// Null until first asked for. Never freed.
static OWN: AtomicPtr<Own> = AtomicPtr::new(ptr::null_mut());

/// What this process has for itself.
///
/// A signal handler may call it once it was called before.
#[inline]
pub fn own() -> &'static Own {
    // Acquire: pairs with the release that published it.
    match OWN.load(Ordering::Acquire) {
        null if null.is_null() => begin(),
        // SAFETY: only `begin` stores it, pointers to what lives for ever.
        own => unsafe { &*own },
    }
}

#[cold]
fn begin() -> &'static Own {
    // Threads at once may each watch and map: the handlers may run twice, and a page is left over.
    platform::watch();
    let own = platform::wiped_on_fork().unwrap_or(&raw const UNWIPED).cast_mut();
    let published = OWN.compare_exchange(ptr::null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
    let own = published.err().unwrap_or(own);
    // SAFETY: it points to a static, or to a page that is mapped for ever and was zeroes.
    unsafe { &*own }
}

/// A process, as against those it was forked from and its children.
#[derive(Clone, Copy)]
pub struct Process {
    own: &'static Own,
    number: u64,
}

impl Process {
    /// The one that asks.
    #[inline]
    pub fn current() -> Self {
        let own = own();
        match own.process.load(Ordering::Relaxed) {
            0 => Self { own, number: Self::draw(own) },
            number => Self { own, number },
        }
    }

    #[cold]
    fn draw(own: &Own) -> u64 {
        /// The last number given, here or before a fork.
        static LAST: AtomicU64 = AtomicU64::new(0);
        // Counted before it is told: a child forked in between draws another one.
        let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let told = own.process.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        told.err().unwrap_or(next)
    }

    /// Tells it from those it was forked from and its children; never zero.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends a child that returned from what forked it: of its parent's threads it has this one alone,
    /// whose work is the parent's. Status 1, and nothing of what an exit would do a second time.
    pub fn end_child(&self) {
        if !self.is_current() {
            platform::end();
        }
    }

    /// Whether it is the one that asks: one load.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.own.process.load(Ordering::Relaxed) == self.number
    }
}

/// How many descriptors can be closed in children; those beyond are inherited.
const PRIVATE_MAX: usize = 256;
/// Each a descriptor plus one; zero: free.
static PRIVATE: [AtomicI32; PRIVATE_MAX] = [const { AtomicI32::new(0) }; PRIVATE_MAX];

/// As long as this lives, every child that is forked closes its copy of the descriptor, which must
/// be open. To be dropped before the descriptor is closed: then no child closes another one.
pub struct Private(Option<&'static AtomicI32>);

impl Private {
    /// Registers an open descriptor. If the table of 256 is full, children inherit it.
    pub fn new(descriptor: i32) -> Self {
        own();
        let take = |place: &&AtomicI32| {
            let kept = descriptor + 1;
            place.compare_exchange(0, kept, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        Self(PRIVATE.iter().find(take))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::sync::atomic::Ordering;

    use super::{HOOKS, Hooks, OWN, Own, PRIVATE};

    pub(super) fn watch() {
        // SAFETY: the handlers are functions of this type, and do only what each of them says.
        // Without memory for them it fails: then wiped memory alone tells of a fork.
        let _failed = unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    }

    pub(super) fn end() -> ! {
        // SAFETY: it has no precondition.
        unsafe { libc::_exit(1) }
    }

    fn run(hook: fn(&Hooks) -> fn()) {
        // SAFETY: null, or a reference to a static. Acquire: pairs with the release of `register`.
        if let Some(hooks) = unsafe { HOOKS.load(Ordering::Acquire).as_ref() } {
            hook(hooks)();
        }
    }

    extern "C" fn before() {
        run(|hooks| hooks.before);
    }

    extern "C" fn parent() {
        run(|hooks| hooks.parent);
    }

    /// In the child, on its only thread, before `fork` returns: no allocation, no lock, no call but
    /// those that a signal handler may make.
    extern "C" fn child() {
        run(|hooks| hooks.child);
        // SAFETY: null, or what lives for ever.
        if let Some(own) = unsafe { OWN.load(Ordering::Acquire).as_ref() } {
            own.wipe();
        }
        for place in &PRIVATE {
            if let descriptor @ 0.. = place.swap(0, Ordering::Relaxed) - 1 {
                // SAFETY: it is open, since nobody ran since the fork, and nobody here uses it: who
                // did was a thread of the parent. The parent's copy, and its lock, stay.
                unsafe { libc::close(descriptor) };
            }
        }
    }

    /// A page of zeroes that is zeroes again in every child; `None` where there is no such thing.
    #[cfg(target_os = "linux")]
    pub(super) fn wiped_on_fork() -> Option<*const Own> {
        let bytes = size_of::<Own>();
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the kernel chooses; nobody else has it.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the mapping made above, whole.
        if unsafe { libc::madvise(page, bytes, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: as above; it was never used.
            unsafe { libc::munmap(page, bytes) };
            return None;
        }
        Some(page.cast_const().cast())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn wiped_on_fork() -> Option<*const Own> {
        None
    }
}

#[cfg(not(unix))]
mod platform {
    pub(super) fn watch() {}

    /// Where nothing forks.
    pub(super) fn end() {}

    pub(super) fn wiped_on_fork() -> Option<*const super::Own> {
        None
    }
}
