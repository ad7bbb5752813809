//! A fleet: two groups with a client each, a controller of two devices, and a device by itself, with interfaces and a client.

use lockstep_execution::Entity;
use lockstep_execution::cycle::UnitTree;
use lockstep_protocol::{Level, Stage};

/// The groups, with their ids.
pub(crate) const GROUPS: [(&str, u64); 2] = [("east", 1), ("west", 2)];

/// A unit of the fleet.
#[derive(Debug)]
pub(crate) struct FleetUnit {
    /// A stage in which it takes part.
    pub(crate) stage: Stage,
    pub(crate) tree: UnitTree,
    /// The groups of its devices.
    pub(crate) groups: &'static [&'static str],
}

pub(crate) fn entity(level: Level, id: u64, name: &str) -> Entity {
    Entity {
        level,
        id,
        name: name.to_owned(),
        device: None,
        item: None,
    }
}

/// The entities with their levels and ids; each is below the last one of a higher level.
fn unit(stage: Stage, groups: &'static [&'static str], entities: &[(Level, u64, &str)]) -> FleetUnit {
    let mut tree = UnitTree::default();
    let mut open: Vec<(Level, usize)> = Vec::new();
    for (level, id, name) in entities {
        open.retain(|(above, _)| above < level);
        let parent = open.last().map(|(_, index)| *index);
        open.push((*level, tree.add(parent, *level, entity(*level, *id, name))));
    }
    FleetUnit { stage, tree, groups }
}

/// All units.
pub(crate) fn fleet() -> Vec<FleetUnit> {
    use Level::{Device, Global, Group, GroupClient, Interface, InterfaceClient, NornirDevice};
    vec![
        unit(Stage::RunGlobal, &[], &[(Global, 0, "fleet")]),
        unit(
            Stage::RunGroups,
            &[],
            &[(Group, 1, "east"), (GroupClient, 31, "camera")],
        ),
        unit(
            Stage::RunGroups,
            &[],
            &[(Group, 2, "west"), (GroupClient, 32, "printer")],
        ),
        // The controller is a device itself, but none of those that it stands for.
        unit(
            Stage::Devices,
            &["east", "west"],
            &[
                (NornirDevice, 10, "controller"),
                (Device, 11, "leaf1"),
                (Interface, 21, "leaf1-1"),
                (InterfaceClient, 33, "phone"),
                (Interface, 22, "leaf1-2"),
                (Device, 12, "leaf2"),
                (Interface, 23, "leaf2-1"),
            ],
        ),
        unit(
            Stage::Devices,
            &["west"],
            &[
                (NornirDevice, 13, "spine"),
                (Device, 13, "spine"),
                (Interface, 24, "spine-1"),
            ],
        ),
    ]
}
