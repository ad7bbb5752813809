//! The bus on RabbitMQ, by lapin.
//!
//! Publishing and consuming use separate connections, so that a broker that blocks publishers does not block
//! acknowledgements. All consumers share one connection, with a channel each: in lapin a connection costs an operating
//! system thread and a channel almost nothing, and the end of one consumer (a deleted queue, the consumer timeout) closes
//! its channel only. lapin's automatic recovery stays off, since it can hang forever (`docs/reference/rabbitmq.md`). Instead each
//! connection and each consumer has a supervisor that replaces connections and channels that are lost or misbehave.

mod options;

mod address;
mod connector;
mod supervised_connection;

mod channel_error;
mod pool;
mod properties;
mod publish_batch;
mod publisher;

mod ack_tracker;
mod consumer;
mod declare;
mod session;

mod backoff;
mod outage;
mod probe;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, Topology};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::{
    Bus, BusError, BusStatus, Channels, ConsumeOptions, Consumer, Figures, Outgoing, PublishError,
    QueueFigures,
};
use backoff::Backoff;
use connector::Connector;
use consumer::ConsumerConfig;
use declare::DeclareError;
use publisher::Publisher;
use supervised_connection::{CLOSING, State, SupervisedConnection};

pub use options::AmqpOptions;
pub use probe::{Access, AmqpProbe, ProbeError};

/// The bus on RabbitMQ. Dropping it ends its consumers and closes its connections, in the background.
pub struct AmqpBus {
    connector: Arc<Connector>,
    publisher: Publisher,
    /// Opened with the first consumer.
    consuming: OnceLock<SupervisedConnection>,
    /// Stops all tasks of this bus.
    stop: CancellationToken,
    /// The supervisors of consumers; they end before their connection is closed.
    consumers: TaskTracker,
    tasks: TaskTracker,
}

