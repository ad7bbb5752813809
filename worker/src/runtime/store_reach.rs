//! Finds out whether the store answers this worker at all.

use std::sync::Arc;
use std::time::Duration;

use lockstep_store::Schema;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;

/// A lane that waits this long for the store asks whether it answers at all.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// Without an answer within this time it does not. So a lane gives its messages back after eight seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the store.
#[derive(Clone, Debug)]
pub(super) struct StoreReach {
    schema: Arc<dyn Schema>,
}

impl StoreReach {
    pub(super) fn new(schema: Arc<dyn Schema>) -> Self {
        Self { schema }
    }

    /// Returns when the store does not answer, while somebody waits for it. A store that answers slowly, or that it cannot do
    /// something now, is not lost: another worker would wait for it as well.
    pub(super) async fn lost(&self) {
        loop {
            sleep(ASKED_AFTER).await;
            if !self.answers().await {
                return;
            }
        }
    }

    /// Returns when the store answers.
    pub(super) async fn back(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        while !self.answers().await {
            sleep(backoff.next()).await;
        }
    }

    async fn answers(&self) -> bool {
        match timeout(ANSWER_TIMEOUT, self.schema.ping()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => !error.is_unanswered(),
            Err(_) => false,
        }
    }
}
