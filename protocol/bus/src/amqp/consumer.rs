//! The AMQP consumer: takes batches from the current session, while a supervisor replaces sessions that end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lockstep_protocol::topology::Queue;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::ack_tracker::TagRange;
use super::backoff::{Backoff, HEALTHY};
use super::outage::{Failure, Outage, Success};
use super::properties;
use super::session::{Session, SessionChannel, SessionError};
use super::supervised_connection::{CLOSING, SupervisedConnection};
use crate::{Batch, BusError, ConsumeOptions, Consumer, Delivery, Receipt};

/// How often the supervisor checks the channel.
const WATCHDOG: Duration = Duration::from_secs(5);

/// What to consume, and how. The same for every session of a consumer.
pub(super) struct ConsumerConfig {
    pub(super) queue: Queue,
    pub(super) options: ConsumeOptions,
    pub(super) connection: SupervisedConnection,
    /// The timeout of a request to the broker.
    pub(super) limit: Duration,
    /// Stops this consumer.
    pub(super) stop: CancellationToken,
}

/// Hands a new session from the supervisor to the consumer; holds the newest one only.
#[derive(Default)]
struct Mailbox {
    session: Mutex<Option<Session>>,
    arrived: Notify,
}

/// Starts to consume. If the broker is reachable, the first session is opened here, so that the caller gets permanent
/// errors. The supervisor opens all others.
pub(super) async fn start(config: ConsumerConfig, tasks: &TaskTracker) -> Result<AmqpConsumer, BusError> {
    let first = match config
        .connection
        .attempted()
        .await
        .map_err(|_| BusError::Closed)?
    {
        None => None,
        Some(generation) => {
            match Session::open(generation, &config.queue, config.options, config.limit).await {
                Ok(session) => Some(session),
                Err(SessionError::Refused(error)) => return Err(error),
                Err(SessionError::Lost(reason)) => {
                    debug!(queue = config.queue.name(), reason, "cannot consume yet");
                    None
                }
            }
        }
    };
    let mailbox = Arc::new(Mailbox::default());
    let stop = config.stop.clone();
    let ended = CancellationToken::new();
    let supervisor = Supervisor {
        config,
        mailbox: Arc::clone(&mailbox),
        tasks: tasks.clone(),
    };
    let guard = ended.clone().drop_guard();
    tasks.spawn(async move {
        supervisor.run(first).await;
        drop(guard);
    });
    Ok(AmqpConsumer {
        mailbox,
        session: None,
        buffer: VecDeque::new(),
        stop,
        ended,
    })
}

/// Reads lapin's stream directly, without a task or channel in between.
pub(super) struct AmqpConsumer {
    mailbox: Arc<Mailbox>,
    session: Option<Session>,
    /// Deliveries with their consecutive tags that were received but not returned, such as by a dropped [`Consumer::take`].
    buffer: VecDeque<(u64, Delivery)>,
    stop: CancellationToken,
    /// Cancelled when the supervisor has ended and closed the session.
    ended: CancellationToken,
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn take(&mut self, max: usize) -> Option<Batch> {
        let max = max.max(1);
        loop {
            while self.buffer.is_empty() {
                self.receive().await?;
            }
            if self.stop.is_cancelled() {
                return None;
            }
            self.fill(max);
            // The buffer is empty if the session ended; the broker delivers those messages again.
            if let Some(batch) = self.cut(max) {
                return Some(batch);
            }
        }
    }

    async fn close(self: Box<Self>) {
        self.stop.cancel();
        let _ = timeout(CLOSING * 2, self.ended.cancelled()).await;
    }
}

