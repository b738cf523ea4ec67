//! gzip with the feature `gzip`: logs that other programs compressed are read.

#[cfg(not(feature = "gzip"))]
mod absent;
#[cfg(feature = "gzip")]
mod present;

#[cfg(not(feature = "gzip"))]
pub(crate) use absent::reader;
#[cfg(feature = "gzip")]
pub(crate) use present::reader;
