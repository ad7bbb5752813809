//! The entities that one element runs on, as a tree. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lockstep_execution::cycle::{StagePlan, UnitTree};
use lockstep_execution::{Endpoint, Entity, StepFailure, Steps, TargetDevice};
use lockstep_protocol::{EntityType, Hostname, Level};
use lockstep_store::{
    CandidateElement, ElementDevice, ManagementEndpoint, UnitDevice, UnitEntities, UnitEntity, UnitLevels,
};
use serde_json::Value;

/// The name of the fleet as an entity.
const FLEET: &str = "fleet";

/// Whether the row of an element is its result by itself: it runs in one stage, on itself alone.
pub(super) fn is_simple(candidate: &CandidateElement, plan: &StagePlan, steps: Steps) -> bool {
    let is_below = [Level::GroupClient, Level::Interface, Level::InterfaceClient];
    let is_below = is_below.into_iter().any(|level| steps.at(level));
    plan.is_simple(steps) && !is_below && candidate.others.is_empty()
}

/// What is to be read for an element that is not simple, in this phase. `None`: nothing.
pub(super) fn levels(candidate: &CandidateElement, steps: Steps, phase: u8) -> Option<UnitLevels> {
    let clients = match candidate.entity_type {
        EntityType::Global => return None,
        EntityType::Group => Level::GroupClient,
        EntityType::Device | EntityType::Interface | EntityType::Client | EntityType::Item => {
            Level::InterfaceClient
        }
    };
    Some(UnitLevels {
        above: Some(phase),
        interfaces: steps.at(Level::Interface) || steps.at(Level::InterfaceClient),
        clients: steps.at(clients),
        item: candidate.entity_type == EntityType::Item,
    })
}

/// The tree of an element by itself.
///
/// # Errors
/// Its device was removed after the execution began, or has no address.
pub(super) fn alone(candidate: &CandidateElement) -> Result<UnitTree, StepFailure> {
    let device = candidate.device.as_ref().map(of_element).transpose()?;
    if device.is_none() && candidate.entity_type == EntityType::Device {
        let reason = format!(
            "device {} was removed after the execution began; there is nothing left to run on",
            candidate.name
        );
        return Err(StepFailure::new("no-device", reason));
    }
    let entity = |level: Level| Entity {
        level,
        id: candidate.entity,
        name: candidate.name.clone(),
        device: device.clone(),
        item: candidate.item.clone(),
    };
    let mut tree = UnitTree::default();
    match candidate.entity_type {
        EntityType::Global => tree.add(None, Level::Global, entity(Level::Global)),
        EntityType::Group => tree.add(None, Level::Group, entity(Level::Group)),
        EntityType::Item => tree.add(None, Level::Item, entity(Level::Item)),
        EntityType::Device | EntityType::Interface | EntityType::Client => {
            let root = tree.add(None, Level::NornirDevice, entity(Level::NornirDevice));
            tree.add(Some(root), Level::Device, entity(Level::Device))
        }
    };
    Ok(tree)
}

/// The tree of the entities that were read for an element.
///
/// # Errors
/// The device that is connected to was removed, or has no address.
pub(super) fn tree(candidate: &CandidateElement, read: &UnitEntities) -> Result<UnitTree, StepFailure> {
    if read.entities.is_empty() {
        return alone(candidate);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); read.entities.len()];
    let mut open = Vec::new();
    for (index, entity) in read.entities.iter().enumerate() {
        match entity.parent.and_then(|parent| children.get_mut(parent)) {
            Some(siblings) => siblings.push(index),
            None => open.push((index, None)),
        }
    }
    open.reverse();
    let mut tree = UnitTree::default();
    while let Some((index, parent)) = open.pop() {
        let read = &read.entities[index];
        let device = match &read.device {
            Some(device) if parent.is_none() => Some(of_unit(device)?),
            // Only the device that is connected to needs an address.
            Some(device) => of_unit(device).ok(),
            None => parent.and_then(|parent: usize| tree.nodes()[parent].entity.device.clone()),
        };
        let at = tree.add(parent, read.level, entity(read, device));
        open.extend(children[index].iter().rev().map(|child| (*child, Some(at))));
    }
    Ok(tree)
}

