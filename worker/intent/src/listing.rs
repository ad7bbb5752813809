use std::fmt;

use super::bounds::{MOST_FOLDERS, MOST_LISTING_BYTES, MOST_PATH_BYTES, MOST_PATHS};
use super::path::components;
use super::{ChangedPaths, IntentProblem, ObjectId, display_path};

/// All entries of a tree, sorted by the bytes of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(Vec<Entry>);

/// One entry: a file, a link or a submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is a file, a link or a submodule.
    pub mode: Mode,
    /// The id of its content; for a submodule, a commit.
    pub object: ObjectId,
    /// Its path from the root: any bytes except NUL, not always UTF-8.
    pub path: Box<[u8]>,
}

/// The mode of an entry in git's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u32);

impl Mode {
    /// A symbolic link; its content is the path it points to.
    pub const LINK: Self = Self(0o120_000);
    /// A submodule: a commit of another repository.
    pub const SUBMODULE: Self = Self(0o160_000);
    /// A file that is not executable.
    pub const FILE: Self = Self(0o100_644);

    pub fn is_link(self) -> bool {
        self == Self::LINK
    }

    /// Whether it is a file, executable or not.
    pub fn is_file(self) -> bool {
        self.0 & 0o170_000 == 0o100_000
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06o}", self.0)
    }
}

/// The bytes are not a valid listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// A record does not have the format of git.
    #[error(
        "entry {index} of the listing is not `MODE TYPE OBJECT<tab>PATH` of a file, a link or a submodule: {record:?}; it must come from `git ls-tree -r -z --full-tree`"
    )]
    Malformed {
        /// The number of the record, from 0.
        index: usize,
        /// The record, escaped.
        record: String,
    },
    /// The last record is incomplete.
    #[error("the listing ends in the middle of an entry; list the tree again")]
    Truncated,
    /// Two entries have the same path.
    #[error("the listing has two entries for {path:?}; list the tree again")]
    DuplicatePath {
        /// The path, escaped.
        path: String,
    },
    /// The tree exceeds a bound. It is a valid tree of git, and no listing of it will be read.
    #[error("{0}")]
    Exceeded(IntentProblem),
}

impl Listing {
    /// Reads the output of `git ls-tree -r -z --full-tree COMMIT`.
    ///
    /// # Errors
    /// If the bytes are not such an output, or incomplete.
    pub fn parse(ls_tree_z: &[u8]) -> Result<Self, ListingError> {
        let Some(records) = ls_tree_z.strip_suffix(b"\0") else {
            return if ls_tree_z.is_empty() {
                Ok(Self::empty())
            } else {
                Err(ListingError::Truncated)
            };
        };
        let mut entries = Vec::new();
        for (index, record) in records.split(|byte| *byte == 0).enumerate() {
            let entry = parse_record(record).ok_or_else(|| ListingError::Malformed {
                index,
                record: display_path(&record[..record.len().min(200)]),
            })?;
            entries.push(entry);
        }
        Self::of(entries)
    }

    /// Reads the listing of a tree that is to be examined, within the [`bounds`](super::bounds).
    ///
    /// # Errors
    /// Also if the tree exceeds a bound.
    pub fn parse_within_bounds(ls_tree_z: &[u8]) -> Result<Self, ListingError> {
        if ls_tree_z.len() > MOST_LISTING_BYTES {
            return Err(ListingError::Exceeded(Self::exceeded()));
        }
        let listing = Self::parse(ls_tree_z)?;
        let problem = |entry: &Entry, reason: String| {
            Err(ListingError::Exceeded(IntentProblem::whole(&entry.path, reason)))
        };
        if let Some(entry) = listing.0.get(MOST_PATHS) {
            let reason = format!("the tree has more paths than the limit of {MOST_PATHS}; remove some");
            return problem(entry, reason);
        }
        for entry in &listing {
            let length = entry.path.len();
            if length > MOST_PATH_BYTES {
                let reason = format!(
                    "the path has {length} bytes, more than the limit of {MOST_PATH_BYTES}; shorten it"
                );
                return problem(entry, reason);
            }
            let folders = components(&entry.path).count() - 1;
            if folders > MOST_FOLDERS {
                let reason = format!(
                    "the path has {folders} folders, more than the limit of {MOST_FOLDERS}; move the file up"
                );
                return problem(entry, reason);
            }
        }
        Ok(listing)
    }

    /// The problem of a tree whose listing is not even read, because it has more than [`MOST_LISTING_BYTES`].
    pub fn exceeded() -> IntentProblem {
        IntentProblem::of_tree(format!(
            "the paths of the tree have more than the limit of {MOST_LISTING_BYTES} bytes together; remove some, and check that this is the intended repository"
        ))
    }

