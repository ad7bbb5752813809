use super::fleet::DeviceTypes;
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
    /// The device types of the site.
    pub types: &'a DeviceTypes,
}

impl<'a> Change<'a> {
    /// Compares two trees.
    pub fn between(old: &'a Listing, new: &'a Listing, types: &'a DeviceTypes) -> Self {
        Self {
            old,
            new,
            changed: new.changed_since(old),
            types,
        }
    }
}
