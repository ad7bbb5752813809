use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{GroupName, InterfaceName};
use lockstep_store::{
    ClientRow, DeviceEffect, Effects, GroupRow, InterfaceRow, Keys, Link, LinkChange, LinkEnd, StoreError,
    Version,
};
use serde_json::json;

use super::{Place, create, create_all, devices, hostname, keys, mac, work};

fn group(text: &str) -> GroupName {
    GroupName::try_from(text.to_owned()).expect("a group")
}

pub(crate) fn interface(text: &str) -> InterfaceName {
    InterfaceName::try_from(text.to_owned()).expect("an interface")
}

pub(crate) fn end(name: &str, port: &str) -> LinkEnd {
    LinkEnd {
        hostname: hostname(name),
        interface: interface(port),
    }
}

/// A message that adds or removes a link.
pub(crate) fn linked(link: &Link, present: bool, version: Option<Version>) -> Effects {
    Effects {
        links: vec![LinkChange {
            link: link.clone(),
            present,
            version,
            addresses: None,
        }],
        ..Effects::default()
    }
}

fn link(one: LinkEnd, other: LinkEnd) -> Effects {
    linked(&Link::between(one, other), true, None)
}

pub(crate) async fn a_link_and_its_mirror_image_are_one(place: &Place) -> Result<()> {
    create_all(place, &["sw2"]).await?;
    // One end is created with the link.
    let new = Effects {
        devices: vec![create("sw1")],
        ..link(end("sw2", "Ethernet2"), end("sw1", "Ethernet1"))
    };
    work(place, &keys("2", ["sw1"]), new).await?;
    // The repeated link is not in the facts.
    work(
        place,
        &keys("3", []),
        link(end("sw1", "Ethernet1"), end("sw2", "Ethernet2")),
    )
    .await?;
    ensure!(place.probe.texts("SELECT 'link' FROM linknet").await?.len() == 1);
    for name in ["sw1", "sw2"] {
        let asked = Keys {
            links_of: BTreeSet::from([hostname(name)]),
            ..Keys::default()
        };
        let (facts, _transaction) = place.store.begin(&[], &asked).await?;
        let link = Link::between(end("sw2", "Ethernet2"), end("sw1", "Ethernet1"));
        ensure!(facts.has_link(&link), "{name}");
        ensure!(!facts.has_link(&Link::between(end("sw2", "Ethernet2"), end("sw1", "Ethernet3"))));
    }
    Ok(())
}

/// Of two links at one interface the one that was added later exists, in whichever order the messages come, and from one transaction to the
/// next.
pub(crate) async fn links_end_alike_in_whichever_order_they_come(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2", "sw3"]).await?;
    let (first, second) = (
        Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1")),
        Link::between(end("sw1", "Ethernet1"), end("sw3", "Ethernet1")),
    );
    let version = |second: i64| -> Result<Version> {
        Ok(Version {
            time: jiff::Timestamp::from_second(second)?,
            id: second.to_string().try_into()?,
        })
    };
    let keys = |id: &str| Keys {
        links_of: ["sw1", "sw2", "sw3"].map(hostname).into(),
        ..keys(id, ["sw1", "sw2", "sw3"])
    };
    // The second one was added at 5 and removed at 7, and the first one added at 3: it was replaced, and stays away.
    for (id, link, present, at) in [
        ("2", &second, true, 5),
        ("3", &second, false, 7),
        ("4", &first, true, 3),
    ] {
        let effects = Effects {
            links: vec![LinkChange {
                link: link.clone(),
                present,
                version: Some(version(at)?),
                addresses: None,
            }],
            ..Effects::default()
        };
        work(place, &keys(id), effects).await?;
    }
    let (facts, transaction) = place.store.begin(&[], &keys("5")).await?;
    drop(transaction);
    let row = facts.link(&first).context("it is remembered")?;
    ensure!(
        !row.present && row.added == Some(version(3)?) && row.version == Some(version(3)?),
        "{row:?}"
    );
    let row = facts.link(&second).context("it is remembered")?;
    ensure!(
        !row.present && row.added == Some(version(5)?) && row.version == Some(version(7)?),
        "{row:?}"
    );
    Ok(())
}

pub(crate) async fn a_link_to_nowhere_is_refused(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    for (id, other) in [("2", end("nobody", "Ethernet1")), ("3", end("sw1", "Ethernet1"))] {
        let refused = work(place, &keys(id, ["sw1"]), link(end("sw1", "Ethernet1"), other)).await;
        ensure!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    }
    ensure!(place.probe.texts("SELECT name FROM interface").await?.is_empty());
    Ok(())
}

