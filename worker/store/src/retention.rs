use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;

/// Deletes what is kept long enough, a chunk at a time: each is a transaction of its own, so that no batch waits long.
#[async_trait]
pub trait Retention: Debug + Send + Sync + 'static {
    /// The causes that devices list as open. A cause that is not among them never becomes one later.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn open_causes(&self) -> Result<OpenCauses, StoreError>;

    /// Deletes at most `limit` records that are older than this, `from` a place that an earlier chunk named; 0 is the
    /// beginning.
    ///
    /// # Errors
    /// See [`StoreError`]. What was deleted before stays deleted, and the same chunk may be asked for again.
    async fn expire(
        &self,
        records: &Records,
        before: Timestamp,
        from: u64,
        limit: u32,
    ) -> Result<Expired, StoreError>;
}

/// What is deleted when it is old.
#[derive(Clone, Debug)]
pub enum Records {
    /// Inbox rows, less those of messages whose dead letter is not settled, and of commands whose dead letters are on
    /// their way.
    Inbox,
    /// Causes, less these.
    Causes(Arc<OpenCauses>),
    /// Dead letters that were worked again or dropped, by the time of the command that said so.
    DeadLetters,
    /// How often the work on a message began.
    DeliveryAttempts,
}

/// What a chunk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// How many were deleted.
    pub deleted: u64,
    /// Where the next chunk goes on; `None` at the end.
    pub next: Option<u64>,
}

/// Numbers of causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenCauses(Vec<i64>);

impl OpenCauses {
    /// These, in any order.
    pub(super) fn new(mut causes: Vec<i64>) -> Self {
        causes.sort_unstable();
        causes.dedup();
        Self(causes)
    }

    /// Whether this one is among them.
    pub(super) fn contains(&self, cause: i64) -> bool {
        self.0.binary_search(&cause).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
