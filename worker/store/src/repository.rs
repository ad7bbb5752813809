use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{CommitId, DeviceType, Hostname, RepositoryName};

use super::{Completion, Lease, NewCause, StoreError};

/// A repository, without its listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Its configured name.
    pub name: RepositoryName,
    /// The branch that was looked at last.
    pub branch: String,
    /// Raised whenever the row is written.
    pub revision: i64,
    /// The commit whose flags are set, and since when; `None` before the first.
    pub accepted: Option<(CommitId, Timestamp)>,
    /// The tip that was looked at last.
    pub seen: CommitId,
    /// When it was.
    pub seen_at: Timestamp,
    /// Why the tip is not the accepted commit, where it is not.
    pub problem: Option<String>,
}

/// What a look at a repository came to. All of it commits together, or none of it.
#[derive(Clone)]
pub struct RepositoryChange {
    /// The lease under which it was looked at.
    pub lease: Lease,
    /// The repository.
    pub name: RepositoryName,
    /// The branch that was looked at.
    pub branch: String,
    /// The revision of the row on which it was decided; 0 if there was none.
    pub revision: i64,
    /// The tip that was seen.
    pub seen: CommitId,
    /// When.
    pub at: Timestamp,
    /// Why the tip is not accepted, where it is not.
    pub problem: Option<String>,
    /// The new accepted commit, where there is one.
    pub advance: Option<Advance>,
    /// How the messages ended that asked for the look, made when it is known whose flags changed. None of them ended
    /// before; if one did, nothing is written.
    pub completions: CompletionsOf,
}

/// How messages ended, from what was flagged.
pub type CompletionsOf = Arc<dyn Fn(&Flagged) -> Vec<Completion> + Send + Sync>;

/// The accepted commit moves.
#[derive(Clone, Debug)]
pub struct Advance {
    /// To this commit.
    pub commit: CommitId,
    /// Which has this in it, as `git ls-tree -r -z` says it.
    pub listing: Arc<Vec<u8>>,
    /// What that does to flags; nothing where a commit is accepted without flagging.
    pub flags: Option<Flags>,
}

/// Devices to be unsynchronized for one cause.
#[derive(Clone, Debug)]
pub struct Flags {
    /// Why.
    pub cause: NewCause,
    /// Which.
    pub selector: DeviceSelector,
}

/// Devices, by what they are: each that fits one of these.
#[derive(Clone, Default)]
pub struct DeviceSelector {
    /// All of these types.
    pub device_types: BTreeSet<DeviceType>,
    /// All of these types on these platforms.
    pub platforms: BTreeSet<(DeviceType, String)>,
    /// All on these platforms.
    pub whole_platforms: BTreeSet<String>,
    /// These; those that are not there are reported.
    pub hostnames: BTreeSet<Hostname>,
    /// Those whose name is chosen, such as by group.
    pub predicate: Option<DevicePredicate>,
}

/// Chooses devices by their names.
pub type DevicePredicate = Arc<dyn Fn(&Hostname) -> bool + Send + Sync>;

/// Who was unsynchronized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flagged {
    /// How many devices it concerned.
    pub concerned: u64,
    /// How many of them were synchronized before.
    pub flipped: u64,
    /// The first of them in order of their names, at most [`MAX_DEVICES`](lockstep_protocol::results::MAX_DEVICES).
    pub devices: Vec<Hostname>,
    /// Hostnames that no device has.
    pub unknown_hostnames: BTreeSet<Hostname>,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is committed.
    Committed,
    /// The lease is lost: somebody else looks after the repository now. Nothing is written.
    LeaseLost,
    /// Somebody else wrote the row since it was read. Nothing is written.
    Superseded,
}

/// Keeps what is known of repositories.
#[async_trait]
pub trait Repositories: Debug + Send + Sync + 'static {
    /// All that were ever looked at, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError>;

    /// One of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError>;

    /// What is in the accepted commit.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Commits a look: the row, the flags and the inbox rows in one transaction, if the lease still holds.
    ///
    /// # Errors
    /// See [`StoreError`]. On [`StoreError::Unavailable`] it is not known whether it was committed: the inbox tells. On
    /// [`StoreError::Conflict`] one of the messages may have been worked elsewhere.
    async fn change(&self, change: &RepositoryChange) -> Result<Changed, StoreError>;
}

impl DeviceSelector {
    /// Whether it may be most of the fleet.
    pub(super) fn is_broad(&self) -> bool {
        !self.device_types.is_empty()
            || !self.platforms.is_empty()
            || !self.whole_platforms.is_empty()
            || self.predicate.is_some()
    }
}

impl Debug for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whom")
            .field("device_types", &self.device_types)
            .field("platforms", &self.platforms)
            .field("whole_platforms", &self.whole_platforms)
            .field("hostnames", &self.hostnames)
            .field("chosen", &self.predicate.is_some())
            .finish()
    }
}

impl Debug for RepositoryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryChange")
            .field("lease", &self.lease)
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("seen", &self.seen)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}
