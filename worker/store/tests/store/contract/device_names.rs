//! Devices get other names, and their old names lead to them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join;
use lockstep_protocol::DeviceType;
use lockstep_store::{
    ClientRow, DeviceEffect, DeviceSelector, Effects, Facts, GroupRow, InterfaceRow, Keys, Link, StoreError,
    Version,
};
use serde_json::json;
use tokio::time::timeout;

use super::executions::group;
use super::leases::{LONG, acquire};
use super::related::{end, interface, linked};
use super::repositories::device;
use super::selector::flag_as;
use super::{
    Place, absorb, create, create_all, devices, hostname, keys, mac, message, messages, unsynchronize, work,
};

const MOMENT: Duration = Duration::from_millis(200);

/// The version of the message with this id.
pub(crate) fn version(id: &str) -> Version {
    Version {
        time: super::at(),
        id: message(id).id,
    }
}

pub(crate) fn rename(from: &str, to: &str, id: &str) -> DeviceEffect {
    DeviceEffect::Rename {
        hostname: hostname(from),
        to: hostname(to),
        version: version(id),
    }
}

/// Renames devices, one after the other, by one message.
pub(crate) async fn rename_all(place: &Place, id: &str, names: &[(&str, &str)]) -> Result<(), StoreError> {
    let all = names.iter().flat_map(|(from, to)| [*from, *to]);
    let renamed = names.iter().map(|(from, to)| rename(from, to, id));
    work(place, &keys(id, all), devices(renamed)).await
}

/// The keys of an event about a device.
fn keys_of_event(id: &str, name: &str) -> Keys {
    let mut keys = keys(id, []);
    keys.add_device_of_event(&hostname(name));
    keys
}

/// Processes an event that flags its device, if there is one. Returns the name of that device.
async fn event(place: &Place, id: &str, name: &str) -> Result<Option<String>, StoreError> {
    let (mut facts, transaction) = place.other.begin(&[], &keys_of_event(id, name)).await?;
    let found = facts.device_of_event(&hostname(name));
    let found = found.map(|row| row.hostname.to_string());
    absorb(&mut facts, id, devices(found.as_deref().map(unsynchronize)));
    transaction.commit(&facts).await?;
    Ok(found)
}

async fn read(place: &Place, keys: &Keys) -> Result<Facts> {
    let (facts, transaction) = place.store.begin(&[], keys).await?;
    drop(transaction);
    Ok(facts)
}

pub(crate) async fn a_renamed_device_keeps_what_belongs_to_it(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let link = |name| Link::between(end(name, "Ethernet1"), end("sw2", "Ethernet1"));
    let effects = Effects {
        devices: vec![
            unsynchronize("sw1"),
            DeviceEffect::Join {
                hostname: hostname("sw1"),
                groups: [group("core")].into(),
            },
        ],
        groups: vec![GroupRow {
            name: group("core"),
            location: None,
        }],
        interfaces: vec![InterfaceRow {
            hostname: hostname("sw1"),
            name: interface("Ethernet2"),
            configuration: Some(json!({"vlan": 7})),
        }],
        clients: vec![ClientRow {
            mac: mac("aa:bb:cc:00:00:01"),
            name: None,
            ip: None,
            interface: Some(end("sw1", "Ethernet2")),
            group: None,
        }],
        ..linked(&link("sw1"), true, None)
    };
    work(place, &keys("1", ["sw1", "sw2"]), effects).await?;
    // A change of all access switches is open for it, too.
    let lease = acquire(place, LONG).await?;
    let access = DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        ..DeviceSelector::default()
    };
    flag_as(place, &lease, "2", access, 2).await?;
    let before = device(place, "sw1").await?;

    rename_all(place, "3", &[("sw1", "core1")]).await?;
    ensure!(place.store.device(&hostname("sw1")).await?.is_none());
    let after = device(place, "core1").await?;
    ensure!(messages(place, &after).await? == ["1", "2"]);
    let groups = place.store.groups_of(&[after.id]).await?;
    ensure!(groups[&after.id] == [group("core")], "{groups:?}");
    let unchanged = lockstep_store::Device {
        hostname: before.hostname.clone(),
        ..after
    };
    ensure!(unchanged == before, "{unchanged:?}");
    let rows = "SELECT device.hostname || ' ' || interface.name || ' ' || coalesce(configuration, '-') || ' ' || coalesce(client.mac, '-') \
        FROM interface JOIN device ON device.id = device_id LEFT JOIN client ON client.interface_id = interface.id ORDER BY 1";
    let rows = place.probe.texts(rows).await?;
    ensure!(
        rows == [
            "core1 Ethernet1 - -",
            "core1 Ethernet2 {\"vlan\":7} aa:bb:cc:00:00:01",
            "sw2 Ethernet1 - -"
        ],
        "{rows:?}"
    );
    let asked = Keys {
        links_of: [hostname("sw2")].into(),
        ..Keys::default()
    };
    let facts = read(place, &asked).await?;
    ensure!(facts.has_link(&link("core1")) && !facts.has_link(&link("sw1")));
    let history = format!(
        "SELECT what FROM device_history WHERE device_id = {} ORDER BY number",
        before.id.0
    );
    ensure!(place.probe.texts(&history).await? == ["created", "renamed"]);
    Ok(())
}

