//! The batched lane: while one batch is published, the next commits, and the one after that is taken.
//!
//! Three stages, one task each, joined by channels that hold one batch: a slow stage holds back the one before it, and
//! in the end the broker, so no more is in memory than the prefetch allows. Batches stay in their order.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Bus, Consumer, Outgoing, Receipt};
use lockstep_protocol::topology::Lane;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::actor::TrustedUsers;
use super::backoff::Backoff;
use super::intake::{Received, receive};
use super::settlement::{Failure, Verdict, on_failure};
use super::{Settlement, answer, dead, decide, retry};
use crate::clock::Clock;
use crate::fail_point::{self, FailPoint};
use crate::handlers::{Handlers, Rejection};
use crate::store::{BatchStore, Healing, Keys, StoreError};

/// A lane that works micro-batches.
#[derive(Clone, Debug)]
pub(super) struct BatchLane {
    /// Where retries of its messages go.
    pub(super) lane: Lane,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) store: Arc<dyn BatchStore>,
    pub(super) handlers: Arc<dyn Handlers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trusted: Arc<TrustedUsers>,
    /// The most messages in a batch.
    pub(super) batch_size: usize,
    /// How long a batch waits for more.
    pub(super) linger: Duration,
    /// Stop taking, finish what was taken.
    pub(super) stop: CancellationToken,
    /// Stop waiting too: what is not finished goes back.
    pub(super) abandon: CancellationToken,
}

/// A batch on its way to the commit.
struct Taken {
    messages: Vec<Received>,
    receipt: Receipt,
}

/// A batch on its way to the broker.
struct Committed {
    outgoing: Vec<Outgoing>,
    receipt: Receipt,
}

/// The lane was told to abandon what it holds.
struct Abandoned;

impl BatchLane {
    /// Works until told to stop, or until the bus is closed. What was taken and not finished goes back to the queue.
    pub(super) async fn run(self, consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        let (to_commit, taken) = mpsc::channel(1);
        let (to_publish, committed) = mpsc::channel(1);
        let taking = tokio::spawn(lane.clone().take(consumer, to_commit));
        let committing = tokio::spawn(lane.clone().commit(taken, to_publish));
        let publishing = tokio::spawn(lane.clone().publish(committed));

        // In this order: the consumer must outlive the last acknowledgement.
        let (consumer, (), ()) = match tokio::try_join!(taking, committing, publishing) {
            Ok(ended) => ended,
            Err(error) => {
                // Only a bug gets here: the stages contain panics of handlers. Everything unacknowledged comes again.
                tracing::error!(lane = %lane.lane, %error, "a stage of the lane died");
                return;
            }
        };
        consumer.close().await;
    }

