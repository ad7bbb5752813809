//! The common part of all lanes: they keep the messages they took while the broker or the store is unavailable.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing, PublishError};
use lockstep_clock::Clock;
use lockstep_protocol::WorkResult;
use lockstep_protocol::topology::{Lane, RetryDelay};
use lockstep_store::{
    AttemptStart, DeliveryAttempts, Facts, FollowUps, InboxRow, Keys, Leases, StoreError, UnitOfWork,
};
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::backoff::Backoff;
use super::intake::Received;
use super::poison::give_back;
use super::processing_error::{FailureAction, ProcessingError, on_failure};
use super::store_reach::StoreReach;
use super::transaction_retry::TransactionRetry;
use super::{Settlement, answer, decide, retry};
use crate::fail_point::{self, FailPoint};
use crate::handlers::Rejection;

/// How long a message waits after a failure that it did not cause.
pub(super) const LATER: RetryDelay = RetryDelay::Seconds5;

/// The connections and settings that every lane needs.
#[derive(Clone, Debug)]
pub(super) struct LaneContext {
    /// The lane to which retries of its messages return.
    pub(super) lane: Lane,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) store: Arc<dyn UnitOfWork>,
    pub(super) follow_ups: Arc<dyn FollowUps>,
    pub(super) delivery_attempts: Arc<dyn DeliveryAttempts>,
    pub(super) leases: Arc<dyn Leases>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) authority: Arc<Authority>,
    /// How long a published follow-up may stay unprocessed before it is published again.
    pub(super) republish_after: Duration,
    /// Whether the store answers this worker.
    pub(super) store_reach: StoreReach,
    /// Starts that could not be given back while the store did not answer.
    pub(super) owed: Arc<Mutex<BTreeSet<AttemptStart>>>,
    /// Fires when the store has not answered for too long: the lane ends, and what it did not finish returns to the queue.
    pub(super) cut_off: CancellationToken,
    /// When it fires, the lane takes no more messages and finishes those it took.
    pub(super) stop: CancellationToken,
    /// When it fires, the lane stops waiting too, and returns unfinished messages to the broker.
    pub(super) abandon: CancellationToken,
}

/// The lane is abandoned, or cut off from the store: unfinished messages return to the broker.
#[derive(Debug)]
pub(super) struct Abandoned;

/// What became of messages that were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// The broker confirmed all of them.
    Confirmed,
    /// One with this size is too large for the broker, as are all that are not smaller.
    TooLarge(usize),
    /// They are to be published again after a wait.
    Failed,
}

/// The waits between attempts to publish.
pub(super) fn publish_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(30))
}

impl LaneContext {
    /// Publishes messages until all are confirmed. While they cannot be published, the lane waits. The inner error is the size of
    /// a message that is too large for the broker, as are all that are not smaller; some of the messages may be published.
    pub(super) async fn confirm(&self, outgoing: Vec<Outgoing>) -> Result<Result<(), usize>, Abandoned> {
        let mut backoff = publish_backoff();
        loop {
            match self.publish(outgoing.clone()).await? {
                Published::Confirmed => return Ok(Ok(())),
                Published::TooLarge(size) => return Ok(Err(size)),
                Published::Failed => self.wait(&mut backoff).await?,
            }
        }
    }

    /// Publishes messages once. If they are not all confirmed, some of them may be published.
    pub(super) async fn publish(&self, outgoing: Vec<Outgoing>) -> Result<Published, Abandoned> {
        let publishing = async {
            let publishing = self.bus.publish(outgoing);
            tokio::pin!(publishing);
            // The first poll hands the messages over: a crash here lies between publishing and the confirm.
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
            Ok(()) => Ok(Published::Confirmed),
            Err(PublishError::Closed) => Err(Abandoned),
            Err(PublishError::TooLarge { size, reason, .. }) => {
                tracing::warn!(lane = %self.lane, bytes = size, reason, "a message is too large for the broker");
                Ok(Published::TooLarge(size))
            }
            Err(error) => {
                tracing::error!(lane = %self.lane, %error, "results cannot be published; the lane waits and tries again");
                Ok(Published::Failed)
            }
        }
    }

