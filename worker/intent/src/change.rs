use super::{ChangedPaths, Listing};

/// From one tree to another.
#[derive(Debug)]
pub struct Change<'a> {
    /// What was accepted before; empty where nothing was.
    pub old: &'a Listing,
    /// What is to be accepted.
    pub new: &'a Listing,
    /// On which paths they differ.
    pub changed: ChangedPaths,
}

impl<'a> Change<'a> {
    /// The change between two trees.
    pub fn between(old: &'a Listing, new: &'a Listing) -> Self {
        let changed = new.changed_since(old);
        Self { old, new, changed }
    }
}
