use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
use lockstep_protocol::events::RepositoryChanged;
use lockstep_protocol::internal::RepositoryTipMoved;
use lockstep_protocol::{Message, RepositoryName};

use crate::handlers::{Processing, Rejection, processing, run_lane};

/// A message of the repositories lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RepositoryMessage<'a> {
    /// A forge reported a push.
    Changed(&'a RepositoryChanged),
    /// An operator asked for a refresh.
    RefreshRequested(&'a RepositoryRefreshRequested),
    /// An operator accepted a commit.
    AcceptRequested(&'a RepositoryAcceptRequested),
    /// A worker found another tip at the remote.
    TipMoved(&'a RepositoryTipMoved),
}

impl<'a> RepositoryMessage<'a> {
    /// The repository, by its configured name.
    pub fn repository(&self) -> &'a RepositoryName {
        match self {
            Self::Changed(event) => &event.repository,
            Self::RefreshRequested(command) => &command.repository,
            Self::AcceptRequested(command) => &command.repository,
            Self::TipMoved(internal) => &internal.repository,
        }
    }
}

impl<'a> TryFrom<&'a Message> for RepositoryMessage<'a> {
    type Error = Rejection;

    fn try_from(message: &'a Message) -> Result<Self, Rejection> {
        match processing(message) {
            Some(Processing::Repositories(message)) => Ok(message),
            Some(
                Processing::Batch(_)
                | Processing::Executions(_)
                | Processing::Element(_)
                | Processing::NotSupported,
            )
            | None => Err(Rejection::wrong_lane(message.kind())),
        }
    }
}

run_lane!(Repositories(RepositoryMessage):
    RepositoryChanged => Changed,
    RepositoryRefreshRequested => RefreshRequested,
    RepositoryAcceptRequested => AcceptRequested,
    RepositoryTipMoved => TipMoved,
);
