use lockstep_bus::PublishError;
use lockstep_dcim_client::ClientError;
use lockstep_store::StoreError;

/// Why a poll ended early. The next one goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    /// The source did not answer as expected. Kept in the store.
    #[error("cannot read the change log")]
    Source(#[from] ClientError),
    /// The store is unavailable.
    #[error("the store is unavailable")]
    Store(#[from] StoreError),
    /// The broker did not confirm the messages.
    #[error("cannot publish the changes")]
    Publish(#[from] PublishError),
    /// The broker confirmed nothing in time.
    #[error("the broker did not confirm the changes in time")]
    NotConfirmed,
}
