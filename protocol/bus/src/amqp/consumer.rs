//! Taking batches from whichever session there is, and keeping one up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lockstep_protocol::topology::Queue;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::ack_tracker::Run;
use super::backoff::{Backoff, HEALTHY};
use super::properties;
use super::session::{Session, SessionChannel, SessionError};
use super::supervised_connection::{CLOSING, Link};
use crate::{Batch, BusError, ConsumeOptions, Consumer, Delivery, Receipt};

/// How often to look at the channel, whether or not somebody takes.
const WATCHDOG: Duration = Duration::from_secs(5);
/// How long to let deliveries gather before taking what came. Woken by each, we would fight lapin's thread for every
/// delivery: that costs a fifth more processor time.
const GATHER: Duration = Duration::from_millis(1);

/// What a consumer is, whatever session it has.
pub(super) struct Plan {
    pub(super) queue: Queue,
    pub(super) options: ConsumeOptions,
    pub(super) link: Link,
    /// How long a question to the broker may take.
    pub(super) limit: Duration,
    /// Ends this consumer.
    pub(super) stop: CancellationToken,
}

/// Where the supervisor puts a new session and the consumer finds it. Only the newest matters.
#[derive(Default)]
struct Mailbox {
    session: Mutex<Option<Session>>,
    arrived: Notify,
}

/// Starts to consume. The first session is tried at once if the broker is there, so that what cannot work is said to
/// the caller; all else is the supervisor's.
pub(super) async fn start(plan: Plan, tasks: &TaskTracker) -> Result<AmqpConsumer, BusError> {
    let first = match plan.link.attempted().await.map_err(|_| BusError::Closed)? {
        None => None,
        Some(generation) => match Session::open(generation, &plan.queue, plan.options, plan.limit).await {
            Ok(session) => Some(session),
            Err(SessionError::Refused(error)) => return Err(error),
            Err(SessionError::Lost(reason)) => {
                debug!(queue = plan.queue.name(), reason, "cannot consume yet");
                None
            }
        },
    };
    let mailbox = Arc::new(Mailbox::default());
    let stop = plan.stop.clone();
    let ended = CancellationToken::new();
    let supervisor = Supervisor {
        plan,
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

/// Takes deliveries straight from lapin's stream: no task in between, and no copy.
pub(super) struct AmqpConsumer {
    mailbox: Arc<Mailbox>,
    session: Option<Session>,
    /// Taken from the session and not handed out: what a dropped [`Consumer::take`] leaves. With delivery tags, which
    /// are consecutive.
    buffer: VecDeque<(u64, Delivery)>,
    stop: CancellationToken,
    /// The supervisor has ended, and the session with it.
    ended: CancellationToken,
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn take(&mut self, max: usize, linger: Duration) -> Option<Batch> {
        let max = max.max(1);
        loop {
            while self.buffer.is_empty() {
                self.receive().await?;
            }
            if self.stop.is_cancelled() {
                return None;
            }
            self.fill(max);
            let deadline = Instant::now() + linger;
            while !self.buffer.is_empty() && self.buffer.len() < max {
                let now = Instant::now();
                if now >= deadline {
                    break;
                }
                sleep_until(deadline.min(now + GATHER)).await;
                self.fill(max);
            }
            // Nothing is left of it if the session ended meanwhile: its deliveries come again.
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
    /// Waits until a delivery or a session came, or a session ended. `None`: there will be no more.
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
            () = session.channel.over.cancelled() => None,
            next = session.deliveries.next() => next,
        };
        self.accept(next);
        Some(())
    }

    /// Takes what is there already, without waiting.
    fn fill(&mut self, max: usize) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.channel.over.is_cancelled())
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
            // Cancelled by the broker: the queue was deleted, or its node is down. The channel does not notice.
            None => self.leave(),
        }
    }

    /// Lets go of the session and what was taken from it.
    fn leave(&mut self) {
        self.buffer.clear();
        if let Some(session) = self.session.take() {
            session.channel.over.cancel();
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
        let run = Run {
            first: self.buffer.front()?.0,
            last: self.buffer.get(count - 1)?.0,
        };
        let channel = Arc::clone(&self.session.as_ref()?.channel);
        Some(Batch {
            deliveries: self.buffer.drain(..count).map(|(_, delivery)| delivery).collect(),
            receipt: Receipt::new(channel.receipt(run)),
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
    plan: Plan,
    mailbox: Arc<Mailbox>,
    tasks: TaskTracker,
}

impl Supervisor {
    async fn run(self, first: Option<Session>) {
        let mut backoff = Backoff::new();
        let mut next = first;
        while !self.plan.stop.is_cancelled() {
            let session = match next.take() {
                Some(session) => session,
                None => match self.open().await {
                    Some(Ok(session)) => session,
                    Some(Err(error)) => {
                        self.report(&error, &mut backoff).await;
                        continue;
                    }
                    None => break,
                },
            };
            let born = Instant::now();
            let channel = Arc::clone(&session.channel);
            self.mailbox.put(session);
            self.watch_over(&channel).await;
            if self.plan.stop.is_cancelled() {
                channel.end().await;
                break;
            }
            // So that the consumer lets go of it, too.
            channel.over.cancel();
            self.tasks.spawn(async move { channel.end().await });
            if born.elapsed() > HEALTHY {
                backoff.reset();
            }
            let wait = backoff.wait();
            warn!(
                queue = self.plan.queue.name(),
                retry_ms = wait.as_millis(),
                "a consumer lost its channel"
            );
            self.pause(wait).await;
        }
        // One that nobody took.
        drop(self.mailbox.take());
    }

    async fn open(&self) -> Option<Result<Session, SessionError>> {
        let open = async {
            let generation = self.plan.link.connected().await.ok()?;
            Some(Session::open(generation, &self.plan.queue, self.plan.options, self.plan.limit).await)
        };
        tokio::select! {
            biased;
            () = self.plan.stop.cancelled() => None,
            opened = open => opened,
        }
    }

    async fn report(&self, error: &SessionError, backoff: &mut Backoff) {
        let wait = backoff.wait();
        let (queue, retry_ms) = (self.plan.queue.name(), wait.as_millis());
        match error {
            SessionError::Refused(error) => warn!(queue, %error, retry_ms, "a consumer cannot go on"),
            SessionError::Lost(reason) => debug!(queue, reason, retry_ms, "cannot consume yet"),
        }
        self.pause(wait).await;
    }

    /// Returns when the session is over or no longer wanted.
    async fn watch_over(&self, channel: &SessionChannel) {
        let mut watchdog = interval(WATCHDOG);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.plan.stop.cancelled() => return,
                () = channel.over.cancelled() => return,
                _ = watchdog.tick() => {}
            }
            if !channel.works() {
                return;
            }
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.plan.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}
