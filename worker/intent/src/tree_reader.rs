use std::collections::{BTreeSet, HashMap};

use super::bounds::MOST_TARGET_BYTES;
use super::cancellation::Cancellation;
use super::contents::{Content, ExamineError, ObjectReader, ReadObjects};
use super::{Entry, Listing, ObjectId};

/// The targets of the links of one or two trees, by object.
#[derive(Debug, Default)]
pub(super) struct LinkTargets(HashMap<ObjectId, Content>);

impl LinkTargets {
    pub(super) fn read<R: ReadObjects>(
        trees: &[&Listing],
        reader: &mut ObjectReader<'_, R>,
    ) -> Result<Self, ExamineError<R::Error>> {
        let links = trees.iter().flat_map(|tree| tree.links());
        let objects: BTreeSet<&ObjectId> = links.map(|link| &link.object).collect();
        let mut targets = HashMap::with_capacity(objects.len());
        reader.each(&objects, MOST_TARGET_BYTES, &mut |object, target| {
            targets.insert(object.clone(), target);
            true
        })?;
        Ok(Self(targets))
    }
}

/// A tree with the targets of its links.
pub(super) struct TreeReader<'a> {
    tree: &'a Listing,
    targets: &'a LinkTargets,
    cancellation: &'a Cancellation<'a>,
}

impl<'a> TreeReader<'a> {
    pub(super) fn new(
        tree: &'a Listing,
        targets: &'a LinkTargets,
        cancellation: &'a Cancellation<'a>,
    ) -> Self {
        Self {
            tree,
            targets,
            cancellation,
        }
    }

    pub(super) fn tree(&self) -> &'a Listing {
        self.tree
    }

    pub(super) fn cancellation(&self) -> &'a Cancellation<'a> {
        self.cancellation
    }

    /// The target of a link.
    pub(super) fn target(&self, link: &Entry) -> &'a Content {
        self.targets.0.get(&link.object).unwrap_or(&Content::Missing)
    }
}
