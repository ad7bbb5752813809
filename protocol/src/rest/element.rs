use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StageView;
use crate::{ElementOutcome, ElementState, EntityType, Hostname};

/// An element in the answer of `GET /v1/executions/{number or id}/elements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementView {
    /// Its stable number, unique among all elements.
    pub number: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity; 0 for the whole fleet.
    pub entity: u64,
    /// The name of the entity.
    pub name: String,
    /// The device that it is or belongs to, by the hostname that it had.
    pub hostname: Option<Hostname>,
    /// Its state.
    pub state: ElementState,
    /// What became of it; null before its end.
    pub outcome: Option<ElementOutcome>,
    /// The stage that it runs in next, or ended in.
    #[serde(default)]
    pub stage: Option<StageView>,
    /// What it waits for, such as `device/sw1`, `group/oslo`, `overall`, `stop`, `parked`, or `stage/12/3` until that stage of its execution
    /// begins; null if it does not wait, or only for a worker.
    pub waits_for: Option<String>,
    /// When it runs again, if it is parked: its provider could not run it then, and the reason and the message say why.
    #[serde(default)]
    pub resume_at: Option<Timestamp>,
    /// When it is skipped instead.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether it changed something, or would have in a dry run.
    pub changed: bool,
    /// How often it began.
    pub attempts: u32,
    /// When it began last.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// The answer of `GET /v1/executions/{number or id}/elements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementPage {
    /// One page of elements, ordered by number.
    pub elements: Vec<ElementView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The answer of `GET /v1/elements/{number}`. The data is untrusted: it has whatever the device said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementDetail {
    /// The same as in lists.
    #[serde(flatten)]
    pub element: ElementView,
    /// The whole result of its provider; null before its end.
    pub data: Value,
}

/// A fact about a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FactView {
    /// Its key.
    pub key: String,
    /// Its value: untrusted, whatever the device said.
    pub value: Value,
    /// When it was found.
    pub at: Timestamp,
    /// The number of the element that found it.
    pub element: u64,
}

/// The answer of `GET /v1/devices/{hostname}/facts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FactList {
    /// The facts about the device, ordered by key; of one key, the newest first.
    pub facts: Vec<FactView>,
}

/// A check of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckView {
    /// Its key.
    pub key: String,
    /// `ok`, `nok` (it was performed, and the device does not fulfil it) or `failed` (it could not be performed).
    pub result: String,
    /// Why, for people: untrusted.
    pub reason: Option<String>,
    /// What it measured: untrusted.
    pub metrics: Value,
    /// When it was performed.
    pub at: Timestamp,
    /// The number of the element that performed it.
    pub element: u64,
}

/// The answer of `GET /v1/devices/{hostname}/checks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckList {
    /// The checks of the device, ordered by key; of one key, the newest first.
    pub checks: Vec<CheckView>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_is_flat() {
        let json = json!({
            "number": 7, "execution": 2, "entity_type": "DEVICE", "entity": 1, "name": "sw1", "hostname": "sw1", "state": "SUCCESSFUL",
            "outcome": "done", "stage": {"index": 0, "phase": 0, "task": "reachable", "stage": "devices"}, "waits_for": null, "reason": null, "message": "reachable", "changed": false, "attempts": 1,
            "started_at": "2026-02-03T04:05:06Z", "ended_at": "2026-02-03T04:05:07Z", "resume_at": null, "expires_at": null, "data": {"milliseconds": 3},
        });
        let detail: ElementDetail = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(detail.element.outcome, Some(ElementOutcome::Done));
        assert_eq!(serde_json::to_value(detail).unwrap(), json);
    }
}