pub(crate) async fn renames_take_place_one_after_the_other(place: &Place) -> Result<()> {
    let names = ["sw1", "sw2", "sw3"];
    create_all(place, &names).await?;
    let ids = async |names: [&str; 3]| -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        for name in names {
            ids.push(device(place, name).await?.id.0);
        }
        Ok(ids)
    };
    let before = ids(names).await?;
    // The first two swap their names, and the third one takes two steps.
    let steps = [
        ("sw1", "free"),
        ("sw2", "sw1"),
        ("free", "sw2"),
        ("sw3", "Sw3"),
        ("Sw3", "sw4"),
    ];
    rename_all(place, "1", &steps).await?;
    ensure!(ids(["sw2", "sw1", "sw4"]).await? == before);
    for (name, current) in [("free", Some("sw2")), ("sw3", Some("sw4")), ("sw1", Some("sw1"))] {
        let found = event(place, &format!("by {name}"), name).await?;
        ensure!(found.as_deref() == current, "{name}: {found:?}");
    }
    // In another spelling, a device has its name.
    rename_all(place, "2", &[("sw4", "SW4")]).await?;
    ensure!(device(place, "SW4").await?.id.0 == before[2]);
    let former = "SELECT folded FROM former_hostname ORDER BY folded";
    ensure!(place.probe.texts(former).await? == ["free", "sw3"]);
    Ok(())
}

pub(crate) async fn an_event_by_an_old_name_reaches_the_device(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let link = Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1"));
    work(place, &keys("1", ["sw1", "sw2"]), linked(&link, true, None)).await?;
    event(place, "2", "sw1").await?;
    rename_all(place, "3", &[("sw1", "sw3")]).await?;
    rename_all(place, "4", &[("sw3", "sw4")]).await?;
    for (id, name) in [("5", "sw1"), ("6", "SW1"), ("7", "sw3"), ("8", "sw4")] {
        let found = event(place, id, name).await?;
        ensure!(found.as_deref() == Some("sw4"), "{name}: {found:?}");
    }
    let found = device(place, "sw4").await?;
    ensure!(messages(place, &found).await? == ["2", "5", "6", "7", "8"]);
    // What the keys say of the old name applies to the device.
    let asked = Keys {
        links_of: [hostname("sw1")].into(),
        causes_of: [hostname("sw1")].into(),
        ..keys_of_event("9", "sw1")
    };
    let facts = read(place, &asked).await?;
    let former = facts.former_hostname(&hostname("sw1")).context("a former name")?;
    ensure!(former.current == Some(hostname("sw4")) && former.version == version("3"));
    ensure!(facts.links_of(&hostname("sw4")).count() == 1);
    ensure!(facts.open_causes(&hostname("sw4")).len() == 5);
    ensure!(facts.device(&hostname("sw2")).is_some(), "the other end");
    // A command names the present name: nothing else is read for it.
    let facts = read(place, &keys("10", ["sw1"])).await?;
    ensure!(facts.devices().next().is_none() && facts.former_hostname(&hostname("sw1")).is_some());
    Ok(())
}

