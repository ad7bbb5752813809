//! Decides what a message needs, before anything is fetched.

use lockstep_protocol::CommitId;
use lockstep_protocol::results::IgnoredReason;

use super::RepositoryMessage;

/// How often a message is retried because the remote does not have its commit yet. Mirrors and caches of forges lag by
/// seconds; a commit that is still missing then was replaced by a forced push.
const RETRIES_FOR_COMMIT: u32 = 2;

/// What a message needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A refresh to the tip. `after` is the commit that the message names as the tip.
    Refresh { after: Option<CommitId> },
    /// This commit becomes the accepted one.
    Accept(CommitId),
    /// Nothing.
    Ignore(IgnoredReason),
}

/// What a message needs, where this branch is the configured one.
pub(super) fn request(message: RepositoryMessage<'_>, branch: &str) -> Request {
    match message {
        RepositoryMessage::Changed(event) if event.branch != branch => {
            Request::Ignore(IgnoredReason::OtherBranch)
        }
        RepositoryMessage::Changed(event) if event.after.is_zero() => {
            Request::Ignore(IgnoredReason::BranchDeleted)
        }
        RepositoryMessage::Changed(event) => Request::Refresh {
            after: Some(event.after.clone()),
        },
        // The tip may have moved again since the worker saw it, so the message does not wait for that commit.
        RepositoryMessage::RefreshRequested(_) | RepositoryMessage::TipMoved(_) => {
            Request::Refresh { after: None }
        }
        RepositoryMessage::AcceptRequested(command) => Request::Accept(command.commit.clone()),
    }
}

/// Whether a message is retried because its commit is missing.
pub(super) fn waits_for_commit(attempt: u32) -> bool {
    attempt <= RETRIES_FOR_COMMIT
}

/// The message of a coalesced batch whose result reports the change: the last one that named the tip, else the last one.
pub(super) fn lead(afters: &[Option<&CommitId>], tip: &CommitId) -> usize {
    let named = afters.iter().rposition(|after| *after == Some(tip));
    named.unwrap_or(afters.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
    use lockstep_protocol::events::RepositoryChanged;
    use lockstep_protocol::internal::RepositoryTipMoved;
    use lockstep_protocol::{Message, RepositoryName};

    use super::*;

    fn commit(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    fn settings() -> RepositoryName {
        RepositoryName::try_from("settings".to_owned()).unwrap()
    }

    fn push(branch: &str, after: &str) -> Message {
        RepositoryChanged {
            repository: settings(),
            branch: branch.to_owned(),
            before: commit("1"),
            after: commit(after),
            forced: false,
            paths: None,
        }
        .into()
    }

    #[test]
    fn each_message_becomes_a_request_and_a_push_to_another_or_a_deleted_branch_is_ignored() {
        let refresh = RepositoryRefreshRequested {
            repository: settings(),
        };
        let accept = RepositoryAcceptRequested {
            repository: settings(),
            commit: commit("7"),
        };
        let tip_moved = RepositoryTipMoved {
            repository: settings(),
            tip: commit("2"),
        };
        let table = [
            (
                push("main", "2"),
                Request::Refresh {
                    after: Some(commit("2")),
                },
            ),
            (push("feature", "2"), Request::Ignore(IgnoredReason::OtherBranch)),
            (push("feature", "0"), Request::Ignore(IgnoredReason::OtherBranch)),
            (push("main", "0"), Request::Ignore(IgnoredReason::BranchDeleted)),
            (refresh.into(), Request::Refresh { after: None }),
            (tip_moved.into(), Request::Refresh { after: None }),
            (accept.into(), Request::Accept(commit("7"))),
        ];
        for (message, expected) in table {
            let message = RepositoryMessage::try_from(&message).unwrap();
            assert_eq!(message.repository(), &settings());
            assert_eq!(request(message, "main"), expected, "{message:?}");
        }
    }

    #[test]
    fn the_push_that_named_the_tip_leads_its_coalesced_batch() {
        let (one, two) = (commit("1"), commit("2"));
        let table: [(&[Option<&CommitId>], usize); 5] = [
            (&[Some(&one)], 0),
            (&[Some(&two), Some(&one)], 0),
            (&[Some(&one), Some(&one)], 1),
            (&[Some(&two), None, Some(&two), None], 2),
            (&[None, None], 1),
        ];
        for (afters, expected) in table {
            assert_eq!(lead(afters, &two), expected, "{afters:?}");
        }
    }

    #[test]
    fn a_message_waits_for_its_commit_for_a_bounded_number_of_attempts() {
        let waits: Vec<bool> = (1..=4).map(waits_for_commit).collect();
        assert_eq!(waits, [true, true, false, false]);
    }
}
