use serde::{Deserialize, Serialize};

use crate::{CommitId, ElementOutcome, ElementState, Hostname};

/// A device in the answer of `GET /v1/executions/{number or id}/devices`, for an execution of a sync: what it is bound to, and what was
/// found. The difference is untrusted: it has whatever the device said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncDeviceView {
    /// The number of its element.
    pub number: u64,
    /// The hostname that it had when the execution began.
    pub hostname: Hostname,
    /// The state of its element.
    pub state: ElementState,
    /// What became of it; null before its end.
    pub outcome: Option<ElementOutcome>,
    /// Why it failed or was skipped: a word for programs, such as `drift` or `diff-changed`.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether its configuration changed, or would have in a dry run.
    pub changed: bool,
    /// The generation that it gets.
    pub generation: i64,
    /// Whether it has had newer causes since: a plan for it is refused.
    pub outdated: bool,
    /// The commit of the settings that it is rendered from; null without one.
    pub settings_commit: Option<CommitId>,
    /// The commit of the templates that it is rendered from; null without one.
    pub templates_commit: Option<CommitId>,
    /// How it differs from its intended configuration, without secrets; empty if it does not, null if that is not known.
    pub diff: Option<String>,
    /// The keyed hash of the whole difference, to which a plan is bound.
    pub hash: Option<String>,
    /// How large the change is, by the rules of CNaaS NMS.
    pub change_score: Option<f64>,
}

/// The answer of `GET /v1/executions/{number or id}/devices`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncDevicePage {
    /// One page of devices, ordered by the number of the element: at most 8 MiB of differences, if it has more than one device.
    pub devices: Vec<SyncDeviceView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The answer of `GET /v1/executions/{number or id}/devices/{hostname}/configuration`: whole texts, with secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncConfigurationView {
    /// The hostname that the device had when the execution began.
    pub hostname: Hostname,
    /// How the device differed from its intended configuration; null if that is not known, or no longer kept.
    pub diff: Option<String>,
    /// The rendered configuration; null if it was not asked for, or is no longer kept.
    pub rendered: Option<String>,
    /// The running configuration before the push; null without one, or if it is no longer kept.
    pub previous: Option<String>,
}
