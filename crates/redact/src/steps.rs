//! The count of steps, by which tests see how much work a text makes.

/// Counts work in tests, so that they can distinguish linear from quadratic time without a clock.
#[inline]
pub(crate) fn count_steps(count: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + count);
    #[cfg(not(test))]
    let _ = count;
}

#[cfg(test)]
thread_local! {
    pub(crate) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