    async fn take(
        self: Arc<Self>,
        mut consumer: Box<dyn Consumer>,
        to_commit: mpsc::Sender<Taken>,
    ) -> Box<dyn Consumer> {
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                batch = consumer.take(self.batch_size, self.linger) => batch,
            };
            let Some(batch) = batch else { break };
            fail_point::pass(FailPoint::AfterReceived);
            let now = self.clock.now();
            let messages = batch
                .deliveries
                .into_iter()
                .map(|delivery| receive(delivery, &self.trusted, now));
            let taken = Taken {
                messages: messages.collect(),
                receipt: batch.receipt,
            };
            if to_commit.send(taken).await.is_err() {
                break;
            }
        }
        consumer
    }

    async fn commit(self: Arc<Self>, mut taken: mpsc::Receiver<Taken>, to_publish: mpsc::Sender<Committed>) {
        while let Some(Taken { messages, receipt }) = taken.recv().await {
            let Ok(settlements) = self.work(&messages).await else {
                break;
            };
            fail_point::pass(FailPoint::AfterCommit);
            let outgoing = messages
                .iter()
                .zip(&settlements)
                .flat_map(|(message, settlement)| {
                    log(self.lane, message, settlement);
                    consequences(message, settlement, self.lane)
                });
            let committed = Committed {
                outgoing: outgoing.collect(),
                receipt,
            };
            if to_publish.send(committed).await.is_err() {
                break;
            }
        }
    }

    async fn publish(self: Arc<Self>, mut committed: mpsc::Receiver<Committed>) {
        while let Some(Committed { outgoing, receipt }) = committed.recv().await {
            if self.confirm(outgoing).await.is_err() {
                break;
            }
            fail_point::pass(FailPoint::AfterConfirm);
            fail_point::pass(FailPoint::BeforeAck);
            receipt.ack().await;
        }
    }

    /// Publishes until all of it is confirmed: an answer that cannot be given holds the lane.
    async fn confirm(&self, outgoing: Vec<Outgoing>) -> Result<(), Abandoned> {
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

    /// Works a batch in one transaction; where something in it cannot be worked, one by one, so that a bad message never
    /// fails its neighbours.
    async fn work(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        match self.transaction(messages).await? {
            Ok(settlements) => return Ok(settlements),
            Err(failure) if messages.len() == 1 => return Ok(vec![self.fail(&messages[0], failure).await?]),
            Err(failure) => {
                tracing::warn!(lane = %self.lane, messages = messages.len(), ?failure, "batch failed; working it one by one");
            }
        }
        let mut settlements = Vec::with_capacity(messages.len());
        for message in messages {
            let settlement = match self.transaction(std::slice::from_ref(message)).await? {
                Ok(mut settlements) => settlements.remove(0),
                Err(failure) => self.fail(message, failure).await?,
            };
            settlements.push(settlement);
        }
        Ok(settlements)
    }

    /// What becomes of a message that cannot be worked. Dead is committed before the dead letter is published, and an
    /// applied message cannot die.
    async fn fail(&self, message: &Received, failure: Failure) -> Result<Settlement, Abandoned> {
        let (code, reason) = match on_failure(failure, message.attempt) {
            Verdict::Retry { rung, attempt } => return Ok(Settlement::Retry { rung, attempt }),
            Verdict::Dead { code, reason } => (code, reason),
        };
        let keys = Keys {
            identities: [message.identity.clone()].into(),
            ..Keys::default()
        };
        let buried = self
            .in_transaction(&keys, |facts| {
                if let Some(row) = facts.message(&message.identity) {
                    return decide::again(row);
                }
                let rejection = Rejection::new(code, "$", reason.clone());
                decide::bury(message, &message.identity, rejection, facts, self.clock.now())
            })
            .await?;
        Ok(match buried {
            Ok(settlement) => settlement,
            // Not even that can be written: the message waits until somebody looks after the store.
            Err(failure) => {
                tracing::error!(lane = %self.lane, message.id = %message.identity.id, ?failure, "dead message cannot be noted");
                Settlement::Postpone {
                    rung: lockstep_protocol::topology::Rung::Minutes10,
                }
            }
        })
    }

    /// One try at all of these messages together.
    async fn transaction(
        &self,
        messages: &[Received],
    ) -> Result<Result<Vec<Settlement>, Failure>, Abandoned> {
        let keys = match contain(|| self.keys(messages)) {
            Ok(keys) => keys,
            Err(failure) => return Ok(Err(failure)),
        };
        self.in_transaction(&keys, |facts| {
            let now = self.clock.now();
            messages
                .iter()
                .map(|message| decide::decide(message, facts, &*self.handlers, now))
                .collect()
        })
        .await
    }

    fn keys(&self, messages: &[Received]) -> Keys {
        let mut keys = Keys::default();
        for message in messages {
            keys.identities.insert(message.identity.clone());
            if let Ok(envelope) = &message.decoded {
                keys.extend(self.handlers.keys(envelope));
            }
        }
        keys
    }

    /// Runs a decision in a transaction, for as long as waiting or repeating heals it.
    async fn in_transaction<T>(
        &self,
        keys: &Keys,
        decide: impl Fn(&mut crate::store::Facts) -> T,
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
            match (error.healing(), &error) {
                (Healing::Repeat, _) => self.wait(&mut contended).await?,
                (Healing::Wait, _)
                | (Healing::Never, StoreError::SchemaVersion { .. } | StoreError::Address { .. }) => {
                    tracing::warn!(lane = %self.lane, error = chain(&error), "store away; the lane holds what it has");
                    self.wait(&mut away).await?;
                }
                (Healing::Never, StoreError::Corrupt { .. }) => {
                    return Ok(Err(Failure::Unreadable(chain(&error))));
                }
                (Healing::Never, _) => return Ok(Err(Failure::Refused(chain(&error)))),
            }
        }
    }

    async fn wait(&self, backoff: &mut Backoff) -> Result<(), Abandoned> {
        tokio::select! {
            biased;
            () = self.abandon.cancelled() => Err(Abandoned),
            () = tokio::time::sleep(backoff.next()) => Ok(()),
        }
    }
}

/// Everything a settlement causes, to be confirmed before the message is acknowledged.
fn consequences(message: &Received, settlement: &Settlement, lane: Lane) -> Vec<Outgoing> {
    match settlement {
        Settlement::Applied(row) => vec![answer::answer(message, row)],
        Settlement::Dead(row) => vec![dead::letter(message, row, lane), answer::answer(message, row)],
        Settlement::Retry { rung, attempt } => vec![retry::copy(message, lane, *rung, *attempt)],
        Settlement::Postpone { rung } => vec![retry::copy(message, lane, *rung, message.attempt)],
    }
}

/// Runs code that decides, and turns its panic into a failure.
fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Failure> {
    std::panic::catch_unwind(AssertUnwindSafe(code)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Failure::Panicked(
            text.or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default(),
        )
    })
}

/// An error with all its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

fn log(lane: Lane, message: &Received, settlement: &Settlement) {
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
        Settlement::Retry { rung, .. } => {
            tracing::warn!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, ?rung, "message will be tried again");
        }
        Settlement::Postpone { rung } => {
            tracing::info!(%lane, message.id = %id, message.source = %source, message.attempt = attempt, ?rung, "message postponed");
        }
    }
}
