//! The documents between a worker and a program: JSON, one a line. `schema.json` is generated from these types.

use lockstep_execution::{CycleResult, Entity, TargetDevice};
use lockstep_protocol::{ElementState, EntityType, Level};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::StepName;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// A document from the worker to the program.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToProgram<'a> {
    /// The first document: what all steps have in common. The program answers `ready`.
    Begin {
        /// The version of the protocol that the worker speaks.
        protocol: u32,
        /// The name of the provider.
        provider: &'a str,
        /// The number of the element.
        element: u64,
        /// The number of its execution.
        execution: u64,
        /// The attempt, from 1.
        attempt: u32,
        /// Whether nothing may be changed outside.
        dry_run: bool,
        /// The arguments of the task, valid by `json_schema`.
        arguments: &'a Value,
        /// The arguments of the run, valid by `run_input_json_schema`.
        run_arguments: &'a Value,
        /// The device that is connected to: the device itself, or its controller. Null for steps of the fleet, groups and items.
        device: Option<DeviceDocument<'a>>,
        /// The login at this device, if the configuration gives it to this provider, and there is one.
        login: Option<LoginDocument<'a>>,
    },
    /// A step on an entity. The program answers `done` or `failed` with the same id, after any number of logs and requests.
    Step {
        /// The number of the answer, from 1.
        id: u64,
        /// The number of the step, 1 to 14. Null for `run_on_item`.
        number: Option<u8>,
        /// The name of the step.
        step: StepName,
        /// The entity.
        entity: EntityDocument<'a>,
        /// The entities above it with their pre-run results, outermost first.
        above: Vec<AboveDocument<'a>>,
        /// What the pre-run step of the same entity returned. Null in pre-run steps.
        pre_run: &'a Value,
        /// The results of all entities below it in the same unit, parents before children.
        below: Vec<ResultDocument<'a>>,
    },
    /// The answer to `read_results`: a page of results, at most 500. An empty page is the end.
    Results {
        /// The results.
        results: Vec<ResultDocument<'a>>,
    },
    /// The answer to `read_entity`.
    Entity {
        /// The attributes of the entity, with `facts` and `checks` by key.
        entity: Value,
    },
    /// The answer to a request that could not be done.
    Refused {
        /// Why, for people.
        message: String,
    },
}

/// A device to connect to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeviceDocument<'a> {
    /// Its hostname.
    hostname: &'a str,
    /// Where it is reached: an IP address or a host name.
    address: &'a str,
    /// The port, if it is reached at another one than the usual one.
    port: Option<u16>,
    /// Its platform, such as `eos`.
    platform: Option<&'a str>,
    /// Its groups.
    groups: &'a [String],
}

/// The user to log in as. Not printed: it has no Debug.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LoginDocument<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    /// The password of `enable`. Null if it asks for none.
    pub(crate) enable_password: Option<&'a str>,
}

/// An entity of the fleet, or an item.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntityDocument<'a> {
    /// What it is.
    level: Level,
    /// Its id; 0 for the fleet and for items.
    id: u64,
    /// Its name: a hostname, the name of an interface or of a group, the MAC address of a client, what step 1 called an item.
    name: &'a str,
    /// The device that it is or belongs to.
    device: Option<DeviceDocument<'a>>,
    /// What step 1 returned about an item.
    item: Option<&'a Value>,
}

/// An entity above another one.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AboveDocument<'a> {
    entity: EntityDocument<'a>,
    /// What its pre-run step returned.
    pre_run: &'a Value,
}

/// What the steps on one entity came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResultDocument<'a> {
    level: Level,
    /// The id of the entity.
    entity: u64,
    /// The name of the entity.
    name: &'a str,
    /// The id of the entity above it.
    parent: Option<u64>,
    /// PENDING until its last step ended.
    state: ElementState,
    reason: Option<&'a str>,
    message: Option<&'a str>,
    changed: bool,
    pre_run: &'a Value,
    data: &'a Value,
}

