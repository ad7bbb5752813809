use lockstep_protocol::Identity;

use super::{Retryability, postgres};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer, or rejects operations for now: no connection, a time-out, a full disk, a connection lost
    /// during a commit. Wait and repeat the operation.
    #[error("the store is not available ({operation})")]
    Unavailable {
        /// The operation that failed.
        operation: &'static str,
        /// The error of the driver.
        #[source]
        source: Cause,
    },
    /// A concurrent transaction was first: a deadlock, a serialization failure, or another worker that processed the same
    /// message at the same time. Repeat the transaction at once.
    #[error("a concurrent transaction was first ({operation})")]
    Conflict {
        /// The operation that failed.
        operation: &'static str,
        /// The error of the driver.
        #[source]
        source: Cause,
    },
    /// The store refused the operation: a constraint, or a value that it cannot store. Repeating it fails again.
    #[error("the store refused the operation ({operation})")]
    Refused {
        /// The operation that failed.
        operation: &'static str,
        /// The error of the driver.
        #[source]
        source: Cause,
    },
    /// The value of a column is invalid for this program; a newer version may have written it.
    #[error("{what} cannot be read from the store: {reason}")]
    Corrupt {
        /// The table and the column.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema is older than this program.
    #[error("the store's schema has version {found}, this program needs {needed}; run `lockstep migrate`")]
    SchemaVersion {
        /// The version found.
        found: u32,
        /// The version needed.
        needed: u32,
    },
    /// The schema is newer than this program, and does not allow programs of this version.
    #[error(
        "the store's schema has version {found}, which needs a program made for {} or newer, and this program is made for {known}; upgrade it",
        .oldest.unwrap_or(*.found)
    )]
    SchemaTooNew {
        /// The version found.
        found: u32,
        /// The oldest schema version for which a program may be made to use it, if the schema names one.
        oldest: Option<u32>,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The address of the store is invalid.
    #[error("the address of the store is invalid: {reason}")]
    Address {
        /// What is wrong with it, without the password.
        reason: String,
    },
}

impl StoreError {
    /// How the error is treated. Errors that only an operator can fix (a schema, an address) are treated like an outage, because
    /// no message causes them.
    pub fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable { .. }
            | Self::Conflict { .. }
            | Self::SchemaVersion { .. }
            | Self::SchemaTooNew { .. }
            | Self::Address { .. } => Retryability::Later,
            // A newer worker may have written the row, and can then read it.
            Self::Corrupt { .. } => Retryability::Transient,
            Self::Refused { .. } => Retryability::Permanent,
        }
    }

    /// Whether repeating the transaction at once may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether the store did not answer at all, as opposed to an answer that it cannot do this now. Another program may still
    /// reach it. Never true for a file.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if postgres::error::is_unanswered(&**source))
    }

    /// Whether another session held a lock for longer than this one waits.
    pub fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if postgres::error::is_lock_timeout(&**source))
    }

    /// Whether the error may end without an operator.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Conflict { .. })
    }

    /// The conflict with another worker that processed the same message at the same time.
    pub fn processed_elsewhere(operation: &'static str, identity: &Identity) -> Self {
        Self::Conflict {
            operation,
            source: format!("message {identity} has an inbox row already").into(),
        }
    }
}
