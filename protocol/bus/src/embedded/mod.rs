//! The bus on SQLite, inside one process.
//!
//! It gives the same guarantees as RabbitMQ on the scale of one machine: messages that [`Bus::publish`] confirmed are on
//! disk and survive a kill and a power failure, unacknowledged messages are delivered again, and messages are routed by the
//! [topology](lockstep_protocol::topology), retry delays and dead-lettering included.
//!
//! # How it works
//! One thread, the [writer], owns the file. Publishers and consumers send it [request]s, and the writer executes all waiting
//! requests in one transaction with one sync. In memory it keeps the subscribers of each [queue] and the position up to
//! which the queue was read. Messages stay in the file until they are acknowledged, and a consumer holds no more than its
//! prefetch, so a queue of a million messages needs no memory.
//!
//! Delivering a message does not write to the file. Whether a message is unacknowledged is known in memory only; after a
//! crash its row still exists. Each queue has a *mark* in the file, which advances in large steps: messages up to the mark
//! may have been delivered, and are flagged as redelivered after the bus is opened again. A regular close stores the exact
//! mark.
//!
//! # Differences from RabbitMQ
//! Queues have no delivery limit, and ingress lanes have no maximum length. The file does not shrink; freed pages are
//! reused.

mod broker;
mod clock;
mod consumer;
mod file;
mod lock;
mod queue;
mod request;
mod routing;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, REPLY_EXPIRES, Topology};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::broker::Broker;
use self::consumer::EmbeddedConsumer;
use self::lock::FolderLock;
use self::request::{Control, Publish, Request};
use self::writer::Writer;
use crate::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError, QueueFigures};

/// The `user_id` of every message: there is one process and no authentication.
const USER: &str = "lockstep";
/// The most requests that wait for the writer; further callers wait for room.
const REQUESTS: usize = 256;

/// Options of an [`EmbeddedBus`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// How long a reply queue exists without a consumer.
    pub reply_expires: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            reply_expires: REPLY_EXPIRES,
        }
    }
}

/// A bus in a local folder, owned by this process.
#[derive(Debug)]
pub struct EmbeddedBus {
    /// Requests to the writer.
    requests: mpsc::Sender<Request>,
    /// The status that the writer publishes; closed when the writer has ended.
    status: watch::Receiver<BusStatus>,
    closing: CancellationToken,
}

impl EmbeddedBus {
    /// Opens the bus in this folder; creates the folder and the file if they do not exist. The objects of the default topology
    /// are declared already; [`Bus::declare`] can change the retry delays. Blocks on disk I/O.
    ///
    /// # Errors
    /// [`BusError::InUse`] when this or another process has it open, [`BusError::File`] when the file cannot be used.
    pub fn open(folder: &Path, options: EmbeddedOptions) -> Result<Arc<Self>, BusError> {
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = FolderLock::take(folder)?;
        let mut file = file::open(&folder.join("bus.sqlite"))?;
        let broker = load(&mut file, options).map_err(unusable)?;
        let timer = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(unusable)?;
        let (requests, asked) = mpsc::channel(REQUESTS);
        let (status, seen) = watch::channel(BusStatus::Connected);
        let closing = CancellationToken::new();
        let writer = Writer {
            broker,
            file,
            _lock: lock,
            timer,
            status,
            closing: closing.clone(),
            outage: None,
            requests: asked,
        };
        std::thread::Builder::new()
            .name("embedded-bus".to_owned())
            .spawn(move || writer.run())
            .map_err(unusable)?;
        info!(folder = %folder.display(), "embedded bus opened");
        Ok(Arc::new(Self {
            requests,
            status: seen,
            closing,
        }))
    }

    /// Sends a request to the writer, and waits for its response.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Closed> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

/// The writer has ended.
struct Closed;

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        messages.iter().try_for_each(Outgoing::check_size)?;
        self.ask(|done| Request::Publish(Publish { messages, done }))
            .await
            .unwrap_or(Err(PublishError::Closed))
    }

    /// Ignores `options.acknowledge`: every acknowledgement is executed at once.
    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        let subscription = self
            .ask(|done| {
                Request::Control(Control::Subscribe {
                    queue,
                    prefetch: options.prefetch,
                    done,
                })
            })
            .await
            .unwrap_or(Err(BusError::Closed))?;
        Ok(Box::new(EmbeddedConsumer::new(
            subscription,
            self.requests.clone(),
            self.closing.clone(),
        )))
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        let topology = topology.clone();
        self.ask(|done| Request::Control(Control::Declare { topology, done }))
            .await
            .map_err(|Closed| BusError::Closed)
    }

    /// Counts the messages in the file: call it every few seconds at most.
    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.ask(|done| Request::Control(Control::Queues { names, done }))
            .await
            .map_err(|Closed| BusError::Closed)
    }

    fn status(&self) -> BusStatus {
        let writer_is_gone = self.status.has_changed().is_err();
        if writer_is_gone || self.closing.is_cancelled() {
            return BusStatus::Closed;
        }
        *self.status.borrow()
    }

    fn user(&self) -> &str {
        USER
    }

    async fn close(&self) {
        self.closing.cancel();
        // An error means that the bus is closed already.
        let _ = self.ask(|done| Request::Control(Control::Close { done })).await;
    }
}

fn load(file: &mut rusqlite::Connection, options: EmbeddedOptions) -> rusqlite::Result<Broker> {
    let transaction = file.transaction()?;
    let broker = Broker::load(&transaction, options.reply_expires)?;
    transaction.commit()?;
    Ok(broker)
}

fn unusable(error: impl std::fmt::Display) -> BusError {
    BusError::File {
        reason: error.to_string(),
    }
}
