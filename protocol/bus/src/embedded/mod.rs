//! The bus on SQLite, inside one process.
//!
//! The same promises as RabbitMQ, at the scale of one machine: what [`Bus::publish`] confirmed is on the disk and
//! outlives a kill and a loss of power; what was not acknowledged is delivered again; the retry ladder, dead letters,
//! results and replies go where the [topology](lockstep_protocol::topology) says.
//!
//! # How it works
//! One thread, the [writer], owns the file. Whoever publishes or acknowledges sends it a [request] and the writer does
//! all that is waiting in one transaction, with one sync. What it keeps in memory is who reads which [queue] and how far
//! it was read: messages stay in the file until they are acknowledged, and a consumer never holds more than its
//! prefetch, so a queue of a million messages costs no memory.
//!
//! Delivering writes nothing. That a message is unacknowledged is known in memory alone, and its row is still there
//! after a crash. Each queue has a *mark* in the file, set ahead in large steps: messages up to it may have been
//! delivered, and are called redelivered when the bus is opened again. An orderly close sets it exactly.
//!
//! # What it does not do
//! Queues have no delivery limit and inlet lanes no length: on RabbitMQ these are a last resort and an operator's
//! policy. The file does not shrink by itself; freed pages are used again.

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
use crate::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError};

/// Who publishes everything: there is one process, and nobody to authenticate.
const USER: &str = "lockstep";
/// How many requests may wait for the writer before those who ask must wait to ask.
const REQUESTS: usize = 256;

/// What can be chosen when opening an [`EmbeddedBus`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// How long a reply queue outlives its last reader.
    pub reply_expires: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            reply_expires: REPLY_EXPIRES,
        }
    }
}

/// A bus in a folder of this machine, owned by this process.
#[derive(Debug)]
pub struct EmbeddedBus {
    /// Read by the writer.
    requests: mpsc::Sender<Request>,
    /// Written by the writer, which holds the other end as long as it lives.
    status: watch::Receiver<BusStatus>,
    closing: CancellationToken,
}

impl EmbeddedBus {
    /// Opens the bus in this folder, and makes folder and file if need be. The objects of the contract are there at
    /// once; [`Bus::declare`] may change the times of the ladder. Reads and writes the disk before it returns.
    ///
    /// # Errors
    /// [`BusError::InUse`] when this or another process has opened it, [`BusError::File`] when the file cannot be used.
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

    /// Asks the writer, and waits for its answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Closed> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

/// The writer is gone.
struct Closed;

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.ask(|done| Request::Publish(Publish { messages, done }))
            .await
            .unwrap_or(Err(PublishError::Closed))
    }

    /// However acknowledgements are to travel: here each settles its rows, at once.
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
        // An error says that it is closed already.
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
