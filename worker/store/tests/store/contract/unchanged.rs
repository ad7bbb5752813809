//! What an inventory says again writes no row of the fleet.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use lockstep_protocol::{GroupName, InterfaceName};
use lockstep_store::{ClientRow, DeviceEffect, Effects, GroupRow, InterfaceRow, LinkEnd};
use serde_json::{Value, json};

use super::{Place, create_all, hostname, keys, mac, work};

fn group(name: &str) -> GroupName {
    GroupName::try_from(name.to_owned()).expect("a group")
}

fn interface(name: &str) -> InterfaceName {
    InterfaceName::try_from(name.to_owned()).expect("an interface")
}

/// What an inventory says about known devices: their groups, interfaces and clients.
fn inventory(groups: [&str; 2], configuration: &Value, location: bool) -> Effects {
    let names = ["sw1", "sw2"];
    let joins = names.map(|name| DeviceEffect::Join {
        hostname: hostname(name),
        groups: groups.map(group).into(),
    });
    let interfaces = names.map(|name| InterfaceRow {
        hostname: hostname(name),
        name: interface("Ethernet1"),
        configuration: Some(configuration.clone()),
    });
    Effects {
        devices: joins.into(),
        groups: vec![GroupRow {
            name: group(groups[0]),
            location: Some(location),
        }],
        interfaces: interfaces.into(),
        clients: vec![ClientRow {
            mac: mac("aa:bb:cc:00:00:01"),
            name: Some("printer".to_owned()),
            ip: Some("192.0.2.7".parse().expect("an address")),
            interface: Some(LinkEnd {
                hostname: hostname("sw1"),
                interface: interface("Ethernet1"),
            }),
            group: Some(group(groups[1])),
        }],
        ..Effects::default()
    }
}

pub(crate) async fn what_is_said_again_writes_nothing(place: &Place) -> Result<()> {
    let tables = [
        "device",
        "interface",
        "device_group",
        "group_member",
        "client",
        "cause",
    ];
    create_all(place, &["sw1", "sw2"]).await?;
    for table in tables {
        for statement in place.probe.watch(table) {
            place.probe.texts(&statement).await?;
        }
    }
    let say = async |id: &str, effects: Effects| -> Result<BTreeSet<String>> {
        let before = place.probe.texts("SELECT what FROM written").await?.len();
        work(place, &keys(id, ["sw1", "sw2"]), effects).await?;
        let all = place.probe.texts("SELECT what FROM written").await?;
        Ok(all.into_iter().skip(before).collect())
    };
    let first = || inventory(["a", "b"], &json!({"vlan": 7}), true);
    let written = say("1", first()).await?;
    ensure!(written.len() == 4, "{written:?}");
    let again = say("2", first()).await?;
    ensure!(again.is_empty(), "{again:?}");

    // One group stays.
    let written = say("3", inventory(["a", "c"], &json!({"vlan": 7}), true)).await?;
    let expected = [
        "client UPDATE",
        "device_group INSERT",
        "group_member DELETE",
        "group_member INSERT",
    ];
    ensure!(written == expected.map(str::to_owned).into(), "{written:?}");
    let members = "SELECT device.hostname || ' ' || device_group.name FROM group_member \
        JOIN device ON device.id = group_member.device_id JOIN device_group ON device_group.id = group_member.group_id ORDER BY 1";
    let members = place.probe.texts(members).await?;
    ensure!(members == ["sw1 a", "sw1 c", "sw2 a", "sw2 c"], "{members:?}");
    let written = say("4", inventory(["a", "c"], &json!({"vlan": 8}), false)).await?;
    let expected = ["device_group UPDATE", "interface UPDATE"];
    ensure!(written == expected.map(str::to_owned).into(), "{written:?}");
    Ok(())
}