pub(crate) async fn groups_by_list_are_replaced(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let join = |name, groups: &[&str]| DeviceEffect::Join {
        hostname: hostname(name),
        groups: groups.iter().map(|text| group(text)).collect(),
    };
    let groups = async |name| -> Result<Vec<String>> {
        let device = place.store.device(&hostname(name)).await?.context("the device")?;
        let groups = place.store.groups_of(&[device.id]).await?.remove(&device.id);
        Ok(groups
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect())
    };
    let both = [join("sw1", &["b", "a"]), join("sw2", &["a"]), join("sw2", &["b"])];
    work(place, &keys("2", ["sw1", "sw2"]), devices(both)).await?;
    ensure!(
        groups("sw1").await? == ["a", "b"] && groups("sw2").await? == ["b"],
        "the last list replaces the earlier ones"
    );
    work(place, &keys("3", ["sw1"]), devices([join("sw1", &["c", "b"])])).await?;
    ensure!(groups("sw1").await? == ["b", "c"] && groups("sw2").await? == ["b"]);
    work(place, &keys("4", ["sw1"]), devices([join("sw1", &[])])).await?;
    ensure!(groups("sw1").await?.is_empty() && groups("sw2").await? == ["b"]);
    Ok(())
}

pub(crate) async fn a_location_stays_one_until_somebody_says_otherwise(place: &Place) -> Result<()> {
    let read_after = async |id: &str, locations: &[Option<bool>]| -> Result<Vec<String>> {
        let groups = locations.iter().map(|location| GroupRow {
            name: group("Lund"),
            location: *location,
        });
        let effects = Effects {
            groups: groups.collect(),
            ..Effects::default()
        };
        work(place, &keys(id, []), effects).await?;
        let is_location = "SELECT CASE WHEN location THEN 'yes' ELSE 'no' END FROM device_group";
        place.probe.texts(is_location).await
    };
    ensure!(read_after("1", &[None]).await? == ["no"]);
    ensure!(read_after("2", &[Some(true), None]).await? == ["yes"]);
    ensure!(read_after("3", &[None]).await? == ["yes"]);
    ensure!(read_after("4", &[Some(true), Some(false)]).await? == ["no"]);
    Ok(())
}

pub(crate) async fn interfaces_keep_what_is_not_said_anew(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let read_after = async |id: &str, configuration| -> Result<Vec<String>> {
        let effects = Effects {
            interfaces: vec![InterfaceRow {
                hostname: hostname("sw1"),
                name: interface("Ethernet1"),
                configuration,
            }],
            ..Effects::default()
        };
        work(place, &keys(id, ["sw1"]), effects).await?;
        place
            .probe
            .texts("SELECT coalesce(configuration, 'none') FROM interface")
            .await
    };
    ensure!(read_after("2", None).await? == ["none"]);
    ensure!(
        read_after("3", Some(json!({"untagged_vlan": "a\u{0}b"}))).await?
            == [r#"{"untagged_vlan":"a\u0000b"}"#]
    );
    ensure!(read_after("4", None).await? == [r#"{"untagged_vlan":"a\u0000b"}"#]);
    ensure!(read_after("5", Some(json!({}))).await? == ["{}"]);
    Ok(())
}

pub(crate) async fn clients_keep_what_is_not_said_anew(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let unknown = ClientRow {
        mac: mac("aa:bb:cc:00:00:01"),
        name: None,
        ip: None,
        interface: None,
        group: None,
    };
    let read_after = async |id: &str, clients: Vec<ClientRow>| -> Result<Vec<String>> {
        let effects = Effects {
            clients,
            ..Effects::default()
        };
        work(place, &keys(id, ["sw1"]), effects).await?;
        let query = "SELECT coalesce(client.name, '-') || ' ' || coalesce(interface.name, '-') || ' ' \
                || coalesce(device_group.name, '-') || ' ' || CASE WHEN client.ip IS NULL THEN '-' ELSE 'ip' END \
            FROM client LEFT JOIN interface ON interface.id = client.interface_id \
            LEFT JOIN device_group ON device_group.id = client.group_id";
        place.probe.texts(query).await
    };
    let named = ClientRow {
        name: Some("printer".to_owned()),
        ..unknown.clone()
    };
    let placed = ClientRow {
        interface: Some(end("sw1", "Ethernet7")),
        ip: Some("192.0.2.7".parse()?),
        ..unknown.clone()
    };
    let grouped = ClientRow {
        group: Some(group("printers")),
        ..unknown.clone()
    };
    ensure!(read_after("2", vec![unknown.clone()]).await? == ["- - - -"]);
    ensure!(read_after("3", vec![named]).await? == ["printer - - -"]);
    ensure!(read_after("4", vec![placed, grouped]).await? == ["printer Ethernet7 printers ip"]);
    ensure!(read_after("5", vec![unknown.clone()]).await? == ["printer Ethernet7 printers ip"]);
    let nowhere = ClientRow {
        interface: Some(end("nobody", "Ethernet1")),
        ..unknown
    };
    ensure!(read_after("6", vec![nowhere]).await.is_err());
    Ok(())
}
