//! Confirm channels on the publishing connection.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::supervised_connection::{CLOSING, ConnectionGeneration, Link};

/// How long to wait for a channel others use, before asking again how things are.
const WAIT: Duration = Duration::from_secs(3);
const RECYCLE: Duration = Duration::from_secs(1);

pub(super) type Pool = managed::Pool<Channels>;

/// Makes confirm channels.
pub(super) struct Channels {
    link: Link,
}

/// A channel in confirm mode, for one publisher at a time: lapin numbers a message and queues its frames in two steps,
/// so two publishers on one channel could get each other's confirms.
pub(super) struct ConfirmChannel {
    pub(super) channel: Channel,
    pub(super) generation: Arc<ConnectionGeneration>,
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("the bus is closed")]
    Closed,
    #[error(transparent)]
    Broker(#[from] lapin::Error),
}

/// The pool of at most `size` channels. It needs the link to connect within `create`.
pub(super) fn pool(link: Link, size: usize, create: Duration) -> Pool {
    managed::Pool::builder(Channels { link })
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(create))
        .recycle_timeout(Some(RECYCLE))
        .build()
        .expect("a runtime is given, which is all that can be missing")
}

impl managed::Manager for Channels {
    type Type = ConfirmChannel;
    type Error = ChannelError;

    async fn create(&self) -> Result<ConfirmChannel, ChannelError> {
        let generation = self.link.ready().await.map_err(|_| ChannelError::Closed)?;
        let channel = generation.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(ConfirmChannel { channel, generation })
    }

    async fn recycle(&self, lent: &mut ConfirmChannel, _: &Metrics) -> RecycleResult<ChannelError> {
        let usable = lent.channel.status().connected()
            && lent.generation.works()
            && !lent.generation.connection.status().blocked();
        if usable {
            Ok(())
        } else {
            Err(RecycleError::message(
                "the channel or its connection does not work",
            ))
        }
    }
}

/// A channel lent for one flight of messages. If it is not given back as clean, also because the publisher was dropped,
/// it leaves the pool and is closed: late confirms must not meet the next publisher's messages.
pub(super) struct Lease {
    object: Option<Object<Channels>>,
    tasks: TaskTracker,
}

impl Lease {
    pub(super) fn new(object: Object<Channels>, tasks: &TaskTracker) -> Self {
        Self {
            object: Some(object),
            tasks: tasks.clone(),
        }
    }

    pub(super) fn lent(&self) -> &ConfirmChannel {
        self.object.as_ref().expect("it is taken at the end only")
    }

    /// Everything on the channel is confirmed: the next may have it.
    pub(super) fn give_back(mut self) {
        self.object.take();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        let check_poison = Object::take(object);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let close = async move {
            let _ = timeout(CLOSING, check_poison.channel.close(200, "suspect".into())).await;
        };
        self.tasks.spawn_on(close, &runtime);
    }
}
