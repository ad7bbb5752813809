//! A fleet with groups, a controller, interfaces and clients.

use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac};
use lockstep_store::{Attributes, ClientRow, DeviceEffect, Effects, GroupRow, InterfaceRow, LinkEnd};

/// The clients: on an interface of `sw0`, on one of `ap0`, and in the groups `one` and `two`.
pub(crate) const CLIENTS: [&str; 4] = [
    "02:00:00:00:00:01",
    "02:00:00:00:00:02",
    "02:00:00:00:00:03",
    "02:00:00:00:00:04",
];

/// `sw0` and `sw1` in the group `one`; `sw1`, `wlc`, `ap0` and `ap1` in `two`. `wlc` controls the two last ones. `sw0`, `sw1` and `ap0`
/// have the interfaces `e1` and `e2`.
pub(crate) fn site() -> Effects {
    let devices = [
        ("sw0", None, &["one"][..]),
        ("sw1", None, &["one", "two"]),
        ("wlc", None, &["two"]),
        ("ap0", Some("wlc"), &["two"]),
        ("ap1", Some("wlc"), &["two"]),
    ];
    let devices = devices.into_iter().flat_map(|(name, controller, groups)| {
        [
            DeviceEffect::Create {
                hostname: hostname(name),
                attributes: Attributes {
                    controller: controller.map(hostname),
                    ..Attributes::of(DeviceType::ACCESS)
                },
                state: DeviceState::Managed,
                version: None,
            },
            DeviceEffect::Join {
                hostname: hostname(name),
                groups: groups.iter().map(|name| group(name)).collect(),
            },
        ]
    });
    let ports = ["sw0", "sw1", "ap0"].map(|device| ["e1", "e2"].map(|name| end(device, name)));
    let ports = ports.concat().into_iter().map(|end| InterfaceRow {
        hostname: end.hostname,
        name: end.interface,
        configuration: None,
    });
    Effects {
        devices: devices.collect(),
        groups: vec![known("one"), known("two")],
        interfaces: ports.collect(),
        clients: vec![
            client(CLIENTS[0], Some(end("sw0", "e1")), None),
            client(CLIENTS[1], Some(end("ap0", "e2")), None),
            client(CLIENTS[2], None, Some("one")),
            client(CLIENTS[3], None, Some("two")),
        ],
        ..Effects::default()
    }
}

fn hostname(name: &str) -> Hostname {
    name.parse().expect("a hostname")
}

fn group(name: &str) -> GroupName {
    GroupName::try_from(name.to_owned()).expect("the name of a group")
}

fn known(name: &str) -> GroupRow {
    GroupRow {
        name: group(name),
        location: None,
    }
}

fn end(device: &str, name: &str) -> LinkEnd {
    LinkEnd {
        hostname: hostname(device),
        interface: InterfaceName::try_from(name.to_owned()).expect("the name of an interface"),
    }
}

fn client(address: &str, interface: Option<LinkEnd>, of: Option<&str>) -> ClientRow {
    ClientRow {
        mac: Mac::try_from(address.to_owned()).expect("an address"),
        name: None,
        ip: None,
        interface,
        group: of.map(group),
    }
}
