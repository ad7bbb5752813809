//! The changes of a push, independent of the forge.

use lockstep_protocol::CommitId;
use lockstep_protocol::bounds::MAX_LABEL;

use super::commits::Commits;

/// The content of an authenticated webhook.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ParsedWebhook {
    /// Branches that point at other commits.
    Changes(Vec<Change>),
    /// The webhook is ignored, for this reason.
    Ignored(String),
}

/// A branch points at another commit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// The index among the changes of the webhook; the id of the message is derived from it.
    pub(super) index: u64,
    pub(super) branch: String,
    pub(super) before: CommitId,
    pub(super) after: CommitId,
    pub(super) forced: bool,
    pub(super) paths: Option<Vec<String>>,
}

/// A push of one ref: what the payloads of GitHub, GitLab, Gitea and Forgejo have in common.
pub(super) struct Push<'a> {
    pub(super) reference: &'a str,
    pub(super) before: CommitId,
    pub(super) after: CommitId,
    pub(super) forced: bool,
    pub(super) commits: Commits<'a>,
    /// Whether the payload lists all commits and files of the push.
    pub(super) complete: bool,
}

impl Push<'_> {
    /// The change if the ref is a branch; otherwise the push is ignored.
    pub(super) fn parsed(self) -> ParsedWebhook {
        let branch = match branch_of(self.reference) {
            Ok(branch) => branch,
            Err(why) => return ParsedWebhook::Ignored(why),
        };
        // The listed commits of a rewritten, new or deleted branch are not the difference to the previous commit.
        let whole = self.complete && !self.forced && !self.before.is_zero() && !self.after.is_zero();
        let paths = if whole { self.commits.paths() } else { None };
        ParsedWebhook::Changes(vec![Change {
            index: 0,
            branch,
            before: self.before,
            after: self.after,
            forced: self.forced,
            paths,
        }])
    }
}

/// The branch of a ref, or why the ref is ignored.
pub(super) fn branch_of(reference: &str) -> Result<String, String> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        return branch_name(branch);
    }
    if reference.starts_with("refs/tags/") {
        return Err("the push is of a tag; only branches matter".to_owned());
    }
    Err("the pushed ref is not a branch".to_owned())
}

/// The branch name if a message can contain it. Other names cannot be configured, so their pushes are ignored.
pub(super) fn branch_name(branch: &str) -> Result<String, String> {
    let fits = !branch.is_empty()
        && branch.chars().count() <= MAX_LABEL
        && !branch.chars().any(char::is_control)
        && !branch.starts_with("refs/");
    if fits {
        Ok(branch.to_owned())
    } else {
        Err(format!(
            "the name of the branch cannot be configured: expected 1 to {MAX_LABEL} characters, no control characters, not beginning with refs/"
        ))
    }
}

/// The zero commit id with as many digits as this commit.
pub(super) fn zero_like(commit: &CommitId) -> CommitId {
    let zeros = "0".repeat(commit.as_str().len());
    CommitId::try_from(zeros).expect("it has the length of a commit id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_branches_that_can_be_configured_are_accepted() {
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
}
