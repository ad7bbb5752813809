//! Bodies of results: what a worker says about an event or a command.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{Code, CommitId, Hostname};

/// The most hostnames a result lists; `truncated` says that there were more.
pub const MAX_DEVICES: usize = 1000;

/// An event, or a command about sync flags, was worked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventApplied {
    /// Whether it had an effect.
    pub outcome: Outcome,
    /// Why it had none, where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<IgnoredReason>,
    /// Whom it concerned.
    pub scope: Scope,
    /// How many devices changed their flag by it, in either direction.
    pub flipped: u64,
    /// The devices it concerned, sorted, at most [`MAX_DEVICES`].
    pub devices: Vec<Hostname>,
    /// Whether `devices` was cut.
    pub truncated: bool,
    /// Hostnames it named that no device has, sorted; reported, and otherwise left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_hostnames: Vec<Hostname>,
    /// The accepted commit after it, where it was about a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
}

/// Whether an event had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was applied.
    Applied,
    /// It was understood, and there was nothing to do.
    Ignored,
}

/// Why there was nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredReason {
    /// Only the status of interfaces changed, such as by a bounce.
    StatusOnly,
    /// Everything is already as the message says.
    Unchanged,
    /// A newer message about the same was applied before.
    Older,
    /// The branch is not the configured one.
    OtherBranch,
    /// The branch is gone; nobody's intended configuration is known to have changed by that.
    BranchDeleted,
    /// Another message of the same burst did all there was to do.
    Coalesced,
}

/// Whom an event concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Nobody.
    None,
    /// One device.
    Device,
    /// Several devices, each named.
    Devices,
    /// All devices of one or several types.
    DeviceTypes,
    /// All devices.
    All,
}

/// A message could not be worked. It lies with the dead letters until somebody requeues or drops it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageRejected {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people, and what to do.
    pub reason: String,
    /// Where in the message, as a JSON path such as `$.data.hostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The type the message claims, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
}

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterAction {
    /// They are worked again.
    Requeued,
    /// They are dropped.
    Dropped,
}

/// Dead letters were requeued or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLettersSettled {
    /// What was done with them.
    pub action: DeadLetterAction,
    /// How many it was done with.
    pub settled: u64,
    /// Their numbers, in order, at most [`MAX_DEVICES`].
    pub dead_letters: Vec<u64>,
    /// Whether `dead_letters` was cut.
    pub truncated: bool,
    /// How many were named that somebody requeued or dropped before; those are left as they are.
    pub unchanged: u64,
    /// Whether more match than one command settles: send another one.
    pub more: bool,
}

/// An execution was accepted: its targets are written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionAccepted {
    /// The execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How many elements it has.
    pub elements: u64,
    /// Whether nothing is changed on devices.
    pub dry_run: bool,
}

/// How far an execution has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionProgress {
    /// The execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How many elements it has.
    pub elements: u64,
    /// How many of them ended.
    pub ended: u64,
}

/// How an element or an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndState {
    /// All of it was done.
    Done,
    /// Something failed.
    Failed,
    /// It was left out, and a reason says why.
    Skipped,
    /// It was cancelled.
    Cancelled,
}

/// An execution ended. The counts add up to its elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionFinished {
    /// The execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How it ended.
    pub state: EndState,
    /// How many elements were done.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// How many were cancelled before they began.
    pub cancelled: u64,
}

/// One element of an execution ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementFinished {
    /// The execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// The device, where the element is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// How it ended.
    pub state: EndState,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The diff with secrets masked, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// The change score of the diff, 0 to 100.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "change_score"
    )]
    #[cfg_attr(feature = "schema", schemars(range(max = 100)))]
    pub change_score: Option<u8>,
}

fn change_score<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match Option::<u8>::deserialize(deserializer)? {
        Some(score) if score > 100 => Err(D::Error::custom(format!("is {score}, the most is 100"))),
        score => Ok(score),
    }
}

/// What became of a CloudVision task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CvpTaskAction {
    /// It was cancelled, and CloudVision says so.
    Cancelled,
    /// It was kept, for the reasons given.
    Kept,
    /// Something failed; whether it was cancelled is not known to be so.
    Failed,
    /// It was no longer there.
    Gone,
}

/// One CloudVision task was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpTaskSettled {
    /// The cluster, by its configured name.
    pub cluster: String,
    /// The task.
    pub task_id: String,
    /// The device in CloudVision's terms.
    pub net_element_id: String,
    /// The compliance code of the device, as CloudVision gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliance_code: Option<String>,
    /// What became of the task.
    pub action: CvpTaskAction,
    /// Why it was kept or failed.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// A sweep of CloudVision tasks ended. The counts add up to the tasks listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpSweepFinished {
    /// The cluster, by its configured name.
    pub cluster: String,
    /// Whether nothing was cancelled on purpose.
    pub dry_run: bool,
    /// How many tasks ended in which way.
    pub actions: BTreeMap<CvpTaskAction, u64>,
    /// How many were kept for which reason.
    pub kept: BTreeMap<String, u64>,
}
