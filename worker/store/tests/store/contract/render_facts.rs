//! What configurations are rendered from.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{DeviceType, GroupName};
use lockstep_store::{
    Attributes, Device, DeviceEffect, DeviceId, Effects, FactsDevice, FactsLink, GroupRow, GroupsByRule,
    InterfaceRow, Keys, Link, LinkChange,
};
use serde_json::{Map, Value, json};

use super::management_domains::{changed, domain};
use super::related::{end, interface};
use super::{Place, create_all, devices, hostname, keys, work};

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn set_data(name: &str, data: &Value) -> DeviceEffect {
    DeviceEffect::SetData {
        hostname: hostname(name),
        data: object(data),
    }
}

fn group(text: &str) -> GroupName {
    GroupName::try_from(text.to_owned()).expect("a group")
}

async fn device(place: &Place, name: &str) -> Result<Device> {
    place.store.device(&hostname(name)).await?.context("the device")
}

async fn id(place: &Place, name: &str) -> Result<DeviceId> {
    Ok(device(place, name).await?.id)
}

pub(crate) async fn what_an_inventory_says_is_replaced_and_read_only_if_asked_for(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let asking = |id: &str| Keys {
        data_of: [hostname("sw1"), hostname("sw2")].into(),
        ..keys(id, ["sw1", "sw2"])
    };
    let read = async || -> Result<Option<Map<String, Value>>> {
        let (facts, transaction) = place.store.begin(&[], &asking("read")).await?;
        drop(transaction);
        ensure!(
            facts
                .device(&hostname("sw2"))
                .is_some_and(|row| row.data.is_none()),
            "the other one says nothing"
        );
        let row = facts.device(&hostname("sw1")).context("the device")?;
        ensure!(row.data.as_ref().is_none_or(|data| !data.is_new));
        Ok(row.data.as_ref().map(|data| data.object.clone()))
    };
    ensure!(read().await?.is_none());
    let first =
        json!({"infra_ip": "10.199.1.1", "nested": [1, null, {"text": "a\u{0}b ä"}], "large": u64::MAX});
    work(place, &keys("1", ["sw1"]), devices([set_data("sw1", &first)])).await?;
    ensure!(read().await? == Some(object(&first)));
    let (facts, transaction) = place.store.begin(&[], &keys("unasked", ["sw1"])).await?;
    drop(transaction);
    ensure!(
        facts
            .device(&hostname("sw1"))
            .is_some_and(|row| row.data.is_none()),
        "nobody asked"
    );
    for statement in place.probe.watch("device") {
        place.probe.texts(&statement).await?;
    }
    work(place, &keys("2", ["sw1"]), devices([set_data("sw1", &first)])).await?;
    let written = place.probe.texts("SELECT what FROM written").await?;
    ensure!(written.is_empty(), "the same is not written again: {written:?}");
    work(
        place,
        &keys("3", ["sw1"]),
        devices([set_data("sw1", &json!({"a": 1})), set_data("sw1", &json!({}))]),
    )
    .await?;
    ensure!(read().await? == Some(Map::new()));
    // Another description leaves it, and a new device has it at once.
    let describe = DeviceEffect::Describe {
        hostname: hostname("sw1"),
        attributes: Attributes::of(DeviceType::DIST),
    };
    let new = [
        describe,
        super::create("sw3"),
        set_data("sw3", &json!({"infra_ip": "10.199.1.3"})),
    ];
    work(place, &keys("4", ["sw1", "sw3"]), devices(new)).await?;
    ensure!(read().await? == Some(Map::new()));
    let facts = place.store.render_facts(id(place, "sw3").await?).await?;
    ensure!(facts.context("sw3")?.device.data == object(&json!({"infra_ip": "10.199.1.3"})));
    Ok(())
}

/// Two distribution switches with a link to a core, an access switch, and what is said about them.
async fn fleet(place: &Place) -> Result<()> {
    create_all(place, &["acc1", "core2", "core1", "dist1", "dist2", "other"]).await?;
    let describe = |name: &str, device_type| DeviceEffect::Describe {
        hostname: hostname(name),
        attributes: Attributes {
            platform: Some("eos".to_owned()),
            management_ip: Some("10.0.6.17".parse().expect("an address")),
            model: Some("veos".to_owned()),
            os_version: Some("4.31.1F".to_owned()),
            ..Attributes::of(device_type)
        },
    };
    let join = |name: &str, groups: &[&str]| DeviceEffect::Join {
        hostname: hostname(name),
        groups: groups.iter().map(|name| group(name)).collect(),
    };
    let link = |one: (&str, &str), other: (&str, &str), present, addresses: [&str; 2]| {
        let [first, second] = addresses.map(|text| text.to_owned().try_into().ok());
        let (link, addresses) =
            Link::with_addresses((end(one.0, one.1), first), (end(other.0, other.1), second));
        LinkChange {
            link,
            present,
            version: None,
            addresses: Some(addresses),
        }
    };
    let effects = Effects {
        devices: vec![
            describe("acc1", DeviceType::ACCESS),
            describe("dist1", DeviceType::DIST),
            describe("dist2", DeviceType::DIST),
            describe("core1", DeviceType::CORE),
            describe("core2", DeviceType::CORE),
            set_data("core1", &json!({"infra_ip": "10.199.0.1"})),
            set_data("dist1", &json!({"infra_ip": "10.199.1.1"})),
            join("dist1", &["north", "berlin"]),
            join("core1", &["north"]),
            DeviceEffect::JoinByRule {
                hostname: hostname("dist1"),
                groups: GroupsByRule {
                    groups: [group("dists")].into(),
                    primary: Some(group("dists")),
                },
            },
        ],
        groups: vec![GroupRow {
            name: group("dists"),
            location: None,
        }],
        interfaces: vec![
            InterfaceRow {
                hostname: hostname("dist1"),
                name: interface("Ethernet9"),
                configuration: Some(json!({"type": "downlink"})),
            },
            InterfaceRow {
                hostname: hostname("other"),
                name: interface("Ethernet9"),
                configuration: Some(json!({"type": "other"})),
            },
        ],
        links: vec![
            link(
                ("dist1", "Ethernet1"),
                ("core1", "Ethernet7"),
                true,
                ["10.198.0.0/31", "10.198.0.1/31"],
            ),
            link(
                ("acc1", "Ethernet1"),
                ("dist1", "Ethernet2"),
                true,
                ["", "10.198.0.9/31"],
            ),
            link(("dist1", "Ethernet3"), ("core2", "Ethernet7"), false, ["", ""]),
            link(("other", "Ethernet3"), ("core2", "Ethernet8"), true, ["", ""]),
        ],
        ..changed(4, Some(domain(4, "dist2", "dist1")), "2")
    };
    let names = ["acc1", "core1", "core2", "dist1", "dist2", "other"];
    work(place, &keys("fleet", names), effects).await?;
    let more = changed(3, Some(domain(3, "core1", "core2")), "2");
    work(place, &keys("more", ["core1", "core2"]), more).await?;
    work(place, &keys("removed", []), changed(2, None, "2")).await?;
    Ok(())
}

