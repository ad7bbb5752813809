//! The `data` of results: what a worker publishes about an event or a command.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{Code, CommitId, ElementOutcome, ElementState, EntityType, ExecutionState, Hostname, WorkResult};

/// The most hostnames or dead letters that a result lists; `truncated` is set if there were more.
pub const MAX_DEVICES: usize = 1000;

/// An event, or a command about sync flags, was processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventApplied {
    /// Whether the message had an effect.
    pub outcome: Outcome,
    /// Why the message had no effect; set if `outcome` is `ignored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<IgnoredReason>,
    /// Which devices the message concerned.
    pub scope: Scope,
    /// How many devices changed their sync flag, in either direction.
    pub flipped: u64,
    /// The hostnames of the devices concerned, sorted, at most [`MAX_DEVICES`].
    pub devices: Vec<Hostname>,
    /// Whether `devices` was truncated, or another list for the sake of the broker.
    pub truncated: bool,
    /// Hostnames in the message that no device has, sorted. They are reported and have no other effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_hostnames: Vec<Hostname>,
    /// The accepted commit afterwards; set if the message was about a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The devices of an inventory that were not imported, in the order of the message. All others were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedDevice>,
    /// The devices that were marked as synchronized, which closed their causes; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<Hostname>,
    /// What the accepted commit holds that has no effect, such as a misspelled folder; some of many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A device of an inventory that was not imported, nor its interfaces and the clients behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectedDevice {
    /// The hostname of the device.
    pub hostname: Hostname,
    /// The stable code of the error, for programs.
    pub code: Code,
    /// The JSON path of the error in the message, such as `$.data.devices[3].mac`.
    pub place: String,
    /// What is wrong and what to do about it, for people.
    pub reason: String,
}

/// Whether an event had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The event was applied.
    Applied,
    /// The event was valid, but there was nothing to do.
    Ignored,
}

/// Why there was nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredReason {
    /// Only the status of interfaces changed.
    StatusOnly,
    /// The stored state already equals the state in the message.
    Unchanged,
    /// A newer message about the same object was applied before.
    Older,
    /// The branch is not the configured one.
    OtherBranch,
    /// The branch was deleted, which changes no intended configuration.
    BranchDeleted,
    /// Another message of the same coalesced batch covered this one.
    Coalesced,
}

/// Which devices an event concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// No device.
    None,
    /// One device.
    Device,
    /// Several devices, listed by hostname.
    Devices,
    /// Every device of one or more device types.
    DeviceTypes,
    /// Every device.
    All,
}

/// A message could not be processed. It is kept as a dead letter until an operator requeues or drops it, unless it was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageRejected {
    /// The stable code of the error, for programs.
    pub code: Code,
    /// What is wrong and what to do about it, for people.
    pub reason: String,
    /// The JSON path of the error in the message, such as `$.data.hostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The `type` of the message, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// Whether it is a command that was refused to its sender, who waits for the answer: no dead letter keeps it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// How dead letters were settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterAction {
    /// They are processed again.
    Requeued,
    /// They were dropped.
    Dropped,
}

/// Dead letters were requeued or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLettersSettled {
    /// How they were settled.
    pub action: DeadLetterAction,
    /// How many dead letters this command settled.
    pub settled: u64,
    /// Their numbers, ascending, at most [`MAX_DEVICES`].
    pub dead_letters: Vec<u64>,
    /// Whether `dead_letters` was truncated.
    pub truncated: bool,
    /// How many selected dead letters were already requeued or dropped; this command did not change them.
    pub unchanged: u64,
    /// Whether more dead letters match than one command settles; send the command again.
    pub more: bool,
}

/// A command that changes tasks, schedules or executions was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandApplied {
    /// Whether anything changed.
    pub changed: bool,
    /// What was done, in one sentence for people.
    pub message: String,
    /// The number of the task or schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The execution's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Id>"))]
    pub execution: Option<Uuid>,
}

/// An execution was accepted: its targets are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionAccepted {
    /// The execution's id.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How many elements the execution has.
    pub elements: u64,
    /// Whether this is a dry run, which changes nothing on devices.
    pub dry_run: bool,
    /// Who it runs for: who requested it first, or whose schedule, workflow or sync caused it. Absent if nobody is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// The progress of a running execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionProgress {
    /// The execution's id.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How many elements the execution has.
    pub elements: u64,
    /// How many elements have ended.
    pub ended: u64,
}

/// An execution ended. The counts add up to its elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionFinished {
    /// The execution's id.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// How the execution ended: never PENDING or RUNNING.
    pub state: ExecutionState,
    /// Why it ended so, where the counts do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether this was a dry run, which changes nothing on devices.
    pub dry_run: bool,
    /// Who it ran for: who requested it first, or whose schedule, workflow or sync caused it. Absent if nobody is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// How many elements were done.
    pub done: u64,
    /// How many elements failed.
    pub failed: u64,
    /// How many elements were skipped.
    pub skipped: u64,
}