pub(crate) async fn a_name_may_be_another_devices_next(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let renamed = device(place, "sw1").await?.id;
    rename_all(place, "1", &[("sw1", "sw3")]).await?;
    work(place, &keys("2", ["SW1"]), devices([create("SW1")])).await?;
    let new = device(place, "SW1").await?.id;
    ensure!(new != renamed);
    ensure!(event(place, "3", "SW1").await?.as_deref() == Some("SW1"));
    // The old name of one device is the new one of another.
    rename_all(place, "4", &[("SW1", "sw5")]).await?;
    rename_all(place, "5", &[("sw2", "sw1")]).await?;
    ensure!(event(place, "6", "sw1").await?.as_deref() == Some("sw1"));
    ensure!(event(place, "7", "sw2").await?.as_deref() == Some("sw1"));
    ensure!(device(place, "sw1").await?.sync.desired == 3);
    let former = "SELECT folded FROM former_hostname ORDER BY folded";
    ensure!(place.probe.texts(former).await? == ["sw2"]);
    Ok(())
}

/// One batch creates a device and renames it: what it was called is known from then on.
pub(crate) async fn a_device_may_be_created_and_renamed_in_one_batch(place: &Place) -> Result<()> {
    let effects = [create("sw1"), rename("sw1", "sw2", "1"), unsynchronize("sw2")];
    work(place, &keys("1", ["sw1", "sw2"]), devices(effects)).await?;
    ensure!(event(place, "2", "sw1").await?.as_deref() == Some("sw2"));
    ensure!(device(place, "sw2").await?.sync.desired == 3);
    Ok(())
}

/// Handlers reject these. A conflict would be repeated forever.
pub(crate) async fn a_name_that_another_device_has_is_refused(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let refused = [
        work(
            place,
            &keys("1", ["sw1", "sw2"]),
            devices([rename("sw1", "sw2", "1")]),
        )
        .await,
        work(place, &keys("2", ["sw1"]), devices([rename("sw1", "new", "2")])).await,
        // The name is free only with the commit, so that messages are processed one by one.
        work(
            place,
            &keys("3", ["sw1", "new"]),
            devices([rename("sw1", "new", "3"), create("sw1")]),
        )
        .await,
    ];
    for answer in refused {
        ensure!(matches!(answer, Err(StoreError::Refused { .. })), "{answer:?}");
    }
    ensure!(
        place
            .probe
            .texts("SELECT folded FROM former_hostname")
            .await?
            .is_empty()
    );
    ensure!(device(place, "sw1").await?.id != device(place, "sw2").await?.id);
    Ok(())
}

