use serde::{Deserialize, Serialize};

use crate::Hostname;

/// The answer of `GET /v1/sync/selection`: a page of the devices that a sync run is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SelectionPage {
    /// The devices that it would contact, ordered by hostname.
    pub selected: Vec<Hostname>,
    /// The devices that it would not contact, ordered by hostname.
    pub skipped: Vec<SkippedDevice>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hostname>,
}

/// A device that a sync run does not contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkippedDevice {
    /// The device.
    pub hostname: Hostname,
    /// Why: `state UNMANAGED`, with its state, or `synchronized`.
    pub reason: String,
}
