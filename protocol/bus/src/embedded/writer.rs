//! The thread that owns the file. It executes all waiting requests in one transaction with one sync, sends the responses,
//! and then delivers messages to consumers.

use std::time::{Duration, Instant};

use lockstep_protocol::topology::{Queue, Topology};
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::broker::{Broker, open_reply};
use super::lock::FolderLock;
use super::request::{Control, Publish, Request, SubscriberId, Subscription};
use crate::{BusError, BusStatus};

/// The most messages in one transaction, which limits how long a request waits for the commit.
const MESSAGES_AT_ONCE: usize = 10_000;
/// The most messages read from one queue before the next queue is read.
const READ_AT_ONCE: usize = 1000;
/// The shortest and the longest delay after a failed transaction.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The state of the thread. The order of the fields matters, since they are dropped in it: consumers end, the file is closed,
/// the folder is unlocked, and pending requests fail because the bus is closed.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) broker: Broker,
    pub(super) file: Connection,
    pub(super) _lock: FolderLock,
    /// Wakes the thread when messages are due. A runtime of its own, so that the bus does not depend on the caller's.
    pub(super) timer: Runtime,
    /// The status that the bus reads. Dropping it tells the bus that the writer has ended.
    pub(super) status: watch::Sender<BusStatus>,
    /// Cancelled when the bus closes; failed transactions are then not retried.
    pub(super) closing: CancellationToken,
    /// Since when transactions fail; `None` while they succeed.
    pub(super) outage: Option<Instant>,
    /// Requests of the bus, its consumers and receipts.
    pub(super) requests: mpsc::Receiver<Request>,
}

/// Requests that are executed in one transaction.
#[derive(Debug, Default)]
struct Work {
    publishes: Vec<Publish>,
    /// Acknowledged messages to delete, by queue.
    settled: Vec<(i64, Vec<i64>)>,
    messages: usize,
}

/// Why the thread woke up.
enum Wake {
    Asked(Request),
    Time,
    End,
}

/// A transaction failed and is not retried, since the bus is closing.
struct GivenUp;

impl Writer {
    /// Executes requests until the bus is closed, or all senders of requests are dropped.
    pub(super) fn run(mut self) {
        let mut more = false;
        let closed = loop {
            let first = match self.wait(more) {
                Wake::Asked(request) => Some(request),
                Wake::Time => None,
                Wake::End => break None,
            };
            let (work, control) = self.gather(first);
            self.do_work(work);
            if self.broker.is_due() {
                self.work_due();
            }
            match control {
                Some(Control::Close { done }) => break Some(done),
                Some(control) => self.control(control),
                None => {}
            }
            more = self.deliver();
        };
        self.finish(closed);
    }

    fn wait(&mut self, more: bool) -> Wake {
        if more {
            return match self.requests.try_recv() {
                Ok(request) => Wake::Asked(request),
                Err(TryRecvError::Empty) if !self.closing.is_cancelled() => Wake::Time,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Wake::End,
            };
        }
        let due = self.broker.until_due().unwrap_or(Duration::MAX);
        let requests = &mut self.requests;
        self.timer.block_on(async {
            tokio::select! {
                biased;
                request = requests.recv() => request.map_or(Wake::End, Wake::Asked),
                // The future of `close` may have been dropped before it sent its request.
                () = self.closing.cancelled() => Wake::End,
                () = tokio::time::sleep(due) => Wake::Time,
            }
        })
    }

