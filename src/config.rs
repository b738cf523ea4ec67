//! Settings.
/// Builder.
#[derive(Debug, Clone, Default)]
pub struct Builder {}