impl AmqpBus {
    /// Connects. An unreachable broker is not an error: the bus keeps connecting, and [`Bus::status`] returns
    /// [`BusStatus::Disconnected`].
    ///
    /// # Errors
    /// Errors that a later attempt would not fix: an invalid address, and a broker that refuses the user, the password or
    /// the virtual host, or whose certificate is not trusted.
    pub async fn connect(options: AmqpOptions) -> Result<Arc<Self>, BusError> {
        let connector = Arc::new(Connector::new(&options)?);
        let user =
            properties::short(connector.user(), "user").map_err(|reason| BusError::Address { reason })?;
        let first = match connector.open(PUBLISHING).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                if let Some(permanent) = error.permanent() {
                    return Err(permanent);
                }
                connector.log.failed(PUBLISHING, &error);
                None
            }
        };
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let no_users = TaskTracker::new();
        no_users.close();
        let connection = SupervisedConnection::spawn(
            PUBLISHING,
            Arc::clone(&connector),
            first,
            stop.clone(),
            no_users,
            &tasks,
        );
        Ok(Arc::new(Self {
            publisher: Publisher {
                pool: pool::pool(connection.clone(), options.publishers, options.request_timeout),
                connection,
                user,
                confirm_timeout: options.confirm_timeout,
                unanswered: AtomicU32::new(0),
                stop: stop.clone(),
                tasks: tasks.clone(),
                bypassed: AtomicU64::new(0),
            },
            connector,
            consuming: OnceLock::new(),
            stop,
            consumers: TaskTracker::new(),
            tasks,
        }))
    }

    /// How many replies went to the results because the reply queue was full, since the bus was opened.
    pub fn bypassed(&self) -> u64 {
        self.publisher.bypassed.load(Ordering::Relaxed)
    }

    fn consuming(&self) -> &SupervisedConnection {
        self.consuming.get_or_init(|| {
            SupervisedConnection::spawn(
                "consuming",
                Arc::clone(&self.connector),
                None,
                self.stop.clone(),
                self.consumers.clone(),
                &self.tasks,
            )
        })
    }

    async fn try_declare(&self, topology: &Topology) -> Result<(), DeclareError> {
        let channel = self.channel().await?;
        let declared = declare::topology(&channel, topology, self.connector.limit()).await;
        let _ = timeout(CLOSING, channel.close(200, "declared".into())).await;
        declared
    }

    async fn try_queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, DeclareError> {
        let mut queues = Vec::with_capacity(names.len());
        let mut channel = self.channel().await?;
        for name in names {
            let figures = declare::queue_figures(&channel, name, self.connector.limit()).await?;
            if figures.is_none() {
                // The broker closed the channel with its answer.
                channel = self.channel().await?;
            }
            queues.push(figures);
        }
        let _ = timeout(CLOSING, channel.close(200, "asked".into())).await;
        Ok(queues)
    }

    /// Opens a channel for declaring.
    async fn channel(&self) -> Result<lapin::Channel, DeclareError> {
        let closed = DeclareError::Refused(BusError::Closed);
        let generation = self.publisher.connection.connected().await.map_err(|_| closed)?;
        timeout(self.connector.limit(), generation.connection.create_channel())
            .await
            .map_err(|_| DeclareError::Lost("no answer to opening a channel".to_owned()))?
            .map_err(|error| DeclareError::Lost(error.to_string()))
    }

    /// Waits before a declaration is tried again after its channel or connection was lost.
    async fn pause(&self, error: DeclareError, backoff: &mut Backoff) -> Result<(), BusError> {
        let reason = match error {
            DeclareError::Refused(error) => return Err(error),
            DeclareError::Lost(reason) => reason,
        };
        let wait = backoff.wait();
        debug!(reason, retry_ms = wait.as_millis(), "cannot declare yet");
        tokio::select! {
            () = self.stop.cancelled() => Err(BusError::Closed),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}

const PUBLISHING: &str = "publishing";

#[async_trait]
impl Bus for AmqpBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.publisher.publish(messages).await
    }

    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        if self.stop.is_cancelled() {
            return Err(BusError::Closed);
        }
        let config = ConsumerConfig {
            queue,
            options,
            connection: self.consuming().clone(),
            limit: self.connector.limit(),
            stop: self.stop.child_token(),
        };
        Ok(Box::new(consumer::start(config, &self.consumers).await?))
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        let mut backoff = Backoff::new();
        loop {
            match self.try_declare(topology).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause(error, &mut backoff).await?,
            }
        }
    }

    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        let mut backoff = Backoff::new();
        loop {
            match self.try_queues(names).await {
                Ok(queues) => return Ok(queues),
                Err(error) => self.pause(error, &mut backoff).await?,
            }
        }
    }

    fn status(&self) -> BusStatus {
        if self.stop.is_cancelled() {
            return BusStatus::Closed;
        }
        match self.publisher.connection.state() {
            State::Closed => BusStatus::Closed,
            State::Up(generation) | State::Blocked(generation) if !generation.works() => {
                BusStatus::Disconnected
            }
            State::Up(_) => BusStatus::Connected,
            State::Blocked(_) => BusStatus::Blocked,
            State::Connecting | State::Down => BusStatus::Disconnected,
        }
    }

    fn figures(&self) -> Figures {
        let pool = self.publisher.pool.status();
        Figures {
            consuming: self.consuming.get().is_none_or(SupervisedConnection::is_up),
            channels: Some(Channels {
                limit: pool.max_size,
                open: pool.size,
                idle: pool.available,
                waiting: pool.waiting,
            }),
            bypassed: self.bypassed(),
        }
    }

    fn user(&self) -> &str {
        self.connector.user()
    }

    async fn close(&self) {
        self.stop.cancel();
        self.publisher.pool.close();
        self.consumers.close();
        self.tasks.close();
        // Each task has its own timeout: a consumer closes its channel, a supervisor its connection.
        if timeout(CLOSING * 3, self.tasks.wait()).await.is_err() {
            warn!("the connections to the broker did not close in time");
        }
    }
}

impl Drop for AmqpBus {
    fn drop(&mut self) {
        self.stop.cancel();
        self.consumers.close();
    }
}

impl fmt::Debug for AmqpBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBus")
            .field("user", &self.connector.user())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
