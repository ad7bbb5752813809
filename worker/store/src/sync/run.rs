use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{CommitId, DeviceState, Hostname};

use crate::{DeviceId, ElementOwner, StoreError, SyncState};

/// An attempt of an element. It guards the writes of a run: another attempt, or an expired one, writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunningElement {
    /// The number of the element.
    pub element: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The worker's session that runs it.
    pub owner: ElementOwner,
}

/// What an element of a sync is bound to since it was made, in one snapshot with all others of its execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncBinding {
    /// The number of the element.
    pub element: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The device.
    pub device: DeviceId,
    /// The generation that the device gets by it.
    pub generation: i64,
    /// The commits that it is rendered from. `None` if none was accepted.
    pub settings: Option<CommitId>,
    /// As `settings`.
    pub templates: Option<CommitId>,
    /// For the application of a plan: the keyed hash of the difference that was approved.
    pub approved: Option<String>,
    /// For a way back: the number of the element whose previous configuration is restored. Nothing is rendered.
    pub restores: Option<u64>,
}

/// A device as a run finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedDevice {
    /// Its hostname now.
    pub hostname: Hostname,
    /// Its state now.
    pub state: DeviceState,
    /// Its generations now.
    pub sync: SyncState,
    /// The SHA-256 of its running configuration when it was last synchronized or accepted, in hexadecimal digits.
    pub configuration_hash: Option<String>,
    /// What a run before this one was about to do, and did not end.
    pub intent: Option<SyncIntent>,
}

/// What a run is about to do on a device: written before the commit, and completed before the confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncIntent {
    /// The number of the element that wrote it.
    pub element: u64,
    /// The name of the configuration session.
    pub session: String,
    /// The generation that it pushes.
    pub generation: i64,
    /// The SHA-256 of the running configuration that was read back after the commit. `None` before that.
    pub configuration_hash: Option<String>,
    /// When it was written.
    pub at: Timestamp,
}

/// How the configuration of a device differs from the intended one.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncDiff {
    /// The difference as the device shows it, unmasked. Empty if nothing differs.
    pub text: String,
    /// The same without secrets.
    pub masked: String,
    /// The keyed hash of the unmasked difference, in hexadecimal digits.
    pub hash: String,
    /// How large the change is, from 0.
    pub score: f64,
    /// The rendered configuration, for requests that ask for it only.
    pub rendered: Option<String>,
}

/// Reads and writes what a sync run needs. Each write checks that the attempt still runs the element, and returns false if not.
#[async_trait]
pub trait SyncRuns: Debug + Send + Sync + 'static {
    /// What an element is bound to, and its device now. `None` if the element is none of a sync, or its device was removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn binding(&self, element: u64) -> Result<Option<(SyncBinding, SyncedDevice)>, StoreError>;

    /// The running configuration before the push of an element. `None` if it pushed nothing, or retention removed it.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn previous_configuration(&self, element: u64) -> Result<Option<String>, StoreError>;

    /// Whether the attempt still runs the element, by the clock of the store.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn is_running(&self, run: &RunningElement) -> Result<bool, StoreError>;

    /// Writes the difference of an element, in the place of an earlier one.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn write_diff(&self, run: &RunningElement, diff: &SyncDiff) -> Result<bool, StoreError>;

    /// Writes the intent of a device, in the place of an earlier one, and the configuration before the push.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn write_intent(
        &self,
        run: &RunningElement,
        session: &str,
        previous: &str,
    ) -> Result<bool, StoreError>;

    /// Completes the intent of a device with the hash of the running configuration that was read back.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn complete_intent(
        &self,
        run: &RunningElement,
        configuration_hash: &str,
    ) -> Result<bool, StoreError>;

    /// Removes the intent of a device: what it announced was rolled back, or has ended.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn remove_intent(&self, run: &RunningElement) -> Result<bool, StoreError>;

    /// The key of the hashes of differences: 32 random bytes, the same for all workers, made at the first use.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn diff_key(&self) -> Result<[u8; 32], StoreError>;
}