impl AmqpConsumer {
    /// Waits for a delivery, a new session, or the end of a session. `None` if the consumer is stopped.
    async fn receive(&mut self) -> Option<()> {
        if self.stop.is_cancelled() {
            return None;
        }
        let Some(session) = &mut self.session else {
            return self.next_session().await;
        };
        let next = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            () = session.channel.ended.cancelled() => None,
            next = session.deliveries.next() => next,
        };
        self.accept(next);
        Some(())
    }

    /// Collects deliveries that have already arrived, without waiting.
    fn fill(&mut self, max: usize) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.channel.ended.is_cancelled())
        {
            self.leave();
        }
        while self.buffer.len() < max
            && let Some(session) = &mut self.session
            && let Some(next) = session.deliveries.next().now_or_never()
        {
            self.accept(next);
        }
    }

    fn accept(&mut self, next: Option<lapin::Result<lapin::message::Delivery>>) {
        match next {
            Some(Ok(delivery)) => {
                let tag = delivery.delivery_tag;
                self.buffer.push_back((tag, properties::from_amqp(delivery)));
            }
            Some(Err(error)) => {
                debug!(%error, "the channel of a consumer ended");
                self.leave();
            }
            // The broker cancelled the consumer: the queue was deleted, or its node is down. The channel stays open.
            None => self.leave(),
        }
    }

    /// Drops the session and the deliveries buffered from it.
    fn leave(&mut self) {
        self.buffer.clear();
        if let Some(session) = self.session.take() {
            session.channel.ended.cancel();
        }
    }

    async fn next_session(&mut self) -> Option<()> {
        loop {
            let arrived = self.mailbox.arrived.notified();
            if let Some(session) = self.mailbox.take() {
                self.session = Some(session);
                return Some(());
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = arrived => {}
            }
        }
    }

    fn cut(&mut self, max: usize) -> Option<Batch> {
        let count = self.buffer.len().min(max);
        let range = TagRange {
            first: self.buffer.front()?.0,
            last: self.buffer.get(count - 1)?.0,
        };
        let channel = Arc::clone(&self.session.as_ref()?.channel);
        Some(Batch {
            deliveries: self.buffer.drain(..count).map(|(_, delivery)| delivery).collect(),
            receipt: Receipt::new(channel.receipt(range)),
        })
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Mailbox {
    fn put(&self, session: Session) {
        *self.lock() = Some(session);
        self.arrived.notify_one();
    }

    fn take(&self) -> Option<Session> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Supervisor {
    config: ConsumerConfig,
    mailbox: Arc<Mailbox>,
    tasks: TaskTracker,
}

impl Supervisor {
    async fn run(self, first: Option<Session>) {
        let mut backoff = Backoff::new();
        let mut outage = Outage::default();
        let queue = self.config.queue.name();
        let mut next = first;
        while !self.config.stop.is_cancelled() {
            let session = match next.take() {
                Some(session) => session,
                None => match self.open().await {
                    Some(Ok(session)) => session,
                    Some(Err(error)) => {
                        report(queue, &error, &mut outage);
                        self.pause(backoff.wait()).await;
                        continue;
                    }
                    None => break,
                },
            };
            let opened_at = Instant::now();
            if let Success::Ended(away) = outage.succeeded(PART, opened_at) {
                info!(queue, away_ms = away.as_millis(), "consuming again");
            }
            let channel = Arc::clone(&session.channel);
            self.mailbox.put(session);
            self.monitor(&channel).await;
            if self.config.stop.is_cancelled() {
                channel.end().await;
                break;
            }
            // Makes the consumer drop the session, too.
            channel.ended.cancel();
            let ending = Arc::clone(&channel);
            self.tasks.spawn(async move { ending.end().await });
            if opened_at.elapsed() > HEALTHY {
                backoff.reset();
            }
            self.pause(backoff.wait()).await;
            // A lost connection, which may be noticed a moment later, is reported by its supervisor.
            if !channel.connection_works() {
                debug!(queue, "a consumer lost its connection");
            } else if outage.failed(PART, Instant::now()) == Failure::Began {
                warn!(queue, "a consumer lost its channel");
            }
        }
        // A session that the consumer never took.
        drop(self.mailbox.take());
    }

    async fn open(&self) -> Option<Result<Session, SessionError>> {
        let open = async {
            let generation = self.config.connection.connected().await.ok()?;
            Some(
                Session::open(
                    generation,
                    &self.config.queue,
                    self.config.options,
                    self.config.limit,
                )
                .await,
            )
        };
        tokio::select! {
            biased;
            () = self.config.stop.cancelled() => None,
            opened = open => opened,
        }
    }

    /// Returns when the session has ended or the consumer is stopped.
    async fn monitor(&self, channel: &SessionChannel) {
        let mut watchdog = interval(WATCHDOG);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.config.stop.cancelled() => return,
                () = channel.ended.cancelled() => return,
                () = channel.connection_lost() => return,
                _ = watchdog.tick() => {}
            }
            if !channel.works() {
                return;
            }
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.config.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}

/// The only part of the outage of a consumer.
const PART: &str = "channel";

/// Logs why a queue cannot be consumed, once for each outage and now and then while it lasts.
fn report(queue: &str, error: &SessionError, outage: &mut Outage) {
    match error {
        SessionError::Refused(error) => match outage.failed(PART, Instant::now()) {
            Failure::Began => warn!(queue, %error, "cannot consume; trying again"),
            Failure::Lasts(away) => {
                warn!(queue, %error, away_s = away.as_secs(), "still cannot consume; trying again");
            }
            Failure::Known => debug!(queue, %error, "cannot consume"),
        },
        SessionError::Lost(reason) => debug!(queue, reason, "cannot consume yet"),
    }
}
