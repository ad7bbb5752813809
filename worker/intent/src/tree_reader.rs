use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Content, Contents, Entry, Listing, ObjectId};

/// A tree with the contents that were read so far. It records which contents are needed and not read yet.
pub(super) struct TreeReader<'a> {
    tree: &'a Listing,
    contents: &'a Contents,
    needed: &'a NeededObjects,
}

/// The objects that must be read before an examination can end, each with a path at which it is.
#[derive(Debug, Default)]
pub(super) struct NeededObjects(RefCell<BTreeMap<ObjectId, Box<[u8]>>>);

impl NeededObjects {
    pub(super) fn into_inner(self) -> BTreeMap<ObjectId, Box<[u8]>> {
        self.0.into_inner()
    }
}

impl<'a> TreeReader<'a> {
    pub(super) fn new(tree: &'a Listing, contents: &'a Contents, needed: &'a NeededObjects) -> Self {
        Self {
            tree,
            contents,
            needed,
        }
    }

    pub(super) fn tree(&self) -> &'a Listing {
        self.tree
    }

    /// The content of an entry itself: for a link, its target. `None` if it was not read yet; it is recorded as needed then.
    pub(super) fn content(&self, entry: &Entry) -> Option<&'a Content> {
        let content = self.contents.get(&entry.object);
        if content.is_none() {
            let mut needed = self.needed.0.borrow_mut();
            needed
                .entry(entry.object.clone())
                .or_insert_with(|| entry.path.clone());
        }
        content
    }
}
