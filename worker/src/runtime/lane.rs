//! What all lanes have in common: they hold what they took while the broker or the store is away.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing};
use lockstep_protocol::WorkResult;
use lockstep_protocol::topology::{Lane, RetryDelay};
use tokio_util::sync::CancellationToken;

use super::actor::TrustedUsers;
use super::backoff::Backoff;
use super::intake::Received;
use super::settlement::{Failure, FailureAction, on_failure};
use super::{Settlement, answer, decide, retry};
use crate::fail_point::{self, FailPoint};
use crate::handlers::Rejection;
use lockstep_clock::Clock;
use lockstep_store::{BatchStore, DeadLetters, DeliveryAttempts, Facts, Keys, Retryability, StoreError};

/// What every lane works with.
#[derive(Clone, Debug)]
pub(super) struct LaneContext {
    /// Where retries of its messages go.
    pub(super) lane: Lane,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) store: Arc<dyn BatchStore>,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) starts: Arc<dyn DeliveryAttempts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trusted: Arc<TrustedUsers>,
    /// Stop taking, finish what was taken.
    pub(super) stop: CancellationToken,
    /// Stop waiting too: what is not finished goes back.
    pub(super) abandon: CancellationToken,
}

/// The lane was told to abandon what it holds.
#[derive(Debug)]
pub(super) struct Abandoned;

impl LaneContext {
    /// Publishes until all of it is confirmed: an answer that cannot be given holds the lane.
    pub(super) async fn confirm(&self, outgoing: Vec<Outgoing>) -> Result<(), Abandoned> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            let publishing = async {
                let publishing = self.bus.publish(outgoing.clone());
                tokio::pin!(publishing);
                // Handed over once polled: what a crash between publishing and the confirm looks like.
                if let Some(result) = futures_util::FutureExt::now_or_never(publishing.as_mut()) {
                    return result;
                }
                fail_point::pass(FailPoint::AfterPublish);
                publishing.await
            };
            let result = tokio::select! {
                biased;
                () = self.abandon.cancelled() => return Err(Abandoned),
                result = publishing => result,
            };
            match result {
                Ok(()) => return Ok(()),
                Err(lockstep_bus::PublishError::Closed) => return Err(Abandoned),
                Err(error) => {
                    tracing::error!(lane = %self.lane, %error, "results cannot be published; the lane holds what it has");
                    self.wait(&mut backoff).await?;
                }
            }
        }
    }

    /// What becomes of a message that cannot be worked.
    pub(super) async fn fail(&self, message: &Received, failure: Failure) -> Result<Settlement, Abandoned> {
        match on_failure(failure, message.attempt) {
            FailureAction::Retry { delay, attempt } => Ok(Settlement::Retry { delay, attempt }),
            FailureAction::Dead { code, reason } => {
                self.dead_letter(message, Rejection::new(code, "$", reason)).await
            }
        }
    }

    /// Declares a message dead, and keeps its letter. An applied message cannot die.
    pub(super) async fn dead_letter(
        &self,
        message: &Received,
        rejection: Rejection,
    ) -> Result<Settlement, Abandoned> {
        self.end(message, |facts, now| {
            decide::dead_letter(message, &message.identity, rejection.clone(), facts, now)
        })
        .await
    }

    /// Notes that a message was applied.
    pub(super) async fn apply(
        &self,
        message: &Received,
        result: WorkResult,
    ) -> Result<Settlement, Abandoned> {
        self.end(message, |facts, now| {
            decide::applied(message, result.clone(), facts, now)
        })
        .await
    }

    /// Commits how a message ended, unless it ended before.
    async fn end(
        &self,
        message: &Received,
        end: impl Fn(&mut Facts, Timestamp) -> Settlement,
    ) -> Result<Settlement, Abandoned> {
        let keys = Keys {
            identities: [message.identity.clone()].into(),
            ..Keys::default()
        };
        let ended = self
            .in_transaction(&keys, |facts| {
                match decide::processed(message, &message.identity, facts) {
                    Some(row) => decide::again(row),
                    None => end(facts, self.now(facts)),
                }
            })
            .await?;
        Ok(match ended {
            Ok(settlement) => settlement,
            // Not even that can be written: the message waits until somebody looks after the store.
            Err(failure) => {
                tracing::error!(lane = %self.lane, message.id = %message.identity.id, ?failure, "the end of a message cannot be noted");
                Settlement::Postpone {
                    delay: RetryDelay::Minutes10,
                }
            }
        })
    }

    /// What time it is: the store's clock counts, so that workers agree on the order of what has no time of its own.
    pub(super) fn now(&self, facts: &Facts) -> Timestamp {
        facts.now().unwrap_or_else(|| self.clock.now())
    }

    /// Runs a decision in a transaction, for as long as waiting or repeating heals it.
    pub(super) async fn in_transaction<T>(
        &self,
        keys: &Keys,
        decide: impl Fn(&mut Facts) -> T,
    ) -> Result<Result<T, Failure>, Abandoned> {
        let mut away = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut contended = Backoff::new(Duration::from_millis(2), Duration::from_millis(500));
        loop {
            let once = async {
                let (mut facts, transaction) = self.store.begin(keys).await?;
                let decided = contain(|| decide(&mut facts));
                fail_point::pass(FailPoint::AfterInbox);
                if decided.is_ok() {
                    transaction.commit(&facts).await?;
                }
                Ok::<_, StoreError>(decided)
            };
            let result = tokio::select! {
                biased;
                () = self.abandon.cancelled() => return Err(Abandoned),
                result = once => result,
            };
            let error = match result {
                Ok(decided) => return Ok(decided),
                Err(error) => error,
            };
            match (error.retryability(), &error) {
                (Retryability::Repeat, _) => self.wait(&mut contended).await?,
                (Retryability::Wait, _)
                | (
                    Retryability::Never,
                    StoreError::SchemaVersion { .. }
                    | StoreError::SchemaTooNew { .. }
                    | StoreError::Address { .. },
                ) => {
                    tracing::warn!(lane = %self.lane, error = chain(&error), "store away; the lane holds what it has");
                    self.wait(&mut away).await?;
                }
                (Retryability::Never, StoreError::Corrupt { .. }) => {
                    return Ok(Err(Failure::Unreadable(chain(&error))));
                }
                (Retryability::Never, _) => return Ok(Err(Failure::Refused(chain(&error)))),
            }
        }
    }

    pub(super) async fn wait(&self, backoff: &mut Backoff) -> Result<(), Abandoned> {
        tokio::select! {
            biased;
            () = self.abandon.cancelled() => Err(Abandoned),
            () = tokio::time::sleep(backoff.next()) => Ok(()),
        }
    }
}

