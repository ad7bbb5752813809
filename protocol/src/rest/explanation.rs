use serde::{Deserialize, Serialize};

use super::{CauseView, ElementView, ExecutionView, MessageDetail};
use crate::{CommitId, Hostname};

/// The answer of `GET /v1/explain/{id}`: how one thing led to the next, from a message to what became of devices. A part that the token may
/// not read is empty, and is listed in `not_allowed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplanationView {
    /// What the id names.
    pub about: ExplainedThing,
    /// The id that its messages have in common in traces: 32 hexadecimal digits. Null if no sender gave one, or if the message is not kept
    /// any more.
    pub trace_id: Option<String>,
    /// The message that began it. Null if it is not kept any more.
    pub message: Option<MessageDetail>,
    /// Why devices needed a synchronization, the oldest cause first, each with the rule that applied.
    pub causes: Vec<ExplainedCause>,
    /// How many devices were flagged; null if it is not about devices.
    pub flagged: Option<u64>,
    /// The first devices concerned, with their generations now.
    pub devices: Vec<ExplainedDevice>,
    /// How many more devices there are, as far as that is known.
    pub more_devices: u64,
    /// The executions on these devices, the oldest first.
    pub executions: Vec<ExecutionView>,
    /// What these executions did on these devices, in the order of the executions.
    pub elements: Vec<ExplainedElement>,
    /// The parts that the token may not read.
    pub not_allowed: Vec<NotAllowedPart>,
    /// What is left out, or is not known any more, in words.
    pub notes: Vec<String>,
}

/// What the id of an explanation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExplainedThing {
    /// A message, by its id.
    Message,
    /// An execution, by its number or id.
    Execution,
    /// An element, by its number.
    Element,
}

/// A part of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExplanationPart {
    /// The message.
    Message,
    /// Causes, rules, devices and their generations.
    Devices,
    /// Executions, and what became of their elements.
    Executions,
    /// How far a sync came on a device.
    Steps,
}

/// A part of an explanation that the token may not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotAllowedPart {
    /// Which part.
    pub part: ExplanationPart,
    /// What `reads` of the token must have.
    pub needs: String,
}

/// A cause with the rules by which its message gave it to devices: rows of the table in `docs/reference/sync-rules.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainedCause {
    /// The cause.
    pub cause: CauseView,
    /// The rules that lead from a message of this type to this cause. Several, if the message has more than one way to it.
    pub rules: Vec<RuleView>,
}

/// A row of the table of synchronization rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuleView {
    /// What happens.
    pub event: String,
    /// The devices concerned.
    pub devices: String,
}

/// A device of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainedDevice {
    /// Its hostname now.
    pub hostname: Hostname,
    /// The generation that it should have now.
    pub desired_generation: i64,
    /// The generation that it has.
    pub synced_generation: i64,
}

/// An element of an execution, with what a sync binds it to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainedElement {
    /// The element.
    pub element: ElementView,
    /// The generation that the device gets by it; null if it is none of a sync.
    pub generation: Option<i64>,
    /// The commit of the settings that it is rendered from.
    pub settings_commit: Option<CommitId>,
    /// The commit of the templates that it is rendered from.
    pub templates_commit: Option<CommitId>,
    /// How far a sync came: its last step, such as `confirm`. Null if it is not known.
    pub step: Option<String>,
}
