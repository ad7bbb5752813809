//! Records which repositories cannot be fetched, so that operators see it while messages wait for their next attempt.

use lockstep_git::GitError;
use lockstep_protocol::RepositoryName;
use lockstep_store::{RepositoryFailures, StoreError};

use crate::runtime::chain;

/// Records that the repository could not be fetched.
pub(super) async fn record<S: RepositoryFailures + ?Sized>(
    store: &S,
    name: &RepositoryName,
    error: &GitError,
) {
    // The clone is in use by another process: that says nothing about the repository.
    if let GitError::Busy = error {
        return;
    }
    noted(store.failed(name, &chain(error)).await);
}

/// Records that the repository was fetched, or has nothing to fetch.
pub(super) async fn clear<S: RepositoryFailures + ?Sized>(store: &S, name: &RepositoryName) {
    noted(store.recovered(name).await);
}

/// What depends on the store itself reports that it is unavailable.
fn noted(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::debug!(error = chain(&error), "cannot record the state of a repository");
    }
}