/// Everything a settlement causes, to be confirmed before the message is acknowledged.
pub(super) fn consequences(message: &Received, settlement: &Settlement, lane: Lane) -> Vec<Outgoing> {
    match settlement {
        Settlement::Applied(row) | Settlement::Dead(row) => vec![answer::answer(message, row)],
        Settlement::Retry { delay, attempt } => vec![retry::copy(message, lane, *delay, *attempt)],
        Settlement::Postpone { delay } => vec![retry::copy(message, lane, *delay, message.attempt)],
        Settlement::Forward { lane } => {
            vec![retry::copy(message, *lane, RetryDelay::Seconds5, message.attempt)]
        }
    }
}

/// Runs code that decides, and turns its panic into a failure.
pub(super) fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Failure> {
    std::panic::catch_unwind(AssertUnwindSafe(code)).map_err(|panic| Failure::Panicked(panic_text(&*panic)))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// An error with all its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

pub(super) fn log(lane: Lane, message: &Received, settlement: &Settlement) {
    let id = &message.identity.id;
    let source = &message.identity.source;
    let attempt = message.attempt;
    match settlement {
        Settlement::Applied(row) => {
            let kind = row.kind.as_str();
            tracing::debug!(%lane, message.id = %id, message.source = %source, message.type = kind, message.attempt = attempt, "message applied");
        }
        Settlement::Dead(row) => {
            let kind = row.kind.as_str();
            let result = &row.result;
            tracing::warn!(%lane, message.id = %id, message.source = %source, message.type = kind, message.attempt = attempt, ?result, "message dead");
        }
        Settlement::Retry { delay, .. } => {
            tracing::warn!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, ?delay, "message will be tried again");
        }
        Settlement::Forward { lane: home } => {
            tracing::warn!(%lane, message.id = %id, message.source = %source, to = %home, "message was not routed: is a binding missing?");
        }
        Settlement::Postpone { delay } => {
            tracing::info!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, ?delay, "message postponed");
        }
    }
}
