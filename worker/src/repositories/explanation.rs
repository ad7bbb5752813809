//! What a refresh says about the cause that it gives to devices: the commit, and the paths that concern devices. For people, so nothing
//! depends on it: what git cannot show is left out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_git::{CommitInfo, GitError, Mirror};
use lockstep_intent::ConcernedPaths;
use lockstep_protocol::{CauseCommit, CauseDetail, CommitId, RepositoryName};

/// How long a refresh waits for each of what only people read.
const LONGEST: Duration = Duration::from_secs(10);

/// Reads what there is to say about a commit that is accepted after another one.
pub(super) async fn explain(
    mirror: &Mirror,
    repository: RepositoryName,
    commit: &CommitId,
    accepted: Option<&CommitId>,
    paths: ConcernedPaths,
) -> Arc<CauseDetail> {
    let info = shown(mirror.commit_info(commit)).await;
    let commits = match accepted {
        // Every commit of the repository is accepted; how many there are tells nothing.
        None => None,
        Some(accepted) => shown(mirror.commits_since(commit, accepted)).await,
    };
    Arc::new(detail(repository, commit.clone(), info, commits, paths))
}

/// A clone without history, or without the commit that was accepted before a forced push, is no failure of the refresh.
async fn shown<T>(read: impl Future<Output = Result<T, GitError>>) -> Option<T> {
    match tokio::time::timeout(LONGEST, read).await {
        Ok(Ok(shown)) => Some(shown),
        Ok(Err(error)) => {
            tracing::debug!(%error, "git cannot show a commit; its cause says less");
            None
        }
        Err(_) => {
            tracing::debug!("git takes too long to show a commit; its cause says less");
            None
        }
    }
}

fn detail(
    repository: RepositoryName,
    id: CommitId,
    info: Option<CommitInfo>,
    commits: Option<u64>,
    paths: ConcernedPaths,
) -> CauseDetail {
    let (author, subject, committed_at) = match info {
        Some(info) => (Some(info.author), Some(info.subject), info.committed_at),
        None => (None, None, None),
    };
    CauseDetail {
        commit: Some(CauseCommit {
            repository,
            id,
            author: author.filter(|author| !author.is_empty()),
            subject: subject.filter(|subject| !subject.is_empty()),
            committed_at: committed_at.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            commits,
        }),
        paths: paths.paths,
        more_paths: paths.more,
        ..CauseDetail::default()
    }
}

#[cfg(test)]
mod tests {
    use lockstep_git::{Git, Remote};

    use super::*;

    fn commit(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    fn settings() -> RepositoryName {
        RepositoryName::try_from("settings".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn what_git_cannot_show_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let remote = Remote::new("/nonexistent", "main").unwrap();
        let mirror = Mirror::new(Git::new("git", Duration::from_secs(30)), remote, folder.path());
        let paths = ConcernedPaths {
            paths: Vec::new(),
            more: 7,
        };
        let found = explain(&mirror, settings(), &commit("2"), Some(&commit("1")), paths).await;
        let expected = detail(
            settings(),
            commit("2"),
            None,
            None,
            ConcernedPaths {
                paths: Vec::new(),
                more: 7,
            },
        );
        assert_eq!(*found, expected);
        assert_eq!(found.commit.as_ref().map(|of| &of.id), Some(&commit("2")));
    }

    #[test]
    fn empty_texts_and_times_that_no_calendar_has_are_absent() {
        let info = CommitInfo {
            author: String::new(),
            subject: "x".to_owned(),
            committed_at: Some(i64::MAX),
        };
        let found = detail(
            settings(),
            commit("2"),
            Some(info),
            Some(3),
            ConcernedPaths::default(),
        );
        let of = found.commit.unwrap();
        assert_eq!(
            (of.author, of.subject.as_deref(), of.committed_at, of.commits),
            (None, Some("x"), None, Some(3))
        );
    }
}
