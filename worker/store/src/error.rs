use lockstep_protocol::Identity;

use super::Retryability;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer or refuses for a while: no connection, a time-out, a full disk, a lost connection in the
    /// middle of a commit. Waiting and doing the same again is right.
    #[error("the store is not available ({operation})")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// Another transaction was first: a deadlock, a serialization failure, or another worker that processed the same message
    /// at the same time. Repeating the transaction at once is right.
    #[error("another transaction was first ({operation})")]
    Conflict {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// The store refused what was asked: a constraint, a value it cannot keep. Repeating it changes nothing.
    #[error("the store refused ({operation})")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// A row cannot be understood, such as one written by a newer version.
    #[error("{what} cannot be read from the store: {reason}")]
    Corrupt {
        /// Which row and column.
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
    /// The schema is newer than this program, and does not say that it may work on it.
    #[error(
        "the store's schema has version {found}, for programs made for {} or newer, this one is made for {known}; upgrade it",
        .oldest.unwrap_or(*.found)
    )]
    SchemaTooNew {
        /// The version found.
        found: u32,
        /// For which version a program must be made to work on it, if it says so.
        oldest: Option<u32>,
        /// The newest version this program knows.
        known: u32,
    },
    /// The address cannot be understood.
    #[error("store address is not usable: {reason}")]
    Address {
        /// What is wrong with it; never the password.
        reason: String,
    },
}

impl StoreError {
    /// How the error is treated. What only an operator can repair (a schema, an address) is waited for like an outage: no
    /// message is to blame for it.
    pub fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable { .. }
            | Self::Conflict { .. }
            | Self::SchemaVersion { .. }
            | Self::SchemaTooNew { .. }
            | Self::Address { .. } => Retryability::Later,
            // A newer worker may have written it and may be able to read it.
            Self::Corrupt { .. } => Retryability::Transient,
            Self::Refused { .. } => Retryability::Permanent,
        }
    }

    /// Whether repeating the transaction at once may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether waiting may help without an operator.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Conflict { .. })
    }

    /// Another worker processed the same message at the same time.
    pub fn processed_elsewhere(operation: &'static str, identity: &Identity) -> Self {
        Self::Conflict {
            operation,
            source: format!("message {identity} has an inbox row already").into(),
        }
    }
}
