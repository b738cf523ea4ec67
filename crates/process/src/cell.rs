//! Cells that nobody waits for.
//!
//! The cells of std have a state "being made". If a thread of the parent was making the value at the
//! fork, the child finds the cell in that state and waits without end.
#![allow(unsafe_code, reason = "pointers that are published once")]

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::fork::Process;

/// A value that is set once and stays.
pub struct OnceCell<T>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + Sync + 'static> OnceCell<T> {
    /// Creates an empty cell.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the value, if it was set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: null, or from a box that `set` leaked and `drop` frees, which nobody borrows then.
        // Acquire: pairs with the release of `set`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value, unless there is one already: then the new one is dropped. Returns the value
    /// that stays.
    pub fn set(&self, value: T) -> &T {
        self.try_set(value).unwrap_or_else(|there| there)
    }

    /// Sets the value, unless there is one already: then the new one is dropped.
    ///
    /// # Errors
    ///
    /// Returns the value that was there.
    pub fn try_set(&self, value: T) -> Result<&T, &T> {
        let new = Box::into_raw(Box::new(value));
        let set =
            self.0.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire);
        match set {
            // SAFETY: it is freed with `self`, which is borrowed.
            Ok(_) => Ok(unsafe { &*new }),
            Err(there) => {
                // SAFETY: it was made above, and nobody else has it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `get`.
                Err(unsafe { &*there })
            }
        }
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        let there = *self.0.get_mut();
        if !there.is_null() {
            // SAFETY: from a box that `set` leaked. Nobody borrows it, because nobody borrows `self`.
            drop(unsafe { Box::from_raw(there) });
        }
    }
}

/// A static that is made on first use. If several threads are first, each makes a value, and one
/// value stays.
pub struct Lazy<T: 'static> {
    value: OnceCell<T>,
    make: fn() -> T,
}

impl<T: Send + Sync + 'static> Lazy<T> {
    /// Creates a cell whose value `make` makes on first use.
    pub const fn new(make: fn() -> T) -> Self {
        Self { value: OnceCell::new(), make }
    }
}

impl<T: Send + Sync + 'static> Deref for Lazy<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.get().unwrap_or_else(|| self.value.set((self.make)()))
    }
}

/// A value that every process has for itself. A forked child finds none, and the parent's value stays
/// untouched.
pub struct PerProcess<T>(AtomicPtr<ProcessValue<T>>);

struct ProcessValue<T> {
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

    /// Returns the value of this process, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value_if_current(self.0.load(Ordering::Acquire))
    }

    fn value_if_current(&self, there: *mut ProcessValue<T>) -> Option<&T> {
        // SAFETY: null, or from a box that is freed with `self` at the earliest. The callers load it
        // with Acquire, which pairs with the release below.
        let there = unsafe { there.as_ref() }?;
        there.process.is_current().then_some(&there.value)
    }

    /// Returns the value of this process, made by this call if there is none, and whether this call
    /// made it. If several threads are here at once, each makes a value, one stays, and the others are
    /// dropped.
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> (&T, bool) {
        let there = self.0.load(Ordering::Acquire);
        if let Some(value) = self.value_if_current(there) {
            return (value, false);
        }
        let new =
            Box::into_raw(Box::new(ProcessValue { process: Process::current(), value: make() }));
        match self.0.compare_exchange(there, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: it is freed with `self` at the earliest. The value before it belongs to a parent
            // and is never freed.
            Ok(_) => (unsafe { &(*new).value }, true),
            Err(other) => {
                // SAFETY: it was made above, and nobody else has it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `value_if_current`. Another thread of this process has just stored it.
                (unsafe { &(*other).value }, false)
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let there = *self.0.get_mut();
        // SAFETY: null, or a box that is freed only here.
        if unsafe { there.as_ref() }.is_some_and(|there| there.process.is_current()) {
            // SAFETY: as above, and nobody is left to use it.
            drop(unsafe { Box::from_raw(there) });
        }
    }
}

// SAFETY: it owns a `T`, like a box.
unsafe impl<T: Send> Send for PerProcess<T> {}
// SAFETY: it hands out `&T` to all threads, and takes a `T` from any of them.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_first_value_stays() {
        let once = OnceCell::<u32>::new();
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
