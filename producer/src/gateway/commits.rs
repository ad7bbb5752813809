//! The commits of a push. A payload may list millions within the limit of bodies, so they are not kept: only what is asked about
//! them is, while they are read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use lockstep_protocol::bounds::{MAX_PATH, MAX_PATHS};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most bytes of all paths together. Even if JSON escapes every byte, the message stays below its maximum size.
const MAX_HINT_BYTES: usize = 512 * 1024;

/// The commits in the payloads of GitHub, GitLab, Gitea and Forgejo.
#[derive(Debug, Default)]
pub(super) struct Commits<'a> {
    count: u64,
    most_files: usize,
    /// `None` if the paths do not fit into a message, since an incomplete list would mislead.
    paths: Option<BTreeSet<Cow<'a, str>>>,
    bytes: usize,
}

/// A list that is absent where it is empty.
type Files<'a> = Option<Paths<'a>>;

#[derive(Debug, Deserialize)]
struct Commit<'a> {
    #[serde(borrow, default)]
    added: Files<'a>,
    #[serde(borrow, default)]
    removed: Files<'a>,
    #[serde(borrow, default)]
    modified: Files<'a>,
}

/// The first paths of a list, one more than fit into a message, and how many there are.
#[derive(Debug)]
struct Paths<'a> {
    first: Vec<Cow<'a, str>>,
    count: usize,
}

/// A text of the payload, copied only if it has escapes. `Cow` alone would always be copied.
#[derive(Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Commits<'a> {
    /// How many commits the payload lists.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many files the commit with the most files has.
    pub(super) fn most_files(&self) -> usize {
        self.most_files
    }

    /// The paths of all commits, if they fit into a message.
    pub(super) fn paths(self) -> Option<Vec<String>> {
        if self.count == 0 {
            return Some(Vec::new());
        }
        Some(self.paths?.into_iter().map(Cow::into_owned).collect())
    }

    fn add(&mut self, commit: Commit<'a>) {
        let lists = [commit.added, commit.removed, commit.modified];
        let files = lists.iter().flatten().map(|list| list.count).sum();
        self.most_files = self.most_files.max(files);
        let mut paths = match self.count {
            0 => Some(BTreeSet::new()),
            _ => self.paths.take(),
        };
        if lists.iter().flatten().any(|list| list.count > list.first.len()) {
            paths = None;
        }
        self.count += 1;
        for path in lists.into_iter().flatten().flat_map(|list| list.first) {
            let Some(all) = &mut paths else { break };
            let (fits, length) = (
                path.chars().count() <= MAX_PATH && !path.contains('\0'),
                path.len(),
            );
            if all.insert(path) {
                self.bytes += length;
            }
            if !fits || all.len() > MAX_PATHS || self.bytes > MAX_HINT_BYTES {
                paths = None;
            }
        }
        self.paths = paths;
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Commits<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Commits<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of commits")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Commits<'de>, A::Error> {
                let mut commits = Commits::default();
                while let Some(commit) = list.next_element()? {
                    commits.add(commit);
                }
                Ok(commits)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Paths<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Paths<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of paths")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Paths<'de>, A::Error> {
                let mut first = Vec::new();
                while first.len() <= MAX_PATHS {
                    match list.next_element()? {
                        Some(BorrowedText(path)) => first.push(path),
                        None => break,
                    }
                }
                let mut count = first.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Paths { first, count })
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Commits that add these paths, of which each modifies the first again.
    fn commits(added: &[Vec<String>]) -> Commits<'static> {
        let commit = |added: &Vec<String>| json!({"added": added, "removed": null, "modified": added.iter().take(1).collect::<Vec<_>>()});
        Commits::deserialize(added.iter().map(commit).collect::<Value>()).unwrap()
    }

    #[test]
    fn the_list_of_paths_is_complete_or_absent() {
        let names = |count: usize| (0..count).map(|n| format!("f{n:05}")).collect::<Vec<_>>();
        let long = |n| format!("{n:04}{}", "x".repeat(4000));
        let table = [
            (vec![names(2), names(1)], Some(names(2))),
            (vec![], Some(Vec::new())),
            (vec![vec![]], Some(Vec::new())),
            (vec![names(MAX_PATHS)], Some(names(MAX_PATHS))),
            (vec![names(MAX_PATHS + 1)], None),
            (vec![names(MAX_PATHS + 5), names(1)], None),
            (vec![names(MAX_PATHS), vec!["other".to_owned()], names(1)], None),
            (vec![vec!["x".repeat(MAX_PATH + 1)], names(1)], None),
            (vec![(0..200).map(long).collect()], None),
        ];
        for (added, expected) in table {
            assert_eq!(commits(&added).paths(), expected);
        }
    }

    #[test]
    fn commits_and_files_are_counted_and_not_kept() {
        let many = commits(&[vec![], vec![String::new(); MAX_PATHS + 7], vec![]]);
        assert_eq!((many.count(), many.most_files()), (3, MAX_PATHS + 8));
        assert_eq!(many.paths, None);
        let many = commits(&vec![vec![String::new()]; 100_000]);
        assert_eq!((many.count(), many.most_files()), (100_000, 2));
        assert_eq!(many.paths(), Some(vec![String::new()]));
    }
}
