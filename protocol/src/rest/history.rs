use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CauseView;

/// Something that happened to a device, in the answer of `GET /v1/devices/{hostname}/history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEventView {
    /// When the message was applied.
    pub at: Timestamp,
    /// What happened: `created`, `moved` (to another state), `renamed`, `unsynchronized` (it got a cause), `synchronized`, or
    /// `causes-closed` (without a change of the flag). A text, since a newer worker may know more.
    pub what: String,
    /// The type of the message.
    pub event: String,
    /// The `source` of the message.
    pub source: String,
    /// The `id` of the message.
    pub id: String,
    /// The authenticated sender of the message.
    pub by: Option<String>,
    /// The note of the operator who sent it.
    pub note: Option<String>,
    /// The former state or hostname.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The new state or hostname.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The execution by which it became synchronized, if it was a sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Id>"))]
    pub execution: Option<Uuid>,
    /// The desired generation afterwards. Absent for `unsynchronized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The cause that the device got; only for `unsynchronized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseView>,
    /// Whether that cause is open; only for `unsynchronized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// How many causes it closed, at most the newest 32. Absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<u64>,
    /// How many of them are not in the history any more, because their retention is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<u64>,
}

/// The answer of `GET /v1/devices/{hostname}/history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryPage {
    /// One page of what happened to the device, newest first.
    pub events: Vec<HistoryEventView>,
    /// The value of `before` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
