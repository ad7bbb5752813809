//! The pool of confirm channels on the publishing connection.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::supervised_connection::{CLOSING, ConnectionGeneration, SupervisedConnection};

/// How long to wait for a channel that is in use before the publisher checks the connection again.
const WAIT: Duration = Duration::from_secs(3);
const RECYCLE: Duration = Duration::from_secs(1);

pub(super) type Pool = managed::Pool<ChannelManager>;

/// Opens and checks the channels of the pool.
pub(super) struct ChannelManager {
    connection: SupervisedConnection,
}

/// A channel in confirm mode. One publisher uses it at a time: lapin numbers a message and queues its frames in two steps,
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

/// Builds a pool of at most `size` channels. `create` limits how long opening one may take, waiting for the connection
/// included.
pub(super) fn pool(connection: SupervisedConnection, size: usize, create: Duration) -> Pool {
    managed::Pool::builder(ChannelManager { connection })
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(create))
        .recycle_timeout(Some(RECYCLE))
        .build()
        .expect("building fails only without a runtime, and one is given")
}

impl managed::Manager for ChannelManager {
    type Type = ConfirmChannel;
    type Error = ChannelError;

    async fn create(&self) -> Result<ConfirmChannel, ChannelError> {
        let generation = self.connection.ready().await.map_err(|_| ChannelError::Closed)?;
        let channel = generation.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(ConfirmChannel { channel, generation })
    }

    async fn recycle(&self, channel: &mut ConfirmChannel, _: &Metrics) -> RecycleResult<ChannelError> {
        let usable = channel.channel.status().connected()
            && channel.generation.works()
            && !channel.generation.connection.status().blocked();
        if usable {
            Ok(())
        } else {
            Err(RecycleError::message(
                "the channel or its connection does not work",
            ))
        }
    }
}

/// A channel taken from the pool for one publish batch. Unless [`Self::give_back`] is called, dropping it removes the
/// channel from the pool and closes it, so that late confirms never reach the next publisher's messages.
pub(super) struct PooledChannel {
    object: Option<Object<ChannelManager>>,
    tasks: TaskTracker,
}

impl PooledChannel {
    pub(super) fn new(object: Object<ChannelManager>, tasks: &TaskTracker) -> Self {
        Self {
            object: Some(object),
            tasks: tasks.clone(),
        }
    }

    pub(super) fn confirm_channel(&self) -> &ConfirmChannel {
        self.object.as_ref().expect("only `give_back` and `drop` take it")
    }

    /// Returns the channel to the pool. Only valid when everything published on it was answered.
    pub(super) fn give_back(mut self) {
        self.object.take();
    }
}

impl Drop for PooledChannel {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        let unusable = Object::take(object);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let close = async move {
            let _ = timeout(CLOSING, unusable.channel.close(200, "unknown outcome".into())).await;
        };
        self.tasks.spawn_on(close, &runtime);
    }
}
