use std::cmp::Ordering;

use super::Listing;

/// The paths on which two trees differ. A rename is a removal and an addition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPaths {
    /// Only in the newer tree; sorted.
    pub added: Vec<Box<[u8]>>,
    /// Only in the older tree; sorted.
    pub removed: Vec<Box<[u8]>>,
    /// In both, with other content or another mode; sorted.
    pub modified: Vec<Box<[u8]>>,
}

impl ChangedPaths {
    /// The difference of two listings, in one pass over both.
    pub(super) fn between(older: &Listing, newer: &Listing) -> Self {
        let mut difference = Self::default();
        let mut left = older.iter().peekable();
        let mut right = newer.iter().peekable();
        loop {
            let which = match (left.peek(), right.peek()) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.path.cmp(&new.path),
            };
            let old = if which.is_le() { left.next() } else { None };
            let new = if which.is_ge() { right.next() } else { None };
            match (old, new) {
                (Some(old), Some(new)) if (old.mode, &old.object) != (new.mode, &new.object) => {
                    difference.modified.push(new.path.clone());
                }
                (Some(old), None) => difference.removed.push(old.path.clone()),
                (None, Some(new)) => difference.added.push(new.path.clone()),
                _ => {}
            }
        }
    }

    /// Whether the trees are equal.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of paths on which the trees differ.
    pub fn len(&self) -> usize {
        self.added.len() + self.removed.len() + self.modified.len()
    }

    /// All paths: added, then removed, then modified.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        [&self.added, &self.removed, &self.modified]
            .into_iter()
            .flatten()
            .map(AsRef::as_ref)
    }

    /// Whether the trees differ on a path.
    pub fn contains(&self, path: &[u8]) -> bool {
        [&self.added, &self.removed, &self.modified]
            .into_iter()
            .any(|paths| {
                paths
                    .binary_search_by(|candidate| (**candidate).cmp(path))
                    .is_ok()
            })
    }

    /// The changed paths below a folder.
    pub(super) fn within(&self, folder: &[u8]) -> impl Iterator<Item = &[u8]> {
        let prefix = [folder, b"/"].concat();
        [&self.added, &self.removed, &self.modified]
            .into_iter()
            .flat_map(move |paths| {
                let start = paths.partition_point(|path| **path < *prefix);
                let length = paths[start..].partition_point(|path| path.starts_with(&prefix));
                &paths[start..start + length]
            })
            .map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::{Entry, Mode};

    type Tree = BTreeMap<Vec<u8>, (Mode, String)>;

    fn random_tree(random: &mut StdRng) -> Tree {
        let alphabet = b"ab/- \n\xff.";
        let count = random.random_range(0..60);
        let mut tree = Tree::new();
        for _ in 0..count {
            let length = random.random_range(1..5);
            let path = (0..length)
                .map(|_| alphabet[random.random_range(0..alphabet.len())])
                .collect();
            let modes = [Mode::FILE, Mode::LINK, Mode::SUBMODULE];
            let mode = modes[random.random_range(0..modes.len())];
            tree.insert(path, (mode, format!("{:040x}", random.random_range(0..3))));
        }
        tree
    }

    fn listing(tree: &Tree) -> Listing {
        let entries = tree.iter().map(|(path, (mode, object))| Entry {
            mode: *mode,
            object: object.parse().unwrap(),
            path: path.as_slice().into(),
        });
        Listing::of(entries.collect()).unwrap()
    }

    #[test]
    fn the_difference_equals_that_of_sets_of_entries() {
        let mut random = StdRng::seed_from_u64(7);
        for round in 0..500 {
            let (old, new) = (random_tree(&mut random), random_tree(&mut random));
            let changed = listing(&new).changed_since(&listing(&old));
            let only = |one: &Tree, other: &Tree| -> Vec<Box<[u8]>> {
                let paths = one.keys().filter(|path| !other.contains_key(*path));
                paths.map(|path| path.as_slice().into()).collect()
            };
            let both = old
                .iter()
                .filter(|(path, entry)| new.get(*path).is_some_and(|other| other != *entry));
            let expected = ChangedPaths {
                added: only(&new, &old),
                removed: only(&old, &new),
                modified: both.map(|(path, _)| path.as_slice().into()).collect(),
            };
            assert_eq!(changed, expected, "round {round}");
            for path in old.keys().chain(new.keys()) {
                assert_eq!(changed.contains(path), old.get(path) != new.get(path), "{path:?}");
                let below = [path.as_slice(), b"/"].concat();
                let expected = changed.iter().filter(|candidate| candidate.starts_with(&below));
                assert!(changed.within(path).eq(expected), "{path:?}");
            }
            assert_eq!(changed.iter().count(), changed.len());
        }
    }

    #[test]
    fn a_tree_does_not_differ_from_itself() {
        let mut random = StdRng::seed_from_u64(8);
        let tree = listing(&random_tree(&mut random));
        assert!(tree.changed_since(&tree).is_empty());
        assert_eq!(tree.changed_since(&Listing::empty()).added.len(), tree.len());
        assert_eq!(Listing::empty().changed_since(&tree).removed.len(), tree.len());
    }
}
