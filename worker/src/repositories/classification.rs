//! What a message asks of the lane, before anything is fetched.

use lockstep_protocol::results::IgnoredReason;
use lockstep_protocol::{Command, CommitId, Event, Message, RepositoryName};

/// How often a message waits for a commit that the remote does not show yet. Mirrors and caches of forges lag by seconds;
/// a commit that is not there after that has been pushed over.
const PATIENCE: u32 = 2;

/// What is to be done for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Look at the tip; `after` is where it is said to be.
    Refresh { after: Option<CommitId> },
    /// Take this commit as the accepted one.
    Accept(CommitId),
    /// There is nothing to do.
    Ignore(IgnoredReason),
}

/// The repository a message is about.
pub(super) fn repository(message: &Message) -> Option<&RepositoryName> {
    match message {
        Message::Event(Event::RepositoryChanged(event)) => Some(&event.repository),
        Message::Command(Command::RepositoryRefreshRequested(command)) => Some(&command.repository),
        Message::Command(Command::RepositoryAcceptRequested(command)) => Some(&command.repository),
        Message::Event(_) | Message::Command(_) | Message::Result(_) => None,
    }
}

/// What a message asks for, where this branch is the configured one; `None` if it is none of this lane.
pub(super) fn request(message: &Message, branch: &str) -> Option<Request> {
    match message {
        Message::Event(Event::RepositoryChanged(event)) if event.branch != branch => {
            Some(Request::Ignore(IgnoredReason::OtherBranch))
        }
        Message::Event(Event::RepositoryChanged(event)) if event.after.is_zero() => {
            Some(Request::Ignore(IgnoredReason::BranchDeleted))
        }
        Message::Event(Event::RepositoryChanged(event)) => Some(Request::Refresh {
            after: Some(event.after.clone()),
        }),
        Message::Command(Command::RepositoryRefreshRequested(_)) => Some(Request::Refresh { after: None }),
        Message::Command(Command::RepositoryAcceptRequested(command)) => {
            Some(Request::Accept(command.commit.clone()))
        }
        Message::Event(_) | Message::Command(_) | Message::Result(_) => None,
    }
}

/// Whether a message whose commit is not there is to wait for it once more.
pub(super) fn waits_for_commit(attempt: u32) -> bool {
    attempt <= PATIENCE
}

/// Which message of a burst gets to say what it did: the one that named the tip, else the last one.
pub(super) fn lead(afters: &[Option<&CommitId>], tip: &CommitId) -> usize {
    let named = afters.iter().rposition(|after| *after == Some(tip));
    named.unwrap_or(afters.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
    use lockstep_protocol::events::RepositoryChanged;

    use super::*;

    fn commit(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    fn settings() -> RepositoryName {
        RepositoryName::try_from("settings".to_owned()).unwrap()
    }

    fn push(branch: &str, after: &str) -> Message {
        Message::Event(Event::RepositoryChanged(RepositoryChanged {
            repository: settings(),
            branch: branch.to_owned(),
            before: commit("1"),
            after: commit(after),
            forced: false,
            paths: None,
        }))
    }

    #[test]
    fn only_the_configured_branch_counts_and_only_where_it_points_somewhere() {
        let refresh = RepositoryRefreshRequested {
            repository: settings(),
        };
        let accept = RepositoryAcceptRequested {
            repository: settings(),
            commit: commit("7"),
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
            (
                Message::Command(Command::RepositoryRefreshRequested(refresh)),
                Request::Refresh { after: None },
            ),
            (
                Message::Command(Command::RepositoryAcceptRequested(accept)),
                Request::Accept(commit("7")),
            ),
        ];
        for (message, expected) in table {
            assert_eq!(repository(&message), Some(&settings()));
            assert_eq!(request(&message, "main"), Some(expected), "{message:?}");
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
    fn a_commit_that_does_not_come_is_not_waited_for_forever() {
        let waits: Vec<bool> = (1..=4).map(waits_for_commit).collect();
        assert_eq!(waits, [true, true, false, false]);
    }
}