fn peer(device: &Device, data: &Value, groups: &[&str]) -> FactsDevice {
    FactsDevice {
        id: device.id,
        hostname: device.hostname.clone(),
        device_type: device.attributes.device_type.clone(),
        model: Some("veos".to_owned()),
        data: object(data),
        primary_group: None,
        groups: groups.iter().map(|name| group(name)).collect(),
    }
}

pub(crate) async fn a_device_is_read_with_its_surroundings(place: &Place) -> Result<()> {
    fleet(place).await?;
    ensure!(place.store.render_facts(DeviceId(987_654)).await?.is_none());
    let facts = place.store.render_facts(id(place, "dist1").await?).await?;
    let facts = facts.context("dist1")?;
    let dist1 = device(place, "dist1").await?;
    let expected = FactsDevice {
        primary_group: Some(group("dists")),
        ..peer(
            &dist1,
            &json!({"infra_ip": "10.199.1.1"}),
            &["berlin", "dists", "north"],
        )
    };
    ensure!(facts.device == expected, "{:?}", facts.device);
    ensure!(facts.management_ip == "10.0.6.17".parse().ok(), "{facts:?}");
    ensure!(
        (facts.platform.as_deref(), facts.os_version.as_deref()) == (Some("eos"), Some("4.31.1F")),
        "{facts:?}"
    );
    let interfaces = [
        (interface("Ethernet1"), Value::Null),
        (interface("Ethernet2"), Value::Null),
        (interface("Ethernet3"), Value::Null),
        (interface("Ethernet9"), json!({"type": "downlink"})),
    ];
    ensure!(facts.interfaces == interfaces, "{:?}", facts.interfaces);
    let core1 = peer(
        &device(place, "core1").await?,
        &json!({"infra_ip": "10.199.0.1"}),
        &["north"],
    );
    let core2 = peer(&device(place, "core2").await?, &json!({}), &[]);
    let links = [
        FactsLink {
            interface: interface("Ethernet1"),
            address: Some("10.198.0.0/31".to_owned()),
            peer: core1.clone(),
            peer_interface: interface("Ethernet7"),
            peer_address: Some("10.198.0.1/31".to_owned()),
        },
        FactsLink {
            interface: interface("Ethernet2"),
            address: Some("10.198.0.9/31".to_owned()),
            peer: peer(&device(place, "acc1").await?, &json!({}), &[]),
            peer_interface: interface("Ethernet1"),
            peer_address: None,
        },
    ];
    ensure!(facts.links == links, "{:?}", facts.links);
    ensure!(
        facts.management_domains == [domain(4, "dist2", "dist1")],
        "{facts:?}"
    );
    ensure!(facts.cores == [core1, core2], "{:?}", facts.cores);
    Ok(())
}

pub(crate) async fn who_serves_no_domain_is_read_with_all(place: &Place) -> Result<()> {
    fleet(place).await?;
    let facts = place.store.render_facts(id(place, "acc1").await?).await?;
    let facts = facts.context("acc1")?;
    let all = [domain(3, "core1", "core2"), domain(4, "dist2", "dist1")];
    ensure!(facts.management_domains == all, "{facts:?}");
    Ok(())
}

pub(crate) async fn many_devices_are_read_at_once(place: &Place) -> Result<()> {
    fleet(place).await?;
    ensure!(place.store.render_facts_of(&[]).await?.is_empty());
    let mut ids = vec![DeviceId(987_654)];
    for name in ["core1", "acc1", "dist1", "other", "dist1"] {
        ids.push(id(place, name).await?);
    }
    let together = place.store.render_facts_of(&ids).await?;
    ids.sort_unstable();
    ids.dedup();
    let mut singly = Vec::new();
    for id in ids {
        singly.extend(place.store.render_facts(id).await?);
    }
    ensure!(
        together.len() == 4 && together == singly,
        "{together:?}\n{singly:?}"
    );
    Ok(())
}
