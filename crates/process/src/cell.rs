//! Cells that nobody waits for. Those of std have a state "being made", in which a forked child
//! finds them for ever where a thread of its parent was making the value.
#![allow(unsafe_code, reason = "pointers that are published once")]

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::fork::Process;

/// A value that is set once and stays.
pub struct Once<T>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + Sync + 'static> Once<T> {
    /// Creates an empty cell.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, once there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: null, or from a box that `set` gave away and nobody frees. Acquire: pairs with
        // the release of `set`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value, unless there is one: then it is dropped. Returns the one that stays.
    pub fn set(&self, value: T) -> &T {
        let new = Box::into_raw(Box::new(value));
        let set =
            self.0.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire);
        match set {
            // SAFETY: it stays for ever.
            Ok(_) => unsafe { &*new },
            Err(there) => {
                // SAFETY: made above, and nobody else has it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `get`.
                unsafe { &*there }
            }
        }
    }
}

/// A static that is made when first used. Threads at once may each make it; one of them stays.
pub struct Lazy<T: 'static> {
    value: Once<T>,
    make: fn() -> T,
}

impl<T: Send + Sync + 'static> Lazy<T> {
    /// Creates a cell whose value `make` makes on first use.
    pub const fn new(make: fn() -> T) -> Self {
        Self { value: Once::new(), make }
    }
}

impl<T: Send + Sync + 'static> Deref for Lazy<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.get().unwrap_or_else(|| self.value.set((self.make)()))
    }
}

/// A value that every process has for itself: a forked child finds none. The parent's stays where
/// it was, untouched.
pub struct PerProcess<T>(AtomicPtr<Of<T>>);

struct Of<T> {
    process: Process,
    value: T,
}

impl<T: Send + Sync> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + Sync> PerProcess<T> {
    /// Creates an empty cell.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.of(self.0.load(Ordering::Acquire))
    }

    fn of(&self, there: *mut Of<T>) -> Option<&T> {
        // SAFETY: null, or from a box that is freed with `self` at the earliest. Acquire, where it
        // was loaded: pairs with the release below.
        let there = unsafe { there.as_ref() }?;
        there.process.is_current().then_some(&there.value)
    }

    /// This process's value, made where there is none; and whether it was made by this call.
    /// Threads at once may each make one; one of them stays, and the others are dropped.
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> (&T, bool) {
        let there = self.0.load(Ordering::Acquire);
        if let Some(value) = self.of(there) {
            return (value, false);
        }
        let new = Box::into_raw(Box::new(Of { process: Process::current(), value: make() }));
        match self.0.compare_exchange(there, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: freed with `self` at the earliest. What was there is a parent's: never freed.
            Ok(_) => (unsafe { &(*new).value }, true),
            Err(other) => {
                // SAFETY: made above, and nobody else has it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `of`; another thread of this process has just put it there.
                (unsafe { &(*other).value }, false)
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let there = *self.0.get_mut();
        // SAFETY: null, or a box that nobody frees but here.
        if unsafe { there.as_ref() }.is_some_and(|there| there.process.is_current()) {
            // SAFETY: as above, and nobody else is left to use it.
            drop(unsafe { Box::from_raw(there) });
        }
    }
}

// SAFETY: it owns a `T` as a box does.
unsafe impl<T: Send> Send for PerProcess<T> {}
// SAFETY: it gives out `&T` to all threads, and takes a `T` from any of them.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_first_value_stays() {
        let once = Once::<u32>::new();
        assert_eq!(once.get(), None);
        assert_eq!((*once.set(1), *once.set(2), once.get()), (1, 1, Some(&1)));
    }

    #[test]
    fn threads_agree_on_one() {
        static MADE: Lazy<Arc<u32>> = Lazy::new(|| Arc::new(7));
        let own = PerProcess::<Arc<u32>>::new();
        assert!(own.get().is_none());
        let kept = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let own = &own;
                    scope
                        .spawn(move || (own.get_or_make(|| Arc::new(n)), Arc::as_ptr(&MADE).addr()))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(kept.iter().filter(|((_, made), _)| *made).count(), 1);
        let ((first, _), lazy) = &kept[0];
        assert!(kept.iter().all(|((value, _), at)| Arc::ptr_eq(value, first) && at == lazy));
        let first = Arc::downgrade(own.get().unwrap());
        drop(kept);
        drop(own);
        assert!(first.upgrade().is_none(), "dropped with its cell");
    }
}
