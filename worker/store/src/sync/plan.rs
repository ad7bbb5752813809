use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::{CommitId, ElementState, Hostname};

use super::PlanApproval;
use crate::StoreError;

/// Which elements of a sync are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncElementQuery {
    /// The number of the execution.
    pub execution: u64,
    /// Only that of this device.
    pub hostname: Option<Hostname>,
    /// Only elements with a larger number.
    pub after: Option<u64>,
    /// Whether whole differences, rendered and previous configurations are read, which contain secrets.
    pub whole: bool,
    /// The most elements.
    pub limit: u32,
}

/// An element of a sync, with what it is bound to and what it found.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncElement {
    /// The number of the element.
    pub number: u64,
    /// The hostname that the device had when the element was made.
    pub hostname: Hostname,
    /// The state of the element.
    pub state: ElementState,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether it changed something, or would have in a dry run.
    pub changed: bool,
    /// The generation that the device gets by it.
    pub generation: i64,
    /// Whether the device has had newer causes since.
    pub is_outdated: bool,
    /// The commits that it is rendered from.
    pub settings: Option<CommitId>,
    /// As `settings`.
    pub templates: Option<CommitId>,
    /// The masked difference. `None` if it did not come so far.
    pub masked: Option<String>,
    /// The keyed hash of the unmasked difference.
    pub hash: Option<String>,
    /// How large the change is.
    pub score: Option<f64>,
    /// The unmasked difference, if it was asked for.
    pub diff: Option<String>,
    /// The rendered configuration, if it was asked for and kept.
    pub rendered: Option<String>,
    /// The configuration before the push, if it was asked for and kept.
    pub previous: Option<String>,
}

/// What an element of a sync is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedTo {
    /// The generation that the device gets by it.
    pub generation: i64,
    /// The commits that it is rendered from.
    pub settings: Option<CommitId>,
    /// As `settings`.
    pub templates: Option<CommitId>,
}

/// Reads what syncs planned and did.
#[async_trait]
pub trait SyncPlans: Debug + Send + Sync + 'static {
    /// A page of the elements of a sync, ordered by number. Empty if the execution is none of a sync.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn sync_elements(&self, query: &SyncElementQuery) -> Result<Vec<SyncElement>, StoreError>;

    /// What these elements are bound to, by their numbers. Elements of no sync are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn synced_to(&self, elements: &[u64]) -> Result<HashMap<u64, SyncedTo>, StoreError>;

    /// The approvals of the plans with these numbers, ordered by plan and time.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn approvals(&self, plans: &BTreeSet<u64>) -> Result<Vec<PlanApproval>, StoreError>;
}
