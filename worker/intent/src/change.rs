use super::{ChangedPaths, Listing};

/// The change from one tree to another.
#[derive(Debug)]
pub struct Change<'a> {
    /// The accepted tree; empty if no commit was accepted yet.
    pub old: &'a Listing,
    /// The tree to be examined.
    pub new: &'a Listing,
    /// The paths on which they differ.
    pub changed: ChangedPaths,
}

impl<'a> Change<'a> {
    /// Compares two trees.
    pub fn between(old: &'a Listing, new: &'a Listing) -> Self {
        let changed = new.changed_since(old);
        Self { old, new, changed }
    }
}
