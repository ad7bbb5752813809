//! What the tests of executions share: a fleet with relations, executions on it, and workers that claim and end elements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, GroupName, InterfaceName, Kind, Level, Stage};
use lockstep_store::{
    BeginElement, CapScope, ClientRow, DeviceEffect, Effects, ElementEnd, ElementLevels, ElementOwner,
    ElementQuery, ElementRow, ElementSource, EndedElement, EntityResult, GroupRow, InterfaceRow, LinkEnd,
    NewExecution, PlannedStage, ReplyAddress, StartedExecution,
};
use serde_json::json;
use uuid::Uuid;

use super::{Place, Store, at, create, hostname, keys, mac, message, work};

/// How long an element or a lease lasts that does not end in a test.
pub(crate) const LONG: Duration = Duration::from_mins(5);
/// What has this much time is over at once.
pub(crate) const NO_TIME: Duration = Duration::ZERO;

/// Changes executions in a transaction of its own.
macro_rules! change {
    ($store:expr, |$executions:ident| $body:expr) => {{
        let (facts, mut transaction) = $store.begin(&[], &lockstep_store::Keys::default()).await?;
        let result = {
            let mut $executions = transaction.executions();
            $body
        };
        transaction.commit(&facts).await?;
        result
    }};
}
pub(crate) use change;

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::try_from(name.to_owned()).expect("a group")
}

/// Two devices with two interfaces each; a group of both and a group of the first; a client on an interface of each, and one that only
/// belongs to a group.
pub(crate) async fn fleet(place: &Place) -> Result<()> {
    let end = |device: &str, name: &str| LinkEnd {
        hostname: hostname(device),
        interface: InterfaceName::try_from(name.to_owned()).expect("an interface"),
    };
    let port = |device: &str, name: &str| InterfaceRow {
        hostname: hostname(device),
        name: end(device, name).interface,
        configuration: None,
    };
    let client = |address: &str, interface: Option<LinkEnd>, of: Option<&str>| ClientRow {
        mac: mac(address),
        name: None,
        ip: None,
        interface,
        group: of.map(group),
    };
    let known = |name: &str| GroupRow {
        name: group(name),
        location: None,
    };
    let join = |device: &str, groups: &[&str]| DeviceEffect::Join {
        hostname: hostname(device),
        groups: groups.iter().map(|name| group(name)).collect(),
    };
    let effects = Effects {
        devices: vec![
            create("a"),
            create("b"),
            join("a", &["campus", "core"]),
            join("b", &["campus"]),
        ],
        groups: vec![known("campus"), known("core")],
        interfaces: vec![
            port("a", "Ethernet1"),
            port("a", "Ethernet2"),
            port("b", "Ethernet1"),
            port("b", "Ethernet2"),
        ],
        clients: vec![
            client(CLIENTS[0], Some(end("a", "Ethernet1")), None),
            client(CLIENTS[1], Some(end("b", "Ethernet2")), None),
            client(CLIENTS[2], None, Some("core")),
        ],
        ..Effects::default()
    };
    work(place, &keys("fleet", ["a", "b"]), effects).await?;
    Ok(())
}

/// The clients of the fleet: on an interface of `a`, on one of `b`, and in the group `core`.
pub(crate) const CLIENTS: [&str; 3] = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"];

/// The ids of all entities of a kind, by the names that elements have.
pub(crate) async fn ids(place: &Place, kind: ExecuteOn) -> Result<BTreeMap<String, u64>> {
    let query = match kind {
        ExecuteOn::Global => return Ok(BTreeMap::from([("fleet".to_owned(), 0)])),
        ExecuteOn::Group => "SELECT name || '=' || CAST(id AS text) FROM device_group",
        ExecuteOn::Device => "SELECT hostname || '=' || CAST(id AS text) FROM device",
        ExecuteOn::Interface => {
            "SELECT hostname || ' ' || name || '=' || CAST(interface.id AS text) \
             FROM interface JOIN device ON device.id = device_id"
        }
        ExecuteOn::Client => "SELECT mac || '=' || CAST(id AS text) FROM client",
    };
    let mut ids = BTreeMap::new();
    for text in place.probe.texts(query).await? {
        let (name, id) = text.rsplit_once('=').context("an id")?;
        ids.insert(name.to_owned(), id.parse()?);
    }
    Ok(ids)
}

/// The id of the execution with this name in a test.
pub(crate) fn execution_id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

pub(crate) fn new_execution(name: &str, run_on: ExecuteOn) -> NewExecution {
    NewExecution {
        task_number: 7,
        task: "ping all".to_owned(),
        provider: "ping".to_owned(),
        task_arguments: json!({"count": 3}),
        requested: TaskRequested {
            task: TaskReference::from("ping all"),
            execute_on: Vec::new(),
            execute_on_names: Vec::new(),
            execute_on_type: run_on,
            dry_run: true,
            arguments: json!({"size": 1400}),
            limits: RunLimits::default(),
        },
        run_input_json_schema: None,
        run_on,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        plan: vec![PlannedStage {
            phase: 0,
            stage: Stage::Devices,
        }],
        lane: Lane::Devices,
        relaunch_of: None,
        parent: None,
        identity: message(name),
        kind: Kind::TaskRequested,
        actor: Some("anna".to_owned()),
        reply: ReplyAddress {
            queue: Some("lockstep.reply.anna.1".to_owned()),
            correlation_id: Some("7".to_owned()),
        },
        at: at(),
        deadline_at: None,
    }
}

