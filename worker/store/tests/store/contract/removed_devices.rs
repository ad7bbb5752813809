//! Devices are removed, and what belongs to them goes with them.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType};
use lockstep_store::{ClientRow, DeviceEffect, Effects, Keys, Link, NewCheck, NewFact, StoreError};
use serde_json::json;

use super::device_names::{rename, version};
use super::executions::{LONG, change, claim, control, end as ended, finish, ids, numbers, owner, start};
use super::related::{end, linked};
use super::repositories::device;
use super::{Place, create, create_all, devices, hostname, keys, mac, unsynchronize, work};

pub(crate) fn remove(name: &str, id: &str) -> DeviceEffect {
    DeviceEffect::Remove {
        hostname: hostname(name),
        version: version(id),
    }
}

pub(crate) async fn a_removed_device_takes_with_it_what_belongs_to_it(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2", "sw3"]).await?;
    let join = DeviceEffect::Join {
        hostname: hostname("sw1"),
        groups: [super::executions::group("core")].into(),
    };
    let effects = Effects {
        devices: vec![unsynchronize("sw1"), join],
        clients: vec![ClientRow {
            mac: mac("aa:bb:cc:00:00:01"),
            name: Some("printer".to_owned()),
            ip: None,
            interface: Some(end("sw1", "Ethernet2")),
            group: None,
        }],
        ..linked(
            &Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1")),
            true,
            None,
        )
    };
    work(place, &keys("1", ["sw1", "sw2"]), effects).await?;
    control(place, "sw1", &["sw3"]).await?;
    let id = device(place, "sw1").await?.id;
    work(place, &keys("2", ["sw1"]), devices([remove("sw1", "2")])).await?;
    ensure!(place.store.device(&hostname("sw1")).await?.is_none());
    for (query, expected) in [
        ("SELECT name FROM interface", vec!["Ethernet1"]),
        ("SELECT 'link' FROM linknet", vec![]),
        ("SELECT 'member' FROM group_member", vec![]),
        (
            "SELECT name FROM client WHERE interface_id IS NULL",
            vec!["printer"],
        ),
        (
            "SELECT hostname FROM device WHERE controller_id IS NOT NULL",
            vec![],
        ),
        (
            "SELECT hostname FROM former_hostname WHERE device_id IS NULL",
            vec!["sw1"],
        ),
    ] {
        let found = place.probe.texts(query).await?;
        ensure!(found == expected, "{query}: {found:?}");
    }
    // The next device by this name is another one.
    work(place, &keys("3", ["sw1"]), devices([create("sw1")])).await?;
    let new = device(place, "sw1").await?;
    ensure!(new.id != id && new.sync.synchronized() && new.open_causes.is_empty());
    ensure!(place.store.groups_of(&[new.id]).await?.is_empty());
    Ok(())
}

/// What was processed before tells older messages by any of its names that the device is gone.
pub(crate) async fn the_names_of_a_removed_device_are_remembered(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(
        place,
        &keys("1", ["sw1", "sw2"]),
        devices([rename("sw1", "sw2", "1")]),
    )
    .await?;
    work(place, &keys("2", ["sw2"]), devices([remove("sw2", "2")])).await?;
    // One that is created and removed at once leaves its name, too.
    let at_once = [create("sw3"), remove("sw3", "3")];
    work(place, &keys("3", ["sw3"]), devices(at_once)).await?;
    for (name, message) in [("sw1", "1"), ("SW2", "2"), ("sw3", "3")] {
        let mut asked = Keys::default();
        asked.add_device_of_event(&hostname(name));
        let (facts, transaction) = place.store.begin(&[], &asked).await?;
        drop(transaction);
        let former = facts.former_hostname(&hostname(name)).context("a former name")?;
        ensure!(
            former.current.is_none() && former.version == version(message),
            "{former:?}"
        );
        ensure!(facts.device_of_event(&hostname(name)).is_none(), "{name}");
    }
    // A device that gets such a name ends that.
    work(place, &keys("4", ["sw2"]), devices([create("sw2")])).await?;
    let former = "SELECT folded FROM former_hostname ORDER BY folded";
    ensure!(place.probe.texts(former).await? == ["sw1", "sw3"]);
    Ok(())
}