/// The entities above an element, outermost first, with their pre-run results. The fleet is there in any case.
pub(super) fn above(candidate: &CandidateElement, read: &UnitEntities) -> Vec<(Entity, Value)> {
    if candidate.entity_type == EntityType::Global {
        return Vec::new();
    }
    let mut above: Vec<(Entity, Value)> = read
        .above
        .iter()
        .map(|(above, pre_run)| (entity(above, None), pre_run.clone()))
        .collect();
    if !above.iter().any(|(entity, _)| entity.level == Level::Global) {
        let fleet = Entity {
            level: Level::Global,
            id: 0,
            name: FLEET.to_owned(),
            device: None,
            item: None,
        };
        above.insert(0, (fleet, Value::Null));
    }
    above
}

/// The indexes of the devices in a tree whose lease the element does not hold: they came below the controller after the claim.
pub(super) fn not_leased(candidate: &CandidateElement, tree: &UnitTree) -> Vec<usize> {
    let own = candidate.device.as_ref().map(|device| &device.hostname);
    let leased: BTreeSet<&str> = own
        .into_iter()
        .chain(&candidate.others)
        .map(Hostname::as_str)
        .collect();
    let nodes = tree.nodes().iter().enumerate();
    let devices = nodes.filter(|(_, node)| node.level == Level::Device);
    devices
        .filter(|(_, node)| !leased.contains(node.entity.name.as_str()))
        .map(|(index, _)| index)
        .collect()
}

fn entity(read: &UnitEntity, device: Option<TargetDevice>) -> Entity {
    Entity {
        level: read.level,
        id: read.id,
        name: read.name.clone(),
        device,
        item: None,
    }
}

fn of_element(device: &ElementDevice) -> Result<TargetDevice, StepFailure> {
    let groups = device.groups.iter().map(ToString::to_string).collect();
    let platform = device.platform.clone();
    TargetDevice::new(
        device.hostname.to_string(),
        &endpoint(device.management_ip, &device.endpoint),
        platform,
        groups,
    )
}

fn of_unit(device: &UnitDevice) -> Result<TargetDevice, StepFailure> {
    let groups = device.groups.iter().map(ToString::to_string).collect();
    let platform = device.platform.clone();
    TargetDevice::new(
        device.hostname.to_string(),
        &endpoint(device.management_ip, &device.endpoint),
        platform,
        groups,
    )
}