/// Devices at the other end of a link, and those that name the device in the configuration of an interface.
pub(crate) async fn neighbors_are_read_and_locked(place: &Place) -> Result<()> {
    create_all(place, &["far", "gone", "near", "no", "sw1"]).await?;
    let configured = |name: &str, configuration| InterfaceRow {
        hostname: hostname(name),
        name: interface("Ethernet7"),
        configuration: Some(configuration),
    };
    let link = |other: &str| Link::between(end("sw1", other), end(other, "Ethernet1"));
    let effects = Effects {
        interfaces: vec![
            configured("near", json!({"ifclass": "downlink", "neighbor": "sw1"})),
            configured("no", json!({"neighbor": "sw10", "description": "to sw1"})),
        ],
        ..linked(&link("far"), true, None)
    };
    work(place, &keys("1", ["far", "near", "no", "sw1"]), effects).await?;
    work(
        place,
        &keys("2", ["gone", "sw1"]),
        linked(&link("gone"), true, None),
    )
    .await?;
    work(
        place,
        &keys("3", ["gone", "sw1"]),
        linked(&link("gone"), false, None),
    )
    .await?;
    let asked = Keys {
        links_of: [hostname("sw1")].into(),
        neighbors_of: [hostname("sw1")].into(),
        ..keys("4", ["sw1"])
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    let names: Vec<String> = facts.devices().map(|row| row.hostname.to_string()).collect();
    ensure!(names == ["far", "near", "sw1"], "{names:?}");
    ensure!(facts.neighbors_by_configuration(&hostname("sw1")) == [hostname("near")]);
    for name in ["far", "near"] {
        let waiting = timeout(MOMENT, event(place, name, name)).await;
        ensure!(waiting.is_err(), "{name} is not locked");
    }
    drop(transaction);
    ensure!(event(place, "5", "near").await?.is_some());
    Ok(())
}

/// While a device is renamed again and again, events come by all the names that it had.
pub(crate) async fn no_flag_is_lost_while_a_device_is_renamed(place: &Place) -> Result<()> {
    const TIMES: usize = 25;
    create_all(place, &["sw0", "aaa", "zzz"]).await?;
    let linked_to = |name| Link::between(end("sw0", name), end(name, "Ethernet1"));
    for name in ["aaa", "zzz"] {
        work(
            place,
            &keys(name, ["sw0", name]),
            linked(&linked_to(name), true, None),
        )
        .await?;
    }
    let renames = async {
        for number in 0..TIMES {
            let (from, to) = (format!("sw{number}"), format!("sw{}", number + 1));
            repeated(async || rename_and_flag_neighbors(place, &from, &to).await).await?;
        }
        anyhow::Ok(())
    };
    let events = async {
        for number in 0..TIMES {
            let name = format!("sw{}", number / 2);
            // The device may not have had the name yet.
            for attempt in 0.. {
                let id = format!("flag {number} {attempt}");
                if repeated(async || event(place, &id, &name).await).await?.is_some() {
                    break;
                }
            }
        }
        anyhow::Ok(())
    };
    try_join(renames, events).await?;
    let last = device(place, &format!("sw{TIMES}")).await?;
    let flags = usize::try_from(last.sync.desired - 1)?;
    ensure!(flags == TIMES, "{flags} flags of {TIMES} events");
    // Each renaming flagged both neighbours.
    for name in ["aaa", "zzz"] {
        ensure!(
            device(place, name).await?.sync.desired - 1 == i64::try_from(TIMES)?,
            "{name}"
        );
    }
    Ok(())
}

/// Repeats a transaction that another one came before.
async fn repeated<T>(work: impl AsyncFn() -> Result<T, StoreError>) -> Result<T> {
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => ensure!(error.is_conflict(), "{error:?}"),
        }
    }
}

async fn rename_and_flag_neighbors(place: &Place, from: &str, to: &str) -> Result<(), StoreError> {
    let asked = Keys {
        links_of: BTreeSet::from([hostname(from)]),
        ..keys(to, [from, to])
    };
    let (mut facts, transaction) = place.store.begin(&[], &asked).await?;
    let from_name = hostname(from);
    let ends = facts.links_of(&from_name).flat_map(Link::ends);
    let neighbors: Vec<String> = ends
        .filter(|end| end.hostname != from_name)
        .map(|end| end.hostname.to_string())
        .collect();
    let flagged = neighbors.iter().map(|name| unsynchronize(name));
    absorb(&mut facts, to, devices(flagged.chain([rename(from, to, to)])));
    transaction.commit(&facts).await
}
