use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{SampleInterval, StoreError};

/// Deletes records that are older than their retention period, chunk by chunk. Each chunk is a transaction of its own, so that
/// no batch waits long for it.
#[async_trait]
pub trait Retention: Debug + Send + Sync + 'static {
    /// The causes that devices list as open. A cause that is closed never becomes open again.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn open_causes(&self) -> Result<OpenCauses, StoreError>;

    /// Deletes at most `limit` records that are older than `before`. `from` is 0 for the first chunk, then
    /// [`Expired::next`] of the chunk before.
    ///
    /// # Errors
    /// See [`StoreError`]. Earlier chunks stay deleted; the failed one may be repeated.
    async fn expire(
        &self,
        records: &Records,
        before: Timestamp,
        from: u64,
        limit: u32,
    ) -> Result<Expired, StoreError>;
}

/// A kind of records with a retention period.
#[derive(Clone, Debug)]
pub enum Records {
    /// Inbox rows, except those of messages with an unsettled or requeued dead letter, and of commands whose requeued dead
    /// letters are not processed yet. These causes stay, also those of rows that are deleted.
    Inbox(Arc<OpenCauses>),
    /// Causes that are not part of an inbox row, except these.
    Causes(Arc<OpenCauses>),
    /// Dead letters that were processed again or dropped. Their age counts from the command that requeued or dropped them.
    DeadLetters,
    /// Delivery attempts that never completed.
    DeliveryAttempts,
    /// Executions, with their elements. Their age counts from their end. With them go former facts and checks; the newest ones stay. A
    /// chunk is bounded by elements and results, so an execution may lose these before it is deleted.
    Executions,
    /// Names that devices had. Their age counts from when the device was renamed or removed.
    FormerHostnames,
    /// Links that were removed.
    RemovedLinks,
    /// Management domains that were removed.
    RemovedManagementDomains,
    /// The history of devices. Of each device, at most its newest 1,000 entries stay, whatever their age.
    DeviceHistory,
    /// Whole differences, rendered and previous configurations of syncs. Their age counts from the end of the execution.
    SyncTexts,
    /// Sessions of browsers. Their age counts from when they end at the latest.
    LoginSessions,
    /// Entries of the audit.
    Audit,
    /// Samples of the fleet, at this distance.
    FleetSamples(SampleInterval),
}

/// The result of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The number of deleted records.
    pub deleted: u64,
    /// `from` of the next chunk; `None` after the last one.
    pub next: Option<u64>,
}

/// The ids of causes that devices list as open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenCauses(Vec<i64>);

impl OpenCauses {
    /// Takes ids in any order, also repeated ones.
    pub(super) fn new(mut causes: Vec<i64>) -> Self {
        causes.sort_unstable();
        causes.dedup();
        Self(causes)
    }

    /// Whether a device lists this cause.
    pub(super) fn contains(&self, cause: i64) -> bool {
        self.0.binary_search(&cause).is_ok()
    }

    /// The number of different causes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no device lists a cause.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