/// Starts an execution of which all elements are queued.
pub(crate) async fn start(place: &Place, name: &str, run_on: ExecuteOn) -> Result<StartedExecution> {
    start_of(place, &new_execution(name, run_on), &ElementSource::All).await
}

/// Starts an execution of a provider with one step, for the entities that it runs on.
pub(crate) async fn start_of(
    place: &Place,
    new: &NewExecution,
    source: &ElementSource,
) -> Result<StartedExecution> {
    start_at(place, new, source, one_stage(new.run_on)).await
}

/// The same, with elements at these levels.
pub(crate) async fn start_at(
    place: &Place,
    new: &NewExecution,
    source: &ElementSource,
    levels: ElementLevels,
) -> Result<StartedExecution> {
    let id = execution_id(new.identity.id.as_str());
    Ok(change!(place.store, |executions| {
        executions
            .start(id, new, source, levels, u64::MAX, &CapScope::Overall, LONG)
            .await?
    }))
}

/// The levels of a provider with one step, for the entities that it runs on.
pub(crate) fn one_stage(run_on: ExecuteOn) -> ElementLevels {
    let none = ElementLevels::default();
    match run_on {
        ExecuteOn::Global => ElementLevels {
            global: Some(0),
            ..none
        },
        ExecuteOn::Group => ElementLevels {
            groups: Some(0),
            ..none
        },
        ExecuteOn::Device | ExecuteOn::Interface => DEVICES,
        ExecuteOn::Client => ElementLevels {
            interface_clients: true,
            ..DEVICES
        },
    }
}

/// Devices that are connected to take part in the only stage.
pub(crate) const DEVICES: ElementLevels = ElementLevels {
    global: None,
    groups: None,
    devices: Some(0),
    group_clients: false,
    interface_clients: false,
};

/// All elements of an execution.
pub(crate) async fn elements(place: &Place, execution: u64) -> Result<Vec<ElementRow>> {
    let query = ElementQuery {
        execution,
        limit: 1000,
        ..ElementQuery::default()
    };
    Ok(place.store.elements(&query).await?)
}

pub(crate) async fn numbers(place: &Place, execution: u64) -> Result<BTreeSet<u64>> {
    let elements = elements(place, execution).await?;
    Ok(elements.iter().map(|element| element.number).collect())
}

pub(crate) fn owner(name: &str) -> ElementOwner {
    ElementOwner(execution_id(name))
}

/// Claims elements for a worker: those begin whose device is free. Returns the numbers of those.
pub(crate) async fn claim(
    store: &dyn Store,
    elements: &BTreeSet<u64>,
    owner: ElementOwner,
    time: Duration,
) -> Result<Vec<u64>> {
    Ok(change!(store, |executions| {
        let candidates = executions.candidates(elements).await?.elements;
        let devices = candidates.iter().filter_map(|element| element.device.as_ref());
        let others = candidates.iter().flat_map(|element| &element.others);
        let hostnames = devices.map(|device| &device.hostname).chain(others);
        let hostnames = hostnames.cloned().collect();
        let mut fences = executions.acquire_devices(&hostnames, owner, time).await?;
        let mut begun: Vec<BeginElement> = Vec::new();
        for element in &candidates {
            let own = element.device.iter().map(|device| &device.hostname);
            let mut all = own.chain(&element.others);
            if !all.all(|hostname| fences.contains_key(hostname)) {
                continue;
            }
            let fence = element
                .device
                .as_ref()
                .and_then(|device| fences.remove(&device.hostname));
            let others = element.others.iter().cloned();
            begun.push(BeginElement {
                number: element.number,
                fence,
                others: others
                    .filter_map(|hostname| fences.remove_entry(&hostname))
                    .collect(),
            });
        }
        executions.give_back_devices(&fences, owner).await?;
        executions.begin(&begun, owner, "worker-1", time).await?;
        begun.iter().map(|element| element.number).collect()
    }))
}

/// The end of the first attempt of an element.
pub(crate) fn end(number: u64, state: ElementState) -> ElementEnd {
    ElementEnd {
        number,
        attempt: 1,
        state,
        next: None,
        parked: None,
        reason: None,
        message: Some("ended".to_owned()),
        changed: false,
        data: json!({"rtt": 0.5}).into(),
        results: Vec::new(),
        facts: Vec::new(),
        checks: Vec::new(),
        items: Vec::new(),
    }
}

/// The result of an entity in the first phase.
pub(crate) fn entity_result(level: Level, entity: u64, state: ElementState) -> EntityResult {
    EntityResult {
        phase: 0,
        level,
        entity,
        name: format!("{level} {entity}"),
        parent: None,
        state,
        reason: None,
        message: Some("so it went".to_owned()),
        changed: false,
        pre_run: json!({"before": [entity, null]}),
        data: json!({"after": entity}),
    }
}

/// These devices are behind a controller.
pub(crate) async fn control(place: &Place, controller: &str, devices: &[&str]) -> Result<()> {
    for device in devices {
        let update = format!(
            "UPDATE device SET controller_id = (SELECT id FROM device AS other WHERE hostname = '{controller}') \
             WHERE hostname = '{device}'"
        );
        place.probe.texts(&update).await?;
    }
    Ok(())
}

pub(crate) async fn finish(
    place: &Place,
    ends: &[ElementEnd],
    owner: Option<ElementOwner>,
) -> Result<Vec<EndedElement>> {
    Ok(change!(place.store, |executions| {
        let numbers = ends.iter().map(|end| end.number).collect();
        let of = executions.executions_of(&numbers).await?;
        executions.lock_numbers(&of).await?;
        executions
            .finish(ends, owner, &BTreeSet::from([group("core")]), LONG)
            .await?
    }))
}
