//! The bus on RabbitMQ, by lapin.
//!
//! Publishing and consuming have a connection each, so that a broker that holds back publishers does not hold back
//! acknowledgements. Consumers share theirs, each with a channel of its own: a connection is an operating-system thread
//! in lapin, a channel is next to nothing, and what ends a consumer (its queue deleted, its time-out) ends its channel
//! only. lapin's automatic recovery stays off: it hangs where it gives up (`reference/rabbitmq.md` §2.3). Each
//! connection and each consumer has one supervisor instead, which drops what does not behave and builds it anew.

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
mod probe;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, Topology};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::{Bus, BusError, BusStatus, Channels, ConsumeOptions, Consumer, Figures, Outgoing, PublishError};
use backoff::Backoff;
use connector::Dial;
use consumer::Plan;
use declare::DeclareError;
use publisher::Publisher;
use supervised_connection::{CLOSING, Link, State};

pub use options::AmqpOptions;
pub use probe::{Access, AmqpProbe, ProbeError, QueueFigures};

/// The bus on RabbitMQ. Dropping it ends its consumers and closes its connections, in the background.
pub struct AmqpBus {
    dial: Arc<Dial>,
    publisher: Publisher,
    /// Connected with the first consumer.
    consuming: OnceLock<Link>,
    /// Ends everything.
    stop: CancellationToken,
    /// The supervisors of consumers, which end before their connection does.
    consumers: TaskTracker,
    tasks: TaskTracker,
}

impl AmqpBus {
    /// Connects. A broker that is not there is no error: the bus keeps trying, and its status says so.
    ///
    /// # Errors
    /// What waiting does not heal: an address that cannot be understood, and a broker that is there and refuses the
    /// user, the password or the virtual host, or whose certificate is not trusted.
    pub async fn connect(options: AmqpOptions) -> Result<Arc<Self>, BusError> {
        let dial = Arc::new(Dial::new(&options)?);
        let user = properties::short(dial.user(), "user").map_err(|reason| BusError::Address { reason })?;
        let first = match dial.open(PUBLISHING).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                if let Some(permanent) = error.permanent() {
                    return Err(permanent);
                }
                warn!(%error, "the broker is not there yet, trying on");
                None
            }
        };
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let nobody = TaskTracker::new();
        nobody.close();
        let link = Link::spawn(PUBLISHING, Arc::clone(&dial), first, stop.clone(), nobody, &tasks);
        Ok(Arc::new(Self {
            publisher: Publisher {
                pool: pool::pool(link.clone(), options.publishers, options.connect_timeout),
                link,
                user,
                patience: options.confirm_timeout,
                stop: stop.clone(),
                tasks: tasks.clone(),
                bypassed: AtomicU64::new(0),
            },
            dial,
            consuming: OnceLock::new(),
            stop,
            consumers: TaskTracker::new(),
            tasks,
        }))
    }

    /// How many answers went to the results because a reply queue was full, since the start.
    pub fn bypassed(&self) -> u64 {
        self.publisher.bypassed.load(Ordering::Relaxed)
    }

    fn consuming(&self) -> &Link {
        self.consuming.get_or_init(|| {
            Link::spawn(
                "consuming",
                Arc::clone(&self.dial),
                None,
                self.stop.clone(),
                self.consumers.clone(),
                &self.tasks,
            )
        })
    }

    async fn try_declare(&self, topology: &Topology) -> Result<(), DeclareError> {
        let channel = self.channel().await?;
        let declared = declare::topology(&channel, topology, self.dial.limit()).await;
        let _ = timeout(CLOSING, channel.close(200, "declared".into())).await;
        declared
    }

    async fn try_missing(&self, topology: &Topology) -> Result<Vec<String>, DeclareError> {
        let mut missing = Vec::new();
        let mut channel = self.channel().await?;
        for queue in &topology.queues {
            if !declare::is_there(&channel, queue.name, self.dial.limit()).await? {
                missing.push(queue.name.to_owned());
                // Saying so, the broker closed it.
                channel = self.channel().await?;
            }
        }
        let _ = timeout(CLOSING, channel.close(200, "asked".into())).await;
        Ok(missing)
    }

    /// A channel for declaring.
    async fn channel(&self) -> Result<lapin::Channel, DeclareError> {
        let closed = DeclareError::Refused(BusError::Closed);
        let generation = self.publisher.link.connected().await.map_err(|_| closed)?;
        timeout(self.dial.limit(), generation.connection.create_channel())
            .await
            .map_err(|_| DeclareError::Lost("no answer to opening a channel".to_owned()))?
            .map_err(|error| DeclareError::Lost(error.to_string()))
    }

    /// Waits before what was lost is tried again.
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
        let plan = Plan {
            queue,
            options,
            link: self.consuming().clone(),
            limit: self.dial.limit(),
            stop: self.stop.child_token(),
        };
        Ok(Box::new(consumer::start(plan, &self.consumers).await?))
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

    async fn missing(&self, topology: &Topology) -> Result<Vec<String>, BusError> {
        let mut backoff = Backoff::new();
        loop {
            match self.try_missing(topology).await {
                Ok(missing) => return Ok(missing),
                Err(error) => self.pause(error, &mut backoff).await?,
            }
        }
    }

    fn status(&self) -> BusStatus {
        if self.stop.is_cancelled() {
            return BusStatus::Closed;
        }
        match self.publisher.link.state() {
            State::Closed => BusStatus::Closed,
            State::Up(generation) | State::Blocked(generation) if !generation.works() => {
                BusStatus::Disconnected
            }
            State::Up(_) => BusStatus::Connected,
            State::Blocked(_) => BusStatus::Blocked,
            State::Dialing | State::Down => BusStatus::Disconnected,
        }
    }

    fn figures(&self) -> Figures {
        let pool = self.publisher.pool.status();
        Figures {
            consuming: self.consuming.get().is_none_or(Link::is_up),
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
        self.dial.user()
    }

    async fn close(&self) {
        self.stop.cancel();
        self.publisher.pool.close();
        self.consumers.close();
        self.tasks.close();
        // Each task ends within its own limit: a consumer closes its channel, a link its connection.
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
            .field("user", &self.dial.user())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
