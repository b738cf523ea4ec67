//! The ring.

/// Why bytes found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The event has reached its size limit.
    Limit,
    /// The queue has no memory left.
    Memory,
}

/// A place in a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

/// One event's bytes.
pub(crate) struct Chain<'r> {
    bytes: Vec<u8>,
    limit: usize,
    _ring: std::marker::PhantomData<&'r ()>,
}

impl Chain<'_> {
    /// For tests of what writes into a chain.
    #[cfg(test)]
    pub(crate) fn for_tests(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, _ring: std::marker::PhantomData }
    }
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(Full::Limit);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.bytes.len())
    }
    /// Forgets everything written since `mark`.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
    }
    /// The content, contiguous.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}
