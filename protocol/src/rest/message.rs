use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Identity, InboxState};

/// The answer to a published message: the broker has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// Who the message is; ask for its outcome by this pair.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The outcome of a message, as `GET /v1/messages` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageView {
    /// Where the message came from.
    pub source: String,
    /// Its id there.
    pub id: String,
    /// The type it had.
    #[serde(rename = "type")]
    pub kind: String,
    /// What became of it.
    pub state: InboxState,
    /// When that was committed.
    pub at: Timestamp,
    /// Who sent it, as authenticated.
    pub by: Option<String>,
    /// The type of its result.
    pub result_type: String,
    /// The body of its result.
    pub result: Value,
}
