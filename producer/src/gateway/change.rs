//! What a push changed, in the words of no forge.

use std::collections::BTreeSet;

use lockstep_protocol::CommitId;
use lockstep_protocol::bounds::{MAX_LABEL, MAX_PATH, MAX_PATHS};
use serde::Deserialize;

/// The most bytes of all paths together, so that the message stays far below its bound however JSON escapes them.
const MAX_HINT_BYTES: usize = 512 * 1024;

/// What an authentic webhook says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// Branches point at other commits.
    Changes(Vec<Change>),
    /// Nothing that concerns us, and why.
    Ignored(String),
}

/// A branch points at another commit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Which one of the webhook's changes it is; part of the message's id.
    pub(super) index: u64,
    pub(super) branch: String,
    pub(super) before: CommitId,
    pub(super) after: CommitId,
    pub(super) forced: bool,
    pub(super) paths: Option<Vec<String>>,
}

/// A commit, as GitHub, GitLab, Gitea and Forgejo describe it.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    #[serde(default)]
    added: Option<Vec<String>>,
    #[serde(default)]
    removed: Option<Vec<String>>,
    #[serde(default)]
    modified: Option<Vec<String>>,
}

impl Commit {
    fn paths(&self) -> impl Iterator<Item = &String> {
        [&self.added, &self.removed, &self.modified]
            .into_iter()
            .flatten()
            .flatten()
    }

    /// How many paths it names.
    pub(super) fn len(&self) -> usize {
        self.paths().count()
    }
}

/// A push of one ref, as GitHub, GitLab, Gitea and Forgejo tell it; what they tell besides is theirs.
pub(super) struct Push<'a> {
    pub(super) reference: &'a str,
    pub(super) before: CommitId,
    pub(super) after: CommitId,
    pub(super) forced: bool,
    pub(super) commits: &'a [Commit],
    /// Whether the commits are all there are.
    pub(super) complete: bool,
}

impl Push<'_> {
    /// The change, if a branch was pushed.
    pub(super) fn reading(self) -> Reading {
        let branch = match branch_of(self.reference) {
            Ok(branch) => branch,
            Err(why) => return Reading::Ignored(why),
        };
        // Of a rewritten, new or deleted branch the commits are not what changed.
        let whole = self.complete && !self.forced && !self.before.is_zero() && !self.after.is_zero();
        let paths = if whole { hint(self.commits) } else { None };
        Reading::Changes(vec![Change {
            index: 0,
            branch,
            before: self.before,
            after: self.after,
            forced: self.forced,
            paths,
        }])
    }
}

/// The branch that a ref names, or why the ref is ignored.
pub(super) fn branch_of(reference: &str) -> Result<String, String> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        return branch_name(branch);
    }
    if reference.starts_with("refs/tags/") {
        return Err("a tag was pushed, only branches count".to_owned());
    }
    Err("a ref was pushed that is no branch".to_owned())
}

/// The name of a branch as messages can carry it. No configured branch has another one.
pub(super) fn branch_name(branch: &str) -> Result<String, String> {
    let fits = !branch.is_empty()
        && branch.chars().count() <= MAX_LABEL
        && !branch.chars().any(char::is_control)
        && !branch.starts_with("refs/");
    if fits {
        Ok(branch.to_owned())
    } else {
        Err(format!(
            "the name of the branch is none that can be configured: 1 to {MAX_LABEL} characters, none of them a control character, without refs/"
        ))
    }
}

/// The paths of all commits, or nothing where they do not fit into a message: a part of them would mislead.
fn hint(commits: &[Commit]) -> Option<Vec<String>> {
    let mut paths = BTreeSet::new();
    let mut bytes = 0;
    for path in commits.iter().flat_map(Commit::paths) {
        let fits = path.chars().count() <= MAX_PATH && !path.contains('\0');
        if paths.insert(path) {
            bytes += path.len();
        }
        if !fits || paths.len() > MAX_PATHS || bytes > MAX_HINT_BYTES {
            return None;
        }
    }
    Some(paths.into_iter().cloned().collect())
}

/// No commit, in as many digits as this one has.
pub(super) fn none_like(commit: &CommitId) -> CommitId {
    let zeros = "0".repeat(commit.as_str().len());
    CommitId::try_from(zeros).expect("it has as many digits as a commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_branches_that_can_be_configured_count() {
        let long = format!("refs/heads/{}", "x".repeat(256));
        let table = [
            ("refs/heads/main", Some("main")),
            ("refs/heads/feature/ä b", Some("feature/ä b")),
            ("refs/heads/refs/heads/main", None),
            ("refs/heads/", None),
            (&long, None),
            ("refs/tags/v1", None),
            ("refs/notes/commits", None),
            ("main", None),
        ];
        for (reference, expected) in table {
            assert_eq!(branch_of(reference).ok().as_deref(), expected, "{reference}");
        }
    }

    fn commit(added: Vec<String>) -> Commit {
        let again = added.first().cloned();
        Commit {
            added: Some(added),
            removed: None,
            modified: Some(again.into_iter().collect()),
        }
    }

    #[test]
    fn a_hint_is_whole_or_not_there() {
        let names = |count: usize| (0..count).map(|n| format!("f{n:05}")).collect::<Vec<_>>();
        assert_eq!(hint(&[commit(names(2)), commit(names(1))]), Some(names(2)));
        assert_eq!(hint(&[]), Some(Vec::new()));
        assert_eq!(hint(&[commit(names(MAX_PATHS))]).unwrap().len(), MAX_PATHS);
        assert_eq!(hint(&[commit(names(MAX_PATHS + 1))]), None);
        assert_eq!(hint(&[commit(vec!["x".repeat(MAX_PATH + 1)])]), None);
        let long = |n| format!("{n:04}{}", "x".repeat(4000));
        assert_eq!(hint(&[commit((0..200).map(long).collect())]), None);
    }
}