    /// Collects waiting requests, up to the first one that is executed on its own.
    fn gather(&mut self, first: Option<Request>) -> (Work, Option<Control>) {
        let mut work = Work::default();
        let mut next = first;
        while let Some(request) = next {
            match request {
                Request::Publish(publish) => {
                    work.messages += publish.messages.len();
                    work.publishes.push(publish);
                }
                Request::Ack(ack) => {
                    work.messages += ack.ids.len();
                    work.settled.extend(self.broker.acknowledge(ack));
                }
                Request::Control(control) => return (work, Some(control)),
            }
            if work.messages >= MESSAGES_AT_ONCE {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        (work, None)
    }

    fn do_work(&mut self, work: Work) {
        if work.publishes.is_empty() && work.settled.is_empty() {
            return;
        }
        let results = self.persist(|broker, file| {
            for (queue, ids) in &work.settled {
                broker.delete(file, *queue, ids)?;
            }
            let mut results = Vec::with_capacity(work.publishes.len());
            for publish in &work.publishes {
                // The caller stopped waiting, such as during an outage, and will publish again.
                let withdrawn = publish.done.is_closed();
                results.push(if withdrawn {
                    Ok(())
                } else {
                    broker.publish(file, &publish.messages)?
                });
            }
            Ok(results)
        });
        // On `GivenUp` the senders are dropped, and the callers get the error that the bus is closed.
        if let Ok(results) = results {
            for (publish, result) in work.publishes.into_iter().zip(results) {
                let _ = publish.done.send(result);
            }
        }
    }

    fn work_due(&mut self) {
        if let Ok(removed) = self.persist(Broker::work_due) {
            self.broker.forget(&removed);
        }
    }

    /// Executes one control request. If its transaction is given up, the sender is dropped and the caller gets an error.
    fn control(&mut self, control: Control) {
        match control {
            Control::Declare { topology, done } => {
                if self.declare(&topology).is_ok() {
                    let _ = done.send(());
                }
            }
            Control::Subscribe {
                queue,
                prefetch,
                done,
            } => {
                if let Ok(result) = self.subscribe(&queue, prefetch) {
                    let _ = done.send(result);
                }
            }
            Control::Unsubscribe { subscriber, done } => {
                self.unsubscribe(subscriber);
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Control::Queues { names, done } => {
                if let Ok(queues) = self.persist(|broker, file| broker.figures(file, &names)) {
                    let _ = done.send(queues);
                }
            }
            Control::Close { .. } => unreachable!("`run` handles it"),
        }
    }

    fn declare(&mut self, topology: &Topology) -> Result<(), GivenUp> {
        let stored = self.persist(|broker, file| broker.declare(file, topology))?;
        self.broker.declared(topology, stored);
        Ok(())
    }

    fn subscribe(&mut self, queue: &Queue, prefetch: u16) -> Result<Result<Subscription, BusError>, GivenUp> {
        if let Queue::Reply(reply) = queue {
            let stored = self.persist(|_, file| open_reply(file, reply.as_str()))?;
            self.broker.opened(stored);
        }
        Ok(self.broker.subscribe(queue, prefetch))
    }

    fn unsubscribe(&mut self, subscriber: SubscriberId) {
        debug!(subscriber, "consumer of the embedded bus ended");
        if let Some(reply) = self.broker.unsubscribe(subscriber) {
            // If this is given up, opening the bus again does the same.
            let _ = self.persist(|broker, file| broker.note_unread(file, reply));
        }
    }

    /// Reads messages for all subscribers with room, and returns whether there may be more to read.
    fn deliver(&mut self) -> bool {
        for subscriber in self.broker.gone() {
            self.unsubscribe(subscriber);
        }
        let readings = self.broker.readings(READ_AT_ONCE);
        for (queue, reading) in readings {
            match self.persist(|broker, file| broker.read(file, queue, &reading)) {
                Ok(found) => self.broker.hand_out(queue, &reading, found),
                Err(GivenUp) => return false,
            }
        }
        !self.broker.readings(1).is_empty()
    }

    /// Runs an operation in a transaction, and retries it until it succeeds or the bus is closing.
    fn persist<T>(
        &mut self,
        mut operation: impl FnMut(&mut Broker, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, GivenUp> {
        let mut wait = BACK_OFF.0;
        loop {
            match attempt(&mut self.file, &mut self.broker, &mut operation) {
                Ok(done) => {
                    self.note_success();
                    return Ok(done);
                }
                Err(error) => self.note_failure(&error),
            }
            if !self.pause(wait) {
                return Err(GivenUp);
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }

    /// Waits; returns false if the bus is closing.
    fn pause(&self, wait: Duration) -> bool {
        self.timer
            .block_on(async { tokio::time::timeout(wait, self.closing.cancelled()).await })
            .is_err()
    }

    fn note_failure(&mut self, error: &rusqlite::Error) {
        self.broker.forget_lengths();
        if self.outage.is_none() {
            self.outage = Some(Instant::now());
            self.status.send_replace(BusStatus::Blocked);
            warn!(%error, "the embedded bus cannot write to its file, retrying");
        }
    }

    fn note_success(&mut self) {
        if let Some(since) = self.outage.take() {
            self.status.send_replace(BusStatus::Connected);
            let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            info!(duration_ms, "the embedded bus can write to its file again");
        }
    }

    /// Stores the exact marks and releases file and folder before it confirms that the bus is closed.
    fn finish(mut self, closed: Option<oneshot::Sender<()>>) {
        self.closing.cancel();
        self.broker.dismiss();
        if self
            .persist(|broker, file| broker.write_exact_marks(file))
            .is_err()
        {
            warn!(
                "the embedded bus closed without storing its position: some new messages will be flagged as redelivered"
            );
        }
        self.status.send_replace(BusStatus::Closed);
        drop(self);
        debug!("embedded bus closed");
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }
}

fn attempt<T>(
    file: &mut Connection,
    broker: &mut Broker,
    operation: &mut impl FnMut(&mut Broker, &Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = file.transaction()?;
    let done = operation(broker, &transaction)?;
    transaction.commit()?;
    Ok(done)
}