    /// The settlement of a message whose processing failed.
    pub(super) async fn fail(
        &self,
        message: &Received,
        error: ProcessingError,
    ) -> Result<Settlement, Abandoned> {
        tracing::debug!(lane = %self.lane, message.id = %message.key.identity.id, %error, "message not processed");
        let reason = error.reason.clone();
        match on_failure(error, message.attempt) {
            FailureAction::Retry { delay, attempt } => Ok(Settlement::Retry {
                delay,
                attempt,
                reason,
            }),
            FailureAction::Postpone => self.postpone(message, LATER).await,
            FailureAction::Reject(rejection) => self.reject(message, rejection).await,
        }
    }

    /// Postpones a message, with no attempt spent: a follow-up waits in the store, any other message as a copy in the broker.
    pub(super) async fn postpone(
        &self,
        message: &Received,
        delay: RetryDelay,
    ) -> Result<Settlement, Abandoned> {
        if message.follow_up.is_none() {
            return Ok(Settlement::Postpone { delay });
        }
        let mut keys = Keys::default();
        let postpone = |facts: &mut Facts| decide::postpone(message, facts, self.now(facts), delay);
        let postponed = self.in_transaction(&mut keys, postpone).await?;
        Ok(postponed.unwrap_or(Settlement::Postpone { delay }))
    }

    /// Dead-letters or refuses a message. An applied message is never rejected.
    pub(super) async fn reject(
        &self,
        message: &Received,
        rejection: Rejection,
    ) -> Result<Settlement, Abandoned> {
        self.complete(message, |facts, now| {
            decide::reject(message, &message.key, rejection.clone(), facts, now)
        })
        .await
    }

    /// Records that a message is applied.
    pub(super) async fn apply(
        &self,
        message: &Received,
        result: WorkResult,
    ) -> Result<Settlement, Abandoned> {
        self.complete(message, |facts, now| {
            decide::applied(message, result.clone(), false, facts, now)
        })
        .await
    }

    /// Commits the completion of a message, unless it was completed before.
    async fn complete(
        &self,
        message: &Received,
        complete: impl Fn(&mut Facts, Timestamp) -> Settlement,
    ) -> Result<Settlement, Abandoned> {
        let mut keys = Keys {
            messages: [message.key_and_digest()].into(),
            ..Keys::default()
        };
        let completed = self
            .in_transaction(&mut keys, |facts| {
                let now = self.now(facts);
                decide::settled_before(message, facts, now).unwrap_or_else(|| complete(facts, now))
            })
            .await?;
        Ok(completed.unwrap_or_else(|error| {
            // Not even the completion can be written: the message waits until an operator repairs the store.
            tracing::error!(lane = %self.lane, message.id = %message.key.identity.id, %error, "the completion of a message cannot be written");
            Settlement::Postpone {
                delay: RetryDelay::Minutes10,
            }
        }))
    }

    /// The time of decisions. The store's clock counts, so that workers agree on the order of messages without a time.
    pub(super) fn now(&self, facts: &Facts) -> Timestamp {
        facts.now().unwrap_or_else(|| self.clock.now())
    }

    /// Runs a decision in a transaction. Repeats it after failures that the message did not cause, and then no longer takes messages
    /// for new.
    pub(super) async fn in_transaction<T>(
        &self,
        keys: &mut Keys,
        decide: impl Fn(&mut Facts) -> T,
    ) -> Result<Result<T, ProcessingError>, Abandoned> {
        self.with_store(self.repeat_transaction(keys, decide)).await
    }

    /// Does what needs the store, until the worker is abandoned, or the store has not answered for too long.
    pub(super) async fn with_store<T>(
        &self,
        work: impl Future<Output = Result<T, Abandoned>>,
    ) -> Result<T, Abandoned> {
        tokio::select! {
            biased;
            () = self.abandon.cancelled() => Err(Abandoned),
            () = self.cut_off.cancelled() => Err(Abandoned),
            done = work => done,
            () = self.store_reach.lost() => {
                self.cut_off.cancel();
                Err(Abandoned)
            }
        }
    }

