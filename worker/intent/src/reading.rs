use std::cell::RefCell;
use std::collections::BTreeMap;

use super::links::{self, BrokenLink, Resolved};
use super::{Content, Contents, Entry, IntentProblem, Listing, ObjectId};

/// A tree whose files are read as far as their contents are there. What is not there yet is noted, and asked for.
pub(super) struct Reading<'a> {
    tree: &'a Listing,
    contents: &'a Contents,
    wanted: &'a Wanted,
}

/// The objects that were looked for in vain, each with a path it is at.
#[derive(Debug, Default)]
pub(super) struct Wanted(RefCell<BTreeMap<ObjectId, Box<[u8]>>>);

impl Wanted {
    pub(super) fn into_inner(self) -> BTreeMap<ObjectId, Box<[u8]>> {
        self.0.into_inner()
    }
}

/// What reading a file brings.
pub(super) enum Read<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// It is a link to a folder.
    Folder,
    /// There is no such file.
    Absent,
    /// It was asked for.
    Later,
    /// Its content is gone.
    Lost,
    /// It cannot be read.
    Broken(IntentProblem),
}

impl<'a> Reading<'a> {
    pub(super) fn new(tree: &'a Listing, contents: &'a Contents, wanted: &'a Wanted) -> Self {
        Self {
            tree,
            contents,
            wanted,
        }
    }

    pub(super) fn tree(&self) -> &'a Listing {
        self.tree
    }

    /// The content of an entry itself: of a link, where it points to.
    pub(super) fn content(&self, entry: &Entry) -> Option<&'a Content> {
        let content = self.contents.get(&entry.object);
        if content.is_none() {
            let mut wanted = self.wanted.0.borrow_mut();
            wanted
                .entry(entry.object.clone())
                .or_insert_with(|| entry.path.clone());
        }
        content
    }

    /// Reads a file, following links inside the tree.
    pub(super) fn read(&self, path: &[u8]) -> Read<'a> {
        let broken = |reason: String| Read::Broken(IntentProblem::whole(path, reason));
        let own = self.tree.get(path);
        let entry = match own.filter(|entry| !entry.mode.is_link()) {
            Some(entry) => entry,
            // A link, or below one.
            None => match links::resolve(self, path) {
                Resolved::File(target) => target,
                Resolved::Folder(_) => return Read::Folder,
                Resolved::Unread => return Read::Later,
                Resolved::Broken(BrokenLink::Dangling(_)) if own.is_none() => return Read::Absent,
                Resolved::Broken(reason) => return broken(reason.to_string()),
            },
        };
        if !entry.mode.is_file() {
            return broken("is a submodule, must be a file".to_owned());
        }
        match self.content(entry) {
            None => Read::Later,
            Some(Content::Bytes(bytes)) => Read::Bytes(bytes),
            Some(Content::Missing) => Read::Lost,
            Some(Content::TooLarge(size)) => broken(format!(
                "has {size} bytes, the most is {}; split it",
                super::MOST_BYTES
            )),
        }
    }
}
