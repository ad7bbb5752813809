use jiff::Timestamp;
pub use lockstep_protocol::rest::InboxState;
use lockstep_protocol::{Digest, Identity, WorkResult};

/// A message that was worked, and what became of it. Commits together with its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Who the message is.
    pub identity: Identity,
    /// The type it claims; empty where it could not be read.
    pub kind: String,
    /// What it said.
    pub digest: Digest,
    /// What became of it.
    pub state: InboxState,
    /// When that was decided.
    pub at: Timestamp,
    /// Who sent it, as authenticated.
    pub actor: Option<String>,
    /// What it was about.
    pub subject: Option<String>,
    /// What was answered: published again, unchanged, whenever the message comes again.
    pub result: WorkResult,
}
