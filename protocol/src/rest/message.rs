use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DeadLetterView;
use crate::{Identity, InboxState};

/// The answer to a published message, after the broker confirmed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// The identity of the message: the parameters of `GET /v1/messages`.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The answer of `GET /v1/messages`: the outcome of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageView {
    /// The `source` of the message.
    pub source: String,
    /// The `id` of the message, unique within its source.
    pub id: String,
    /// The type of the message; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it was applied.
    pub state: InboxState,
    /// When that was decided.
    pub at: Timestamp,
    /// The authenticated sender.
    pub by: Option<String>,
    /// The type of the result that was published.
    pub result_type: String,
    /// The data of that result.
    pub result: Value,
}

/// A message in the answers of `GET /v1/messages/{id}` and `GET /v1/explain/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageDetail {
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: MessageView,
    /// Its subject, such as a hostname.
    pub subject: Option<String>,
    /// The id that it and the messages that it caused have in common in traces: 32 hexadecimal digits. Null if its sender gave none.
    pub trace_id: Option<String>,
    /// How often it was requeued as a dead letter.
    pub redrive_count: u32,
    /// Its dead letters, the newest first; at most 20. Null if the token may not read them.
    pub dead_letters: Option<Vec<DeadLetterView>>,
}

/// The answer of `GET /v1/messages/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageMatches {
    /// The processed messages with this id that the token may read, ordered by source and sender: mostly one, since an id is unique for each
    /// source and sender only.
    pub messages: Vec<MessageDetail>,
    /// Whether there are more than the 20 that are listed.
    pub more: bool,
}
