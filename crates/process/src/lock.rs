//! Locks that a forked child may use.
//!
//! parking_lot keeps all waiters of a process in one table with locks of its own. If a thread of the
//! parent held one of these at the fork, a child that waits would wait without end. The locks of std
//! share no state with each other. Here they have the interface of parking_lot, without poisoning. A
//! child only uses the ones that it made.
//!
//! [`InheritedLock`] is for locks that a child inherits.
#![allow(unsafe_code, reason = "a lock of our own for lock_api")]

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A mutual exclusion lock.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Creates an open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Takes the lock, waiting until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: &self.0, held: Some(lock_std_mutex(&self.0)) }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = match self.0.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { mutex: &self.0, held: Some(held) })
    }
}

fn lock_std_mutex<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard of a [`Mutex`] that is held.
pub struct MutexGuard<'a, T> {
    mutex: &'a std::sync::Mutex<T>,
    /// `None` only while the guard waits.
    held: Option<std::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "a guard holds its lock unless it waits";

impl<T> MutexGuard<'_, T> {
    /// Runs `f` with the lock released, then takes the lock again.
    pub fn unlocked<R>(this: &mut Self, f: impl FnOnce() -> R) -> R {
        this.held = None;
        let result = f();
        this.held = Some(lock_std_mutex(this.mutex));
        result
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

/// A condition variable for a [`Mutex`]. A wait may end early.
#[derive(Debug, Default)]
pub struct Condvar {
    changed: std::sync::Condvar,
    /// Incremented while holding the lock, so a notifier that holds the lock sees every waiter. A
    /// notifier without the lock may miss a waiter, so it is only for waits that re-check on a timeout.
    waiting: AtomicU32,
}

impl Condvar {
    /// Opens the lock, waits for a notification, and takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_with(guard, |changed, held| {
            changed.wait(held).unwrap_or_else(PoisonError::into_inner)
        });
    }

    /// Waits as [`wait`](Self::wait) does, for `most` at most.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, most: Duration) {
        self.wait_with(guard, |changed, held| {
            changed.wait_timeout(held, most).unwrap_or_else(PoisonError::into_inner).0
        });
    }

    /// Waits as [`wait`](Self::wait) does, until `until` at most.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) {
        self.wait_for(guard, until.saturating_duration_since(Instant::now()));
    }

    /// Waits while `holds` returns true, for `most` at most.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        holds: impl FnMut(&mut T) -> bool,
        most: Duration,
    ) {
        self.wait_with(guard, |changed, held| {
            let waited = changed.wait_timeout_while(held, most, holds);
            waited.unwrap_or_else(PoisonError::into_inner).0
        });
    }

    fn wait_with<'a, T>(
        &self,
        guard: &mut MutexGuard<'a, T>,
        wait: impl FnOnce(
            &std::sync::Condvar,
            std::sync::MutexGuard<'a, T>,
        ) -> std::sync::MutexGuard<'a, T>,
    ) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        guard.held = Some(wait(&self.changed, guard.held.take().expect(HELD)));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        if self.is_waited_for() {
            self.changed.notify_one();
        }
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        if self.is_waited_for() {
            self.changed.notify_all();
        }
    }

    /// A notification costs a system call, even if nobody waits.
    fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// A lock for one writer or many readers.
#[derive(Debug, Default)]
pub struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Creates an open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::RwLock::new(value))
    }

    /// Takes the lock for reading, waiting for a writer.
    pub fn read(&self) -> std::sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock for reading. `None` if it is held for writing, which never ends if a fork left
    /// that thread in the parent.
    pub fn try_read(&self) -> Option<std::sync::RwLockReadGuard<'_, T>> {
        match self.0.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the lock for writing, waiting until it is free.
    pub fn write(&self) -> std::sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock for one writer or many readers that a forked child can open. It is one word, and waiters
/// poll it, so it is for sections of microseconds.
pub type InheritedLock<T> = lock_api::RwLock<RawLock, T>;

/// The raw lock of [`InheritedLock`].
pub struct RawLock(AtomicU32);

/// The word of a lock that is held for writing. Otherwise the word is the number of readers.
const WRITER: u32 = 1 << 31;

/// Opens a lock, whoever holds it.
///
/// # Safety
///
/// The holders never return, and nobody holds it for writing.
pub unsafe fn open_inherited_lock<T>(lock: &InheritedLock<T>) {
    // SAFETY: no guard of the lock is used any more, as the caller guarantees.
    let RawLock(word) = unsafe { lock.raw() };
    // Only stored if needed: the kernel copies a page when it is written to.
    if word.load(Ordering::Relaxed) != 0 {
        word.store(0, Ordering::Relaxed);
    }
}

/// Polls until `is_met` returns true: first without a pause, then yielding the core.
pub fn spin_until(mut is_met: impl FnMut() -> bool) {
    const SPINS: u32 = 64;
    let mut looks = 0;
    while !is_met() {
        looks += 1;
        if looks < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

// SAFETY: only one writer changes the word from 0 to `WRITER`, and readers only increment it below
// `WRITER`, so a writer is alone. Acquire on taking the lock pairs with release on leaving it.
unsafe impl lock_api::RawRwLock for RawLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait requires it")]
    const INIT: Self = Self(AtomicU32::new(0));

    type SharedGuard = ();
    type ExclusiveGuard = ();

    #[inline]
    fn lock_shared(&self) {
        spin_until(|| self.try_lock_shared().is_some());
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<()> {
        let one_more = |word| (word < WRITER).then_some(word + 1);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok().map(drop)
    }

    #[inline]
    unsafe fn unlock_shared(&self, (): ()) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    #[inline]
    fn lock_exclusive(&self) {
        spin_until(|| self.try_lock_exclusive().is_some());
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<()> {
        self.0.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).ok().map(drop)
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, (): ()) {
        self.0.store(0, Ordering::Release);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WRITER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_counts_and_can_be_opened() {
        const THREADS: u64 = 4;
        const TURNS: u64 = 2_000;
        let count = InheritedLock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        *count.write() += 1;
                        assert!(*count.read() > 0);
                    }
                });
            }
        });
        assert_eq!(*count.read(), THREADS * TURNS);
        let reader = count.read();
        assert!(count.try_write().is_none());
        std::mem::forget(reader);
        // SAFETY: the guard was forgotten.
        unsafe { open_inherited_lock(&count) };
        *count.try_write().unwrap() += 1;
    }

    #[test]
    fn a_guard_waits_and_holds_again() {
        let (mutex, changed) = (Mutex::new(0), Condvar::default());
        std::thread::scope(|scope| {
            let mut guard = mutex.lock();
            scope.spawn(|| {
                *mutex.lock() = 1;
                changed.notify_all();
            });
            while *guard == 0 {
                changed.wait(&mut guard);
            }
            let seen =
                MutexGuard::unlocked(&mut guard, || std::mem::replace(&mut *mutex.lock(), 2));
            assert_eq!((seen, *guard), (1, 2));
            changed.wait_while_for(&mut guard, |_| true, Duration::from_millis(1));
            changed.wait_until(&mut guard, Instant::now());
            assert_eq!(*guard, 2);
        });
    }
}