/// Not both in one transaction: messages that do so are processed one by one.
pub(crate) async fn a_removed_device_is_created_again_by_the_next_transaction(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let both = [remove("sw1", "1"), create("sw1")];
    let refused = work(place, &keys("1", ["sw1"]), devices(both)).await;
    ensure!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    let before = device(place, "sw1").await?.id;
    work(place, &keys("1", ["sw1"]), devices([remove("sw1", "1")])).await?;
    work(place, &keys("2", ["sw1"]), devices([create("sw1")])).await?;
    ensure!(device(place, "sw1").await?.id != before);
    ensure!(
        place
            .probe
            .texts("SELECT folded FROM former_hostname")
            .await?
            .is_empty()
    );
    Ok(())
}

/// A running element ends as usual. One that has not begun has no device when it begins.
pub(crate) async fn executions_of_a_removed_device_go_on(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    work(
        place,
        &keys("1", ["a", "b"]),
        linked(
            &Link::between(end("a", "Ethernet1"), end("b", "Ethernet1")),
            true,
            None,
        ),
    )
    .await?;
    let device = ids(place, ExecuteOn::Device).await?["a"];
    let port = ids(place, ExecuteOn::Interface).await?["a Ethernet1"];
    let of = |entity_type, entity| NewFact {
        entity_type,
        entity,
        key: "version".to_owned(),
        value: json!("4.30").into(),
    };
    let check = NewCheck {
        entity_type: EntityType::Device,
        entity: device,
        key: "ping".to_owned(),
        result: "ok".to_owned(),
        reason: None,
        metrics: json!({}),
    };
    let me = owner("worker");
    for (name, value) in [("first", "4.30"), ("second", "4.31")] {
        let all = numbers(place, start(place, name, ExecuteOn::Device).await?.number).await?;
        claim(&*place.store, &all, me, LONG).await?;
        let mut ends: Vec<_> = all
            .iter()
            .map(|number| ended(*number, ElementState::Successful))
            .collect();
        ends[0].facts = vec![
            NewFact {
                value: json!(value).into(),
                ..of(EntityType::Device, device)
            },
            of(EntityType::Interface, port),
            of(EntityType::Global, 0),
        ];
        ends[0].checks = vec![check.clone()];
        finish(place, &ends, Some(me)).await?;
    }
    let running = numbers(place, start(place, "running", ExecuteOn::Device).await?.number).await?;
    ensure!(claim(&*place.store, &running, me, LONG).await?.len() == 2);
    let waiting = numbers(place, start(place, "waiting", ExecuteOn::Device).await?.number).await?;

    work(place, &keys("2", ["a"]), devices([remove("a", "2")])).await?;
    for (query, expected) in [
        ("SELECT entity_type FROM fact", vec!["GLOBAL"]),
        ("SELECT entity_type FROM fact_history", vec![]),
        ("SELECT entity_type FROM entity_check", vec![]),
    ] {
        let found = place.probe.texts(query).await?;
        ensure!(found == expected, "{query}: {found:?}");
    }
    let ends: Vec<_> = running
        .iter()
        .map(|number| ended(*number, ElementState::Successful))
        .collect();
    ensure!(finish(place, &ends, Some(me)).await?.len() == 2);
    let found = change!(place.store, |executions| executions.candidates(&waiting).await?);
    let devices: Vec<(&str, bool)> = found
        .elements
        .iter()
        .map(|element| (element.name.as_str(), element.device.is_some()))
        .collect();
    ensure!(devices == [("a", false), ("b", true)], "{devices:?}");
    Ok(())
}
