//! The events of objectives: present or absent.

#[cfg(not(feature = "slo"))]
mod absent;
#[cfg(feature = "slo")]
mod present;

#[cfg(not(feature = "slo"))]
pub(crate) use absent::CountedObjectives;
#[cfg(feature = "slo")]
pub(crate) use present::CountedObjectives;