    async fn repeat_transaction<T>(
        &self,
        keys: &mut Keys,
        decide: impl Fn(&mut Facts) -> T,
    ) -> Result<Result<T, ProcessingError>, Abandoned> {
        let mut retry = TransactionRetry::of(self.lane);
        loop {
            let once = async {
                let (mut facts, transaction) = self.store.begin(&[], keys).await?;
                let decided = contain(|| decide(&mut facts));
                fail_point::pass(FailPoint::AfterInbox);
                if decided.is_ok() {
                    transaction.commit(&facts).await?;
                }
                Ok::<_, StoreError>(decided)
            };
            let result = once.await;
            if !matches!(result, Ok(Ok(_))) {
                // What follows is a wait, an attempt at each message by itself, or an end without a crash.
                give_back(&*self.delivery_attempts, &keys.starts).await;
            }
            let assumed_new = result.is_err() && std::mem::take(&mut keys.assume_new);
            match result {
                Ok(decided) => return Ok(decided),
                // One of the messages has an inbox row: nobody has to be waited for.
                Err(error) if assumed_new && error.is_conflict() => {}
                Err(error) => match retry.after(error) {
                    Ok(pause) => self.pause(pause).await?,
                    Err(error) => return Ok(Err(error.into())),
                },
            }
        }
    }

    pub(super) async fn wait(&self, backoff: &mut Backoff) -> Result<(), Abandoned> {
        self.pause(backoff.next()).await
    }

    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Abandoned> {
        tokio::select! {
            biased;
            () = self.abandon.cancelled() => Err(Abandoned),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// What is published for a settlement before the message is acknowledged, apart from follow-ups.
pub(super) fn consequences(message: &Received, settlement: &Settlement, lane: Lane) -> Option<Outgoing> {
    match settlement {
        Settlement::Applied(row) | Settlement::Dead(row) | Settlement::Refused(row) => {
            Some(answer::answer(message, row))
        }
        Settlement::Retry { delay, attempt, .. } => Some(retry::copy(message, lane, *delay, *attempt)),
        Settlement::Postpone { delay } => Some(retry::copy(message, lane, *delay, message.attempt)),
        Settlement::Forward { lane } => {
            Some(retry::copy(message, *lane, RetryDelay::Seconds5, message.attempt))
        }
        Settlement::Waiting | Settlement::Claimed => None,
    }
}

/// Runs code that decides, and turns its panic into an error.
pub(super) fn contain<T>(code: impl FnOnce() -> T) -> Result<T, ProcessingError> {
    std::panic::catch_unwind(AssertUnwindSafe(code))
        .map_err(|panic| ProcessingError::panicked(&panic_text(&*panic)))
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

pub(super) fn log(lane: Lane, message: &Received, settlement: &Settlement) {
    let id = &message.key.identity.id;
    let source = &message.key.identity.source;
    let attempt = message.attempt;
    match settlement {
        Settlement::Applied(row) => {
            let kind = row.kind.as_str();
            tracing::debug!(%lane, message.id = %id, message.source = %source, message.type = kind, message.attempt = attempt, "message applied");
        }
        Settlement::Dead(row) => {
            let kind = row.kind.as_str();
            let (code, place, reason) = rejected(row);
            tracing::warn!(%lane, message.id = %id, message.source = %source, message.type = kind, message.attempt = attempt, code, place, reason, "message dead-lettered");
        }
        Settlement::Refused(row) => {
            let kind = row.kind.as_str();
            let (code, place, reason) = rejected(row);
            tracing::info!(%lane, message.id = %id, message.source = %source, message.type = kind, message.attempt = attempt, code, place, reason, "message refused to its sender");
        }
        Settlement::Retry { delay, reason, .. } => {
            let delay_s = delay.delay().as_secs();
            tracing::warn!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, delay_s, reason, "message will be tried again");
        }
        Settlement::Forward { lane: target } => {
            tracing::warn!(%lane, message.id = %id, message.source = %source, to = %target, "message had no route and is forwarded to its lane: is a binding missing?");
        }
        Settlement::Postpone { delay } => {
            let delay_s = delay.delay().as_secs();
            tracing::info!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, delay_s, "message postponed");
        }
        Settlement::Waiting => {
            tracing::debug!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, "message waits in its row");
        }
        Settlement::Claimed => {
            tracing::trace!(%lane, message.id = %id, message.source = %source, "message claimed");
        }
    }
}

/// Code, place and reason of the rejection, as texts for the log.
fn rejected(row: &InboxRow) -> (&str, &str, &str) {
    match &row.result {
        WorkResult::MessageRejected(rejected) => (
            rejected.code.as_str(),
            rejected.place.as_deref().unwrap_or_default(),
            &rejected.reason,
        ),
        _ => ("", "", ""),
    }
}