/// One element of an execution ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementFinished {
    /// The execution's id.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The entity's id.
    pub entity: u64,
    /// The device's hostname, if the element belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// How the element ended: never PENDING or RUNNING.
    pub state: ElementState,
    /// What became of the element.
    pub outcome: ElementOutcome,
    /// Why the element failed or was skipped: a word for programs, such as `unreachable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the element changed something, or would have in a dry run.
    pub changed: bool,
    /// The configuration diff with secrets masked, if there was one.
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
        Some(score) if score > 100 => Err(D::Error::custom(format!("is {score}; the maximum is 100"))),
        score => Ok(score),
    }
}

/// What the sweep did with a CloudVision task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CvpTaskAction {
    /// It was cancelled, and CloudVision confirmed that.
    Cancelled,
    /// It was kept, for the reasons given.
    Kept,
    /// A request failed; whether the task was cancelled is unknown.
    Failed,
    /// It no longer existed.
    Gone,
}

/// The sweep checked one CloudVision task. It takes the place of the result about the element. CloudVision does not create a cancelled task
/// again by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpTaskSettled {
    /// The id of the sweep's execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// The cluster's name in the configuration.
    pub cluster: String,
    /// The task's id in CloudVision.
    pub task_id: String,
    /// The device's net element id in CloudVision.
    pub net_element_id: String,
    /// The device's hostname in CloudVision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The device's compliance code in CloudVision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliance_code: Option<String>,
    /// What the sweep did with the task.
    pub action: CvpTaskAction,
    /// Why the task was kept or failed, or what is wrong with a device after its task was cancelled.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// CloudVision's answer to the cancel, or the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// A sweep of CloudVision tasks ended. The counts add up to the tasks listed. It takes the place of the result about the element of the
/// fleet, and comes beside the result about the execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpSweepFinished {
    /// The id of the sweep's execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
    /// The cluster's name in the configuration.
    pub cluster: String,
    /// Whether this was a dry run, which cancels nothing.
    pub dry_run: bool,
    /// How many tasks, by action.
    pub actions: BTreeMap<CvpTaskAction, u64>,
    /// How many tasks were kept, by reason.
    pub kept: BTreeMap<String, u64>,
    /// How many devices were no longer compliant after their task was cancelled.
    pub alerts: u64,
}

/// The most characters of a text, and the most items of a list, in a shortened result.
const SHORT_TEXT: usize = 500;
const SHORT_LIST: usize = 20;

impl WorkResult {
    /// The same result with long texts and lists cut: for a broker that takes no message as large as the result. Outcomes and
    /// counts stay.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        match &mut self {
            Self::EventApplied(applied) => {
                let longest = applied.devices.len().max(applied.rejected.len());
                applied.truncated |= longest.max(applied.marked.len()) > SHORT_LIST;
                applied.devices.truncate(SHORT_LIST);
                applied.unknown_hostnames.truncate(SHORT_LIST);
                applied.rejected.truncate(SHORT_LIST);
                applied.marked.truncate(SHORT_LIST);
            }
            Self::MessageRejected(rejected) => {
                shorten(&mut rejected.reason);
                rejected.place.as_mut().map(shorten);
                rejected.message_type.as_mut().map(shorten);
            }
            Self::DeadLettersSettled(settled) => {
                settled.truncated |= settled.dead_letters.len() > SHORT_LIST;
                settled.dead_letters.truncate(SHORT_LIST);
            }
            Self::ElementFinished(finished) => {
                finished.message.as_mut().map(shorten);
                finished.diff = None;
            }
            Self::CvpTaskSettled(settled) => {
                settled.reasons.truncate(SHORT_LIST);
                settled.reasons.iter_mut().for_each(shorten);
                settled.answer.as_mut().map(shorten);
            }
            Self::CommandApplied(_)
            | Self::ExecutionAccepted(_)
            | Self::ExecutionProgress(_)
            | Self::ExecutionFinished(_)
            | Self::CvpSweepFinished(_) => {}
        }
        self
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHORT_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_result_keeps_outcome_and_counts_and_says_that_it_lists_fewer() {
        let hostname = |number: usize| -> Hostname { format!("sw{number}").parse().unwrap() };
        let applied = EventApplied {
            outcome: Outcome::Applied,
            reason: None,
            scope: Scope::Devices,
            flipped: 900,
            devices: (0..900).map(hostname).collect(),
            truncated: false,
            unknown_hostnames: (0..900).map(hostname).collect(),
            commit: None,
            rejected: Vec::new(),
            marked: (0..900).map(hostname).collect(),
            warnings: Vec::new(),
        };
        let WorkResult::EventApplied(short) = WorkResult::EventApplied(applied).shortened() else {
            panic!("another result");
        };
        assert_eq!((short.flipped, short.truncated), (900, true));
        assert_eq!((short.devices.len(), short.unknown_hostnames.len()), (20, 20));
        assert_eq!(short.marked.len(), 20);
        let rejected = MessageRejected {
            code: Code::InvalidIntent,
            reason: "ä".repeat(10_000),
            place: Some("$".repeat(10_000)),
            message_type: None,
            refused: false,
        };
        let WorkResult::MessageRejected(short) = WorkResult::MessageRejected(rejected).shortened() else {
            panic!("another result");
        };
        assert_eq!(short.code, Code::InvalidIntent);
        assert_eq!(short.reason.chars().count(), 501);
        assert_eq!(short.place.map(|place| place.len()), Some(503));
    }
}