    /// Makes a listing of entries in any order.
    ///
    /// # Errors
    /// If two entries have the same path.
    pub fn of(mut entries: Vec<Entry>) -> Result<Self, ListingError> {
        // Git writes them sorted, so this is one pass.
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        match entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
            Some(pair) => Err(ListingError::DuplicatePath {
                path: display_path(&pair[0].path),
            }),
            None => Ok(Self(entries)),
        }
    }

    /// The listing of an empty tree, which stands for the accepted tree before there is one.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the bytes that [`parse`](Self::parse) reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = self.0.iter().map(|entry| entry.path.len() + 80).sum();
        let mut bytes = Vec::with_capacity(length);
        for entry in &self.0 {
            let kind = if entry.mode == Mode::SUBMODULE {
                "commit"
            } else {
                "blob"
            };
            bytes.extend_from_slice(format!("{} {kind} {}\t", entry.mode, entry.object).as_bytes());
            bytes.extend_from_slice(&entry.path);
            bytes.push(0);
        }
        bytes
    }

    /// Finds the entry at a path.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        let index = self.0.binary_search_by(|entry| (*entry.path).cmp(path)).ok()?;
        Some(&self.0[index])
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.0.iter()
    }

    /// The symbolic links, sorted by path.
    pub(super) fn links(&self) -> impl Iterator<Item = &Entry> {
        self.iter().filter(|entry| entry.mode.is_link())
    }

    /// The entries below a folder, sorted by path.
    pub fn within(&self, folder: &[u8]) -> impl Iterator<Item = &Entry> {
        let prefix = [folder, b"/"].concat();
        let start = self.0.partition_point(|entry| *entry.path < *prefix);
        self.0[start..]
            .iter()
            .take_while(move |entry| entry.path.starts_with(&prefix))
    }

    /// Compares content and mode of all entries with an older tree.
    pub fn changed_since(&self, older: &Self) -> ChangedPaths {
        ChangedPaths::between(older, self)
    }
}

impl<'a> IntoIterator for &'a Listing {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `MODE TYPE OBJECT<tab>PATH`
fn parse_record(record: &[u8]) -> Option<Entry> {
    let tab = record.iter().position(|byte| *byte == b'\t')?;
    let path = &record[tab + 1..];
    let mut fields = std::str::from_utf8(&record[..tab]).ok()?.split(' ');
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    let kind = fields.next()?;
    let object = fields.next()?.parse().ok()?;
    // A listing without `-r` has trees and would be incomplete.
    let valid = match kind {
        "blob" => matches!(mode & 0o170_000, 0o100_000 | 0o120_000),
        "commit" => mode == Mode::SUBMODULE.0,
        _ => false,
    };
    let complete = fields.next().is_none() && !path.is_empty();
    (valid && complete).then(|| Entry {
        mode: Mode(mode),
        object,
        path: path.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_listing_is_written_as_it_was_read() {
        let mut bytes = Vec::new();
        for (mode, kind, path) in [
            ("100644", "blob", &b"a b\nc"[..]),
            ("120000", "blob", "devices/d\u{e4}\tx".as_bytes()),
            ("100755", "blob", b"devices/\xff\xfe.yml"),
            ("160000", "commit", b"vendor"),
        ] {
            bytes.extend_from_slice(format!("{mode} {kind} {OBJECT}\t").as_bytes());
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
        let listing = Listing::parse(&bytes).unwrap();
        assert_eq!(listing.len(), 4);
        assert_eq!(listing.to_bytes(), bytes);
        assert!(
            listing
                .get("devices/d\u{e4}\tx".as_bytes())
                .unwrap()
                .mode
                .is_link()
        );
        assert_eq!(listing.get(b"vendor").unwrap().mode, Mode::SUBMODULE);
        assert_eq!(listing.get(b"devices"), None);
        assert_eq!(listing.within(b"devices").count(), 2);
        assert_eq!(Listing::parse(b"").unwrap(), Listing::empty());
    }

    #[test]
    fn a_tree_beyond_a_bound_is_refused_with_its_first_path_beyond() {
        let tree = |paths: &mut dyn Iterator<Item = String>| {
            let records = paths.map(|path| format!("100644 blob {OBJECT}\t{path}\0"));
            Listing::parse_within_bounds(records.collect::<String>().as_bytes())
        };
        let numbered = |count| (0..count).map(|number| format!("{number:08}"));
        assert_eq!(tree(&mut numbered(MOST_PATHS)).unwrap().len(), MOST_PATHS);
        let table: [(Vec<String>, &str); 4] = [
            (
                numbered(MOST_PATHS + 1).collect(),
                "00250000: the tree has more paths than the limit of 250000",
            ),
            (
                vec!["a".repeat(1025)],
                "the path has 1025 bytes, more than the limit of 1024",
            ),
            (
                vec!["a/".repeat(65) + "b"],
                "the path has 65 folders, more than the limit of 64",
            ),
            (
                vec!["a".repeat(MOST_LISTING_BYTES)],
                ".: the paths of the tree have more than the limit of 67108864 bytes",
            ),
        ];
        for (paths, expected) in table {
            let refused = tree(&mut paths.into_iter()).unwrap_err().to_string();
            assert!(
                refused.contains(expected) && refused.len() < 1000,
                "{expected}: {refused}"
            );
        }
        assert!(tree(&mut ["a/".repeat(64) + "b"].into_iter()).is_ok());
    }

    #[test]
    fn an_invalid_listing_is_rejected() {
        let valid = format!("100644 blob {OBJECT}\ta\0");
        for invalid in [
            format!("100644 blob {OBJECT}\ta"),
            format!("040000 tree {OBJECT}\ta\0"),
            format!("100644 commit {OBJECT}\ta\0"),
            format!("100644 blob {OBJECT}\t\0"),
            format!("100644 blob {OBJECT} 12\ta\0"),
            "100644 blob 0123\ta\0".to_owned(),
            format!("{valid}{valid}"),
            format!("{valid}\0"),
            "fatal: not a tree\0".to_owned(),
        ] {
            assert!(Listing::parse(invalid.as_bytes()).is_err(), "{invalid:?}");
        }
    }
}
