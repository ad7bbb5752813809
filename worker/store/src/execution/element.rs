use std::net::IpAddr;

use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, GroupName, Hostname};
use serde_json::Value;
use uuid::Uuid;

use super::{CapScope, ExecutionRow, Halt};

/// Which entities become elements of a new execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementSource {
    /// The fleet, once.
    Global,
    /// All entities of the kind that the execution runs on.
    All,
    /// The entities of the kind that the execution runs on, resolved from these entities of another kind or of the same one, without
    /// duplicates: an interface stands for its device, a device for its interfaces, a group for its members, a client for its
    /// interface, or for its group without one, and so on along these relations. The fleet as an entity has the id 0.
    Of {
        /// The kind of the ids.
        entity_type: ExecuteOn,
        /// The ids.
        ids: Vec<u64>,
    },
    /// The failed elements of another execution, by its number.
    FailedOf(u64),
}

/// An element that may begin, with what is needed to decide and to run it. It is locked.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateElement {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution, which is among the rows that come with the candidates.
    pub execution: u64,
    /// The kind of entity.
    pub entity_type: ExecuteOn,
    /// The id of the entity.
    pub entity: u64,
    /// The name of the entity: a hostname, the name of an interface, …
    pub name: String,
    /// The device that it is or belongs to.
    pub device: Option<ElementDevice>,
    /// How often it began so far.
    pub attempts: u32,
}

/// The device of an element, as the fleet has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementDevice {
    /// Its id.
    pub id: u64,
    /// Its hostname.
    pub hostname: Hostname,
    /// The address by which it is managed; the hostname is its address without one.
    pub management_ip: Option<IpAddr>,
    /// Its platform, such as `eos`.
    pub platform: Option<String>,
    /// Its groups.
    pub groups: Vec<GroupName>,
}

/// An element begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginElement {
    /// The number of its row.
    pub number: u64,
    /// The fence of the lease of its device.
    pub fence: Option<i64>,
}

/// An element has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The number of its row.
    pub number: u64,
    /// What it waits for.
    pub waits_for: CapScope,
}

/// How an element ends. Texts are stored whole; the caller bounds them.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementEnd {
    /// The number of its row.
    pub number: u64,
    /// The attempt that ends, from 1. An element whose attempt is another one does not change.
    pub attempt: u32,
    /// How it ends: a final state.
    pub state: ElementState,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether it changed something, or would have in a dry run.
    pub changed: bool,
    /// The result of the provider.
    pub data: Value,
    /// Facts about the entity.
    pub facts: Vec<NewFact>,
}

/// A fact about the entity of an element. It replaces the one with the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// An element that became final with this transaction, and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedElement {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution.
    pub execution: u64,
    /// How it ended.
    pub state: ElementState,
    /// What it no longer occupies: its device, and the groups of its device among those that have a cap.
    pub frees: Vec<CapScope>,
}

/// A running element whose worker did not renew it in time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiredElement {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The attempt that its worker began.
    pub attempt: u32,
    /// The name of the provider, which tells whether it may be repeated.
    pub provider: String,
    /// Why its execution begins nothing any more.
    pub halt: Option<Halt>,
}

/// What a renewal of running elements found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenewedElements {
    /// Running elements of this worker that are told to stop, and why.
    pub stop: Vec<StoppedElement>,
    /// The numbers of all elements that this worker still runs. It lost the others.
    pub held: Vec<u64>,
}

/// A running element that is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoppedElement {
    /// The number of its row.
    pub number: u64,
    /// Why.
    pub halt: Halt,
}

/// Elements that may begin, and their executions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// The elements, ordered by number.
    pub elements: Vec<CandidateElement>,
    /// Their executions, locked against [`lock`](super::ExecutionTransaction::lock): they are not cancelled or paused meanwhile. Others
    /// may end elements of them.
    pub executions: Vec<ExecutionRow>,
}

/// A worker's session of running elements: what it renews as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElementOwner(pub Uuid);
