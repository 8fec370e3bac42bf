//! What was changed shortly before a fault was first seen.

use jiff::Timestamp;

use super::{Evidence, ResourceRef};

/// One change on the chain of a root: a hint where to look, and no cause by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What was changed.
    pub subject: ResourceRef,
    /// How long before, of what and by whom: `12 min before: image of container web a:1 → a:2, by helm`.
    pub text: String,
    /// Where it was read, with the command that shows it again.
    pub evidence: Evidence,
}