/// A document from the program to the worker.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FromProgram {
    /// The answer to `begin`.
    Ready {
        /// The version of the protocol that the program speaks.
        protocol: u32,
    },
    /// The step was done.
    Done(DoneDocument),
    /// The step failed: its entity, and all below it.
    Failed(FailedDocument),
    /// A line for the log of the worker. It has no answer.
    Log {
        /// How important it is.
        #[serde(default)]
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// Asks for results of earlier stages, for steps of groups and of the fleet. The answer is `results` or `refused`.
    ReadResults {
        /// The level of their entities.
        level: Level,
        /// Only devices of the group with this id, or entities below the entity with this id.
        #[serde(default)]
        of: Option<u64>,
        /// Only entities with greater ids: the last one of the page before.
        #[serde(default)]
        after: Option<u64>,
    },
    /// Asks what is known about an entity. The answer is `entity` or `refused`.
    ReadEntity {
        /// Its kind.
        entity_type: EntityType,
        /// Its id.
        id: u64,
    },
}

/// The end of a step that was done.
#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoneDocument {
    /// The id of the step.
    pub(crate) id: u64,
    /// What was done, for people.
    #[serde(default)]
    pub(crate) message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    #[serde(default)]
    pub(crate) changed: bool,
    /// The result.
    #[serde(default)]
    pub(crate) data: Value,
    /// Facts about the entity, by key. Each replaces the fact with its key.
    #[serde(default)]
    pub(crate) facts: Map<String, Value>,
    /// Items that step 1 found. Each becomes an element on which `run_on_item` runs.
    #[serde(default)]
    pub(crate) items: Vec<ItemDocument>,
}

/// The end of a step that failed.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailedDocument {
    /// The id of the step.
    pub(crate) id: u64,
    /// Why: a word for programs, such as `unreachable`: lower-case letters, digits and hyphens, at most 64.
    #[serde(default = "failed")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,63}$"))]
    pub(crate) reason: String,
    /// Why, for people.
    pub(crate) message: String,
    /// How.
    #[serde(default)]
    pub(crate) state: FailedState,
    /// Whether something changed nevertheless.
    #[serde(default)]
    pub(crate) changed: bool,
    /// What the program has so far.
    #[serde(default)]
    pub(crate) data: Value,
}

fn failed() -> String {
    "failed".to_owned()
}

/// An item that step 1 found.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemDocument {
    /// What it is called.
    pub(crate) name: String,
    /// Its data.
    #[serde(default)]
    pub(crate) data: Value,
}

/// How a step failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FailedState {
    /// As a whole.
    #[default]
    Failed,
    /// In part.
    PartialFailed,
    /// A condition before it is not met.
    PrecheckFailed,
    /// A condition after it is not met.
    PostcheckFailed,
    /// There was a reason to leave the entity alone: it counts as skipped.
    Filtered,
}

impl From<FailedState> for ElementState {
    fn from(state: FailedState) -> Self {
        match state {
            FailedState::Failed => Self::Failed,
            FailedState::PartialFailed => Self::PartialFailed,
            FailedState::PrecheckFailed => Self::PrecheckFailed,
            FailedState::PostcheckFailed => Self::PostcheckFailed,
            FailedState::Filtered => Self::Filtered,
        }
    }
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Debug,
    #[default]
    Info,
    Warning,
    Error,
}

impl<'a> From<&'a TargetDevice> for DeviceDocument<'a> {
    fn from(device: &'a TargetDevice) -> Self {
        Self {
            hostname: &device.hostname,
            address: device.address.host(),
            port: device.address.port(),
            platform: device.platform.as_deref(),
            groups: &device.groups,
        }
    }
}

impl<'a> From<&'a Entity> for EntityDocument<'a> {
    fn from(entity: &'a Entity) -> Self {
        Self {
            level: entity.level,
            id: entity.id,
            name: &entity.name,
            device: entity.device.as_ref().map(DeviceDocument::from),
            item: entity.item.as_ref(),
        }
    }
}

impl<'a> From<(&'a Entity, &'a Value)> for AboveDocument<'a> {
    fn from((entity, pre_run): (&'a Entity, &'a Value)) -> Self {
        Self {
            entity: entity.into(),
            pre_run,
        }
    }
}

impl<'a> From<&'a CycleResult> for ResultDocument<'a> {
    fn from(result: &'a CycleResult) -> Self {
        Self {
            level: result.level,
            entity: result.entity,
            name: &result.name,
            parent: result.parent,
            state: result.state,
            reason: result.reason.as_deref(),
            message: result.message.as_deref(),
            changed: result.changed,
            pre_run: &result.pre_run,
            data: &result.data,
        }
    }
}