fn endpoint(ip: Option<IpAddr>, read: &ManagementEndpoint) -> Endpoint {
    Endpoint {
        ip,
        host: read.host.clone(),
        port: read.port.clone(),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_execution::CycleStep;
    use lockstep_execution::cycle::{Phase, PhaseRole};

    use super::*;

    fn hostname(name: &str) -> Hostname {
        name.parse().unwrap()
    }

    fn candidate(entity_type: EntityType, others: &[&str]) -> CandidateElement {
        let is_device = entity_type == EntityType::Device;
        CandidateElement {
            number: 7,
            execution: 1,
            entity_type,
            entity: 3,
            name: "wlc".to_owned(),
            device: is_device.then(|| ElementDevice {
                id: 3,
                hostname: hostname("wlc"),
                management_ip: None,
                endpoint: ManagementEndpoint::default(),
                platform: None,
                groups: Vec::new(),
            }),
            others: others.iter().map(|name| hostname(name)).collect(),
            attempts: 0,
            stage: 0,
            whole: true,
            item: None,
        }
    }

    fn found(level: Level, name: &str, parent: Option<usize>) -> UnitEntity {
        let is_device = level.entity_type() == EntityType::Device;
        UnitEntity {
            level,
            id: 0,
            name: name.to_owned(),
            parent,
            device: is_device.then(|| UnitDevice {
                hostname: hostname(name),
                management_ip: None,
                endpoint: ManagementEndpoint::default(),
                platform: None,
                groups: Vec::new(),
            }),
        }
    }

    #[test]
    fn entities_become_a_tree_whatever_the_order_in_which_they_were_read() {
        let read = UnitEntities {
            above: vec![(found(Level::Group, "one", None), 1.into())],
            entities: vec![
                found(Level::NornirDevice, "wlc", None),
                found(Level::Device, "ap0", Some(0)),
                found(Level::Device, "ap1", Some(0)),
                found(Level::Interface, "e1", Some(1)),
                found(Level::Interface, "e2", Some(2)),
                found(Level::InterfaceClient, "m", Some(3)),
            ],
        };
        let element = candidate(EntityType::Device, &["ap0"]);
        let tree = tree(&element, &read).unwrap();
        let names: Vec<&str> = tree
            .nodes()
            .iter()
            .map(|node| node.entity.name.as_str())
            .collect();
        assert_eq!(names, ["wlc", "ap0", "e1", "m", "ap1", "e2"]);
        let device = |index: usize| {
            tree.nodes()[index]
                .entity
                .device
                .as_ref()
                .map(|device| device.hostname.as_str())
        };
        assert_eq!(
            (device(0), device(3), device(5)),
            (Some("wlc"), Some("ap0"), Some("ap1"))
        );
        assert_eq!(not_leased(&element, &tree), [4]);
        let above = above(&element, &read);
        let above: Vec<(&str, &Value)> = above
            .iter()
            .map(|(entity, pre_run)| (entity.name.as_str(), pre_run))
            .collect();
        assert_eq!(above, [(FLEET, &Value::Null), ("one", &1.into())]);
    }

    #[test]
    fn an_element_by_itself_needs_no_reading() {
        let levels_of = |kind| {
            let tree = alone(&candidate(kind, &[])).unwrap();
            tree.nodes().iter().map(|node| node.level).collect::<Vec<_>>()
        };
        assert_eq!(
            levels_of(EntityType::Device),
            [Level::NornirDevice, Level::Device]
        );
        assert_eq!(levels_of(EntityType::Group), [Level::Group]);
        assert_eq!(levels_of(EntityType::Global), [Level::Global]);
        assert_eq!(levels_of(EntityType::Item), [Level::Item]);
        let table = [
            // steps, controls others, simple
            (vec![CycleStep::RunOnDevice], false, true),
            (
                vec![CycleStep::PreRunOnDevice, CycleStep::RunOnDevice],
                false,
                true,
            ),
            (vec![CycleStep::RunOnDevice], true, false),
            (vec![CycleStep::RunOnInterface], false, false),
            (
                vec![CycleStep::RunOnDevice, CycleStep::RunOnNornirDevice],
                false,
                false,
            ),
            (vec![CycleStep::RunOnDevice, CycleStep::RunGlobal], false, false),
        ];
        for (steps, controls, expected) in table {
            let steps: Steps = steps.into_iter().collect();
            let role = PhaseRole::Main;
            let plan = StagePlan::of(&[Phase { role, steps }]);
            let others: &[&str] = if controls { &["ap0"] } else { &[] };
            let element = candidate(EntityType::Device, others);
            assert_eq!(
                is_simple(&element, &plan, steps),
                expected,
                "{steps:?} {controls}"
            );
        }
    }

    #[test]
    fn an_element_of_a_removed_device_fails_and_says_so() {
        let removed = CandidateElement {
            device: None,
            ..candidate(EntityType::Device, &[])
        };
        let failures = [alone(&removed), tree(&removed, &UnitEntities::default())];
        for failure in failures.map(Result::unwrap_err) {
            assert_eq!(failure.reason, "no-device");
            assert!(failure.message.contains("device wlc was removed"), "{failure:?}");
        }
    }

    #[test]
    fn only_what_steps_run_on_is_read() {
        let levels = |kind, steps: &[CycleStep]| {
            let found = levels(&candidate(kind, &[]), Steps::of(steps), 2);
            found.map(|levels| {
                assert_eq!(levels.item, kind == EntityType::Item);
                (levels.above, levels.interfaces, levels.clients)
            })
        };
        let device = EntityType::Device;
        assert_eq!(levels(EntityType::Global, &[CycleStep::RunGlobal]), None);
        assert_eq!(
            levels(device, &[CycleStep::RunOnDevice]),
            Some((Some(2), false, false))
        );
        assert_eq!(
            levels(device, &[CycleStep::RunOnInterface]),
            Some((Some(2), true, false))
        );
        assert_eq!(
            levels(device, &[CycleStep::RunOnClientOfInterface]),
            Some((Some(2), true, true))
        );
        let client = [CycleStep::PreRunOnClientOfLocation];
        assert_eq!(levels(device, &client), Some((Some(2), false, false)));
        assert_eq!(levels(EntityType::Group, &client), Some((Some(2), false, true)));
        assert_eq!(
            levels(EntityType::Item, &[CycleStep::RunOnItem]),
            Some((Some(2), false, false))
        );
    }
}
