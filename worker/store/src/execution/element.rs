use std::net::IpAddr;

use jiff::Timestamp;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, EntityType, GroupName, Hostname, SyncTarget};
use serde_json::Value;
use uuid::Uuid;

use super::{CapScope, EntityResult, ExecutionRow, Halt, JsonText, NewCheck};

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
    /// What failed of another execution, by its number: of its failed elements the targets that failed, or were skipped because something
    /// above them failed; all targets of an element without any such. All devices of a failed group, and everything if the fleet failed.
    FailedOf(u64),
    /// The devices of a sync, each by itself, also one that another device is connected to for; bound in the same transaction.
    Sync(SyncSource),
}

/// Which devices become elements of a sync, and what these are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSource {
    /// The devices.
    pub devices: SyncDevices,
    /// What their elements are bound to.
    pub bound: SyncBound,
}

/// Which devices become elements of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncDevices {
    /// The MANAGED devices of a target. Of a target that names no single device those that are not synchronized.
    Target {
        /// The target.
        target: SyncTarget,
        /// Also those that are synchronized.
        synchronized: bool,
    },
    /// Those of the execution to which the elements are bound: of a plan the devices that would change; of an execution that is taken back
    /// those whose configuration before it is still kept.
    Bound,
    /// Those of the elements of another sync that failed, by its number.
    FailedOf(u64),
}

/// What the elements of a sync are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncBound {
    /// The accepted commits, and the generations that are desired now.
    Accepted,
    /// What the elements of a plan on the same devices are bound to, and the differences that they found; by the number of the plan.
    Plan(u64),
    /// The configurations that the devices had before this execution, by its number, and the generations that are desired now.
    PreviousOf(u64),
}

/// Entities of a kind that were looked up by name: groups by name, devices by hostname, interfaces by hostname and name with a space
/// between them, clients by MAC address in any notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedEntities {
    /// The ids of those that exist, ordered.
    pub ids: Vec<u64>,
    /// Names that no entity has, at most 20, ordered.
    pub unknown: Vec<String>,
}

/// Which levels the elements of a new execution are made for, by the steps of its providers, and the first stage of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElementLevels {
    /// The fleet takes part, from this stage on (an index of [`NewExecution::plan`](super::NewExecution)).
    pub global: Option<u16>,
    /// The groups that the targets are, belong to or contain take part, from this stage on.
    pub groups: Option<u16>,
    /// The devices that are connected to for the targets take part, from this stage on.
    pub devices: Option<u16>,
    /// Clients of groups are run on. Otherwise a client stands for no group of its own.
    pub group_clients: bool,
    /// Clients of interfaces are run on.
    pub interface_clients: bool,
}

/// An element that may begin, with what is needed to decide and to run it. It is locked.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateElement {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution, which is among the rows that come with the candidates.
    pub execution: u64,
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity.
    pub entity: u64,
    /// The name of the entity: a hostname, the name of a group, …
    pub name: String,
    /// The device that is connected to.
    pub device: Option<ElementDevice>,
    /// The hostnames of the devices that it stands for as a controller, without its own. They are leased together with it.
    pub others: Vec<Hostname>,
    /// How often it began so far.
    pub attempts: u32,
    /// The stage in which it runs: an index of the plan of its execution.
    pub stage: u16,
    /// Whether all below the entity is run on; otherwise only the targets that are written down for it.
    pub whole: bool,
    /// What step 1 returned about an item.
    pub item: Option<Value>,
}

/// An element that was queued, and the lane on which its message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuedElement {
    /// The number of its row.
    pub number: u64,
    /// The lane.
    pub lane: Lane,
}

/// A stage of an execution that began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BegunStage {
    /// How many elements take part in it.
    pub elements: u64,
    /// Those that were queued.
    pub queued: Vec<QueuedElement>,
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
    /// What its data says about where it is reached.
    pub endpoint: ManagementEndpoint,
    /// Its platform, such as `eos`.
    pub platform: Option<String>,
    /// Its groups.
    pub groups: Vec<GroupName>,
}

/// Where a device is reached according to the data of its inventory, as it is written there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagementEndpoint {
    /// `management_host`: a name or an address, for a device without management address.
    pub host: Option<String>,
    /// `management_port`: the port of its management interface.
    pub port: Option<String>,
}

/// An element begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginElement {
    /// The number of its row.
    pub number: u64,
    /// The fence of the lease of its device.
    pub fence: Option<i64>,
    /// The fences of the leases of the devices that it stands for as a controller.
    pub others: Vec<(Hostname, i64)>,
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
    /// How it ends: a final state. PENDING if it goes on in a later stage.
    pub state: ElementState,
    /// The stage in which it goes on. `None` if it ends.
    pub next: Option<u16>,
    /// It does not end, but waits and begins again; the state is PENDING. Only its reason and its message are kept; and its data, if it waits
    /// for an execution.
    pub parked: Option<Parking>,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether it changed something, or would have in a dry run.
    pub changed: bool,
    /// The result of the provider.
    pub data: JsonText,
    /// The results of the entities that it ran on, if the element is not a result by itself. They replace those with the same key.
    pub results: Vec<EntityResult>,
    /// Facts about entities.
    pub facts: Vec<NewFact>,
    /// Checks of entities.
    pub checks: Vec<NewCheck>,
    /// Items that it found: name and data. Each becomes an element of the next stage.
    pub items: Vec<(String, Value)>,
}

/// What an element waits for that its provider cannot run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parking {
    /// A time.
    Until(ParkedElement),
    /// The end of the execution with this number.
    Ended(u64),
}

/// How long an element is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParkedElement {
    /// When it is queued again.
    pub resume_at: Timestamp,
    /// When it is skipped instead.
    pub expires_at: Timestamp,
}

/// A fact about an entity. It replaces the one with the same key; the earlier ones are its history.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity.
    pub entity: u64,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: JsonText,
}

/// An element that became final, or ended its stage, with this transaction, and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedElement {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution.
    pub execution: u64,
    /// How it ended. PENDING if it goes on in a later stage, or is parked.
    pub state: ElementState,
    /// Whether it is parked, or waits for the end of an execution.
    pub parked: bool,
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
    /// How many attempts of its stage began.
    pub attempts_in_stage: u32,
    /// The stage in which it ran.
    pub stage: u16,
    /// The name of the provider of the phase of that stage, which tells whether it may be repeated.
    pub provider: String,
    /// Whether the journal has steps of it in that stage.
    pub has_journal: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementOwner(pub Uuid);
