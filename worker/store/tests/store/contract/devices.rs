use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{DeviceState, DeviceType, Hostname, Kind, MessageId};
use lockstep_store::{
    Attributes, DeviceEffect, Facts, Keys, Origin, Retryability, StoreError, SyncState, Version,
};
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::{
    Place, Store, absorb, at, create, create_all, devices, hostname, kept_causes, key, keys, mac, message,
    messages, serial, unsynchronize, work,
};

fn described() -> Attributes {
    Attributes {
        device_type: DeviceType::DIST,
        platform: Some("eos".to_owned()),
        management_ip: Some("2001:db8::1".parse().expect("an address")),
        mac: Some(mac("44:4c:a8:00:00:01")),
        serial: Some(serial("JPE1")),
        vendor: Some("Arista".to_owned()),
        model: Some("7280".to_owned()),
        os_version: Some("4.33.1F".to_owned()),
        controller: None,
    }
}

pub(crate) async fn a_device_is_created_described_and_moved(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let created = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(created.sync == SyncState::SYNCHRONIZED && created.lifecycle.state == DeviceState::Managed);
    ensure!(created.attributes == Attributes::of(DeviceType::ACCESS) && created.open_causes.is_empty());
    ensure!(place.store.groups_of(&[created.id]).await?.is_empty());

    let version = Version {
        // More precise than the timestamps of the database.
        time: "2026-01-01T00:00:00.123456789Z".parse()?,
        id: MessageId::try_from("ünïque 1".to_owned())?,
    };
    let until = "2027-01-01T00:00:00Z".parse()?;
    let describe = DeviceEffect::Describe {
        hostname: hostname("sw1"),
        attributes: described(),
    };
    let r#move = DeviceEffect::Move {
        hostname: hostname("sw1"),
        state: DeviceState::Unmanaged,
        note: Some("moved to B12".to_owned()),
        until: Some(until),
        version: Some(version.clone()),
    };
    work(place, &keys("2", ["sw1"]), devices([describe, r#move])).await?;

    let (facts, _transaction) = place.store.begin(&[], &keys("3", ["sw1"])).await?;
    let row = facts.device(&hostname("sw1")).context("sw1")?;
    ensure!(
        row.id == Some(created.id.0) && row.attributes == described(),
        "{row:?}"
    );
    ensure!(
        row.lifecycle.version == Some(version) && row.lifecycle.until == Some(until),
        "{row:?}"
    );
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(
        device.lifecycle == row.lifecycle && device.attributes == described(),
        "{device:?}"
    );
    ensure!(device.lifecycle.note.as_deref() == Some("moved to B12"));
    ensure!(device.lifecycle.state == DeviceState::Unmanaged);
    Ok(())
}

pub(crate) async fn a_device_may_be_created_and_flagged_in_one_batch(place: &Place) -> Result<()> {
    work(
        place,
        &keys("1", ["sw1"]),
        devices([create("sw1"), unsynchronize("sw1")]),
    )
    .await?;
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(!device.sync.synchronized(), "{device:?}");
    ensure!(messages(place, &device).await? == ["1"]);
    Ok(())
}

pub(crate) async fn what_is_not_there_is_not_known(place: &Place) -> Result<()> {
    let mut keys = keys("1", ["sw1", "sw2"]);
    keys.macs.insert(mac("44:4c:a8:00:00:01"));
    keys.serials.insert(serial("JPE1"));
    keys.links_of.insert(hostname("sw1"));
    let (facts, transaction) = place.store.begin(&[], &keys).await?;
    let mut nothing = Facts::default();
    if let Some(now) = facts.now() {
        nothing.set_time(now);
    }
    ensure!(facts == nothing, "{facts:?}");
    transaction.commit(&facts).await?;
    let (facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    transaction.commit(&facts).await?;
    Ok(())
}

pub(crate) async fn owners_of_addresses_and_serial_numbers_are_known(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let describe = DeviceEffect::Describe {
        hostname: hostname("sw1"),
        attributes: described(),
    };
    work(place, &keys("2", ["sw1"]), devices([describe])).await?;
    let asked = Keys {
        macs: BTreeSet::from([mac("444c.a800.0001"), mac("444c.a800.0002")]),
        serials: BTreeSet::from([serial("JPE1"), serial("JPE2")]),
        ..keys("3", [])
    };
    let (facts, _transaction) = place.store.begin(&[], &asked).await?;
    ensure!(facts.owner_of_mac(&mac("444c.a800.0001")) == Some(&hostname("sw1")));
    ensure!(facts.owner_of_mac(&mac("444c.a800.0002")).is_none());
    ensure!(facts.owner_of_serial(&serial("JPE1")) == Some(&hostname("sw1")));
    ensure!(facts.owner_of_serial(&serial("JPE2")).is_none());
    Ok(())
}

pub(crate) async fn an_address_or_serial_number_that_is_taken_is_refused_and_nothing_written(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let taken = |name: &str, attributes: Attributes| DeviceEffect::Describe {
        hostname: hostname(name),
        attributes,
    };
    work(place, &keys("2", ["sw1"]), devices([taken("sw1", described())])).await?;
    let by_mac = Attributes {
        serial: None,
        ..described()
    };
    let by_serial = Attributes {
        mac: None,
        ..described()
    };
    for (id, attributes) in [("3", by_mac), ("4", by_serial)] {
        let effects = devices([unsynchronize("sw1"), taken("sw2", attributes)]);
        let refused = work(place, &keys(id, ["sw1", "sw2"]), effects).await;
        // As in a race. On SQLite there is none, because one transaction runs at a time.
        let expected = matches!(
            refused,
            Err(StoreError::Refused { .. } | StoreError::Conflict { .. })
        );
        ensure!(expected, "{refused:?}");
        ensure!(place.store.outcome(&key(id)).await?.is_none());
    }
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.synchronized());
    ensure!(kept_causes(place).await?.is_empty());
    Ok(())
}

/// Two transactions give the same MAC address, the same serial number or the same name to two devices. The one that loses repeats, or
/// begins when the other has ended, and then it sees the owner.
pub(crate) async fn of_two_devices_that_claim_the_same_at_once_one_gets_it(place: &Place) -> Result<()> {
    type Owner = fn(&Facts) -> Option<Hostname>;
    let by_mac: Owner = |facts| facts.owner_of_mac(&mac("444c.a800.0001")).cloned();
    let by_serial: Owner = |facts| facts.owner_of_serial(&serial("JPE1")).cloned();
    let by_name: Owner = |facts| {
        let spellings = [hostname("sw9"), hostname("SW9")];
        let owner = spellings.iter().find_map(|name| facts.spelling_of(name));
        owner.cloned()
    };
    let of = |mac, serial| Attributes {
        mac,
        serial,
        ..Attributes::of(DeviceType::ACCESS)
    };
    let table = [
        ("sw1", "sw2", of(described().mac, None), by_mac),
        ("sw3", "sw4", of(None, described().serial), by_serial),
        ("sw9", "SW9", of(None, None), by_name),
    ];
    for (one, other, attributes, owner) in table {
        let both_began = Barrier::new(2);
        let claim = |store: Arc<dyn Store>, name: &'static str| {
            let (both_began, attributes) = (&both_began, &attributes);
            async move {
                let asked = Keys {
                    macs: attributes.mac.iter().cloned().collect(),
                    serials: attributes.serial.iter().cloned().collect(),
                    ..keys(name, [name])
                };
                for _ in 0..3 {
                    let (mut facts, transaction) = store.begin(&[], &asked).await?;
                    let _ = timeout(Duration::from_millis(300), both_began.wait()).await;
                    if let Some(owner) = owner(&facts) {
                        return Ok(owner);
                    }
                    let create = DeviceEffect::Create {
                        hostname: hostname(name),
                        attributes: attributes.clone(),
                        state: DeviceState::Managed,
                        version: None,
                    };
                    absorb(&mut facts, name, devices([create]));
                    match transaction.commit(&facts).await {
                        Ok(()) => return Ok(hostname(name)),
                        Err(error) if error.is_conflict() => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(hostname("nobody"))
            }
        };
        let (first, second) =
            tokio::try_join!(claim(place.store.clone(), one), claim(place.other.clone(), other))?;
        ensure!(
            first == second && [one, other].contains(&first.as_str()),
            "{first} {second}"
        );
        let stored = [
            place.store.device(&hostname(one)).await?,
            place.store.device(&hostname(other)).await?,
        ];
        ensure!(stored.iter().flatten().count() == 1, "{stored:?}");
    }
    Ok(())
}

/// Since when it is in its state: another message with the same state changes nothing.
pub(crate) async fn the_time_of_a_state_is_that_of_its_change(place: &Place) -> Result<()> {
    let time = |minutes: u64| at() + Duration::from_mins(minutes);
    let r#move = |state| DeviceEffect::Move {
        hostname: hostname("sw1"),
        state,
        note: None,
        until: None,
        version: None,
    };
    let steps = [
        (create("sw1"), 0),
        (r#move(DeviceState::Managed), 0),
        (r#move(DeviceState::Unmanaged), 2),
        (r#move(DeviceState::Unmanaged), 2),
        (unsynchronize("sw1"), 2),
        (r#move(DeviceState::Managed), 5),
    ];
    for (minute, (effect, expected)) in (0..).zip(steps) {
        let id = minute.to_string();
        let (mut facts, transaction) = place.store.begin(&[], &keys(&id, ["sw1"])).await?;
        let identity = message(&id);
        let from = Origin {
            identity: &identity,
            kind: Kind::DeviceStateChanged,
            actor: None,
            at: time(minute),
            reply: None,
        };
        facts.absorb(devices([effect.clone()]), &from);
        transaction.commit(&facts).await?;
        let found = place.store.device(&hostname("sw1")).await?.context("sw1")?;
        ensure!(
            found.lifecycle.since == Some(time(expected)),
            "{effect:?}: {found:?}"
        );
        let (facts, _transaction) = place.store.begin(&[], &keys("read", ["sw1"])).await?;
        let row = facts.device(&hostname("sw1")).context("sw1")?;
        ensure!(row.lifecycle == found.lifecycle);
    }
    Ok(())
}

/// Devices of an earlier program may differ only in case. They keep their names.
pub(crate) async fn another_spelling_of_a_name_is_known(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let (facts, _transaction) = place.store.begin(&[], &keys("2", ["SW1", "sw1", "sw2"])).await?;
    ensure!(facts.spelling_of(&hostname("SW1")) == Some(&hostname("sw1")));
    ensure!(facts.spelling_of(&hostname("sw1")).is_none() && facts.spelling_of(&hostname("sw2")).is_none());
    Ok(())
}

pub(crate) async fn a_name_that_is_taken_is_refused(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    // Whether or not the handler has read the device.
    for (id, asked) in [("2", vec!["sw1"]), ("3", vec![])] {
        let refused = work(place, &keys(id, asked), devices([create("sw1")])).await;
        ensure!(
            refused.is_err_and(|error| error.retryability() == Retryability::Permanent),
            "{id}"
        );
    }
    Ok(())
}

pub(crate) async fn a_thousand_devices_are_one_batch(place: &Place) -> Result<()> {
    let names: Vec<String> = (0..1000).map(|n| format!("sw{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    create_all(place, &names).await?;
    let flags = devices(names.iter().map(|name| unsynchronize(name)));
    work(place, &keys("2", names.iter().copied()), flags).await?;
    let (facts, _transaction) = place.store.begin(&[], &keys("3", names)).await?;
    ensure!(facts.devices().count() == 1000);
    ensure!(facts.devices().all(|device| !device.sync.synchronized()));
    let ids: BTreeSet<_> = facts.devices().map(|device| device.id).collect();
    ensure!(ids.len() == 1000 && !ids.contains(&None));
    Ok(())
}
