//! What happened to devices, and what messages say about causes.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{CauseDetail, DeviceState, DeviceType, InterfaceName};
use lockstep_store::{
    CauseRow, Device, DeviceEffect, DeviceSelector, Effects, HistoryEvent, HistoryPosition, Records,
    StoreError, Version,
};

use super::leases::{LONG, acquire};
use super::selector::flag_as;
use super::{Place, absorb, at, create, create_all, devices, hostname, keys, message, unsynchronize, work};

async fn device(place: &Place, name: &str) -> Result<Device> {
    place.store.device(&hostname(name)).await?.context("the device")
}

fn synchronize(name: &str) -> DeviceEffect {
    DeviceEffect::Synchronize {
        hostname: hostname(name),
    }
}

fn moved(name: &str, state: DeviceState) -> DeviceEffect {
    DeviceEffect::Move {
        hostname: hostname(name),
        state,
        note: Some("new power supply".to_owned()),
        until: None,
        version: None,
    }
}

fn interface(name: &str) -> Arc<CauseDetail> {
    let name = InterfaceName::try_from(name.to_owned()).expect("an interface");
    Arc::new(CauseDetail::of_interfaces([&name]))
}

fn detailed(effects: impl IntoIterator<Item = DeviceEffect>, name: &str) -> Effects {
    Effects {
        detail: Some(interface(name)),
        ..devices(effects)
    }
}

/// What a device went through, newest first, read in pages of this size.
async fn history(place: &Place, name: &str, limit: u32) -> Result<Vec<String>> {
    let device = device(place, name).await?;
    let mut all = Vec::new();
    let mut before: Option<HistoryPosition> = None;
    loop {
        let page = place.store.history(&device, before, limit).await?;
        ensure!(page.len() <= limit as usize, "{page:?}");
        let Some(last) = page.last() else { return Ok(all) };
        before = Some(last.position.to_string().parse()?);
        all.extend(page.iter().map(|entry| match &entry.event {
            HistoryEvent::Changed { row, expired } => {
                let change = [&row.change.from, &row.change.to].map(|text| text.as_deref().unwrap_or("-"));
                let closed = row.causes.len();
                let id = row.identity.id.as_str();
                format!(
                    "{id} {} {} g{} {closed}-{expired}",
                    row.what,
                    change.join(">"),
                    row.generation
                )
            }
            HistoryEvent::Unsynchronized { cause, open } => {
                let open = if *open { "open" } else { "closed" };
                format!("{} {} {open}", cause.identity.id.as_str(), cause.cause)
            }
        }));
    }
}

async fn check(place: &Place, name: &str, expected: &[&str]) -> Result<()> {
    for limit in [1, 2, 3, 100] {
        let found = history(place, name, limit).await?;
        ensure!(found == expected, "in pages of {limit}: {found:#?}");
    }
    Ok(())
}

/// Processes one message at a later time than the one before.
async fn work_later(place: &Place, id: &str, second: u64, effects: Effects) -> Result<()> {
    let names: Vec<&str> = effects
        .devices
        .iter()
        .map(|effect| effect.hostname().as_str())
        .collect();
    let (mut facts, transaction) = place.store.begin(&[], &keys(id, names)).await?;
    let identity = message(id);
    let from = lockstep_store::Origin {
        identity: &identity,
        kind: lockstep_protocol::Kind::InterfaceUpdated,
        actor: Some("netbox"),
        at: at() + std::time::Duration::from_secs(second),
        reply: None,
    };
    facts.absorb(effects, &from);
    Ok(transaction.commit(&facts).await?)
}

pub(crate) async fn what_happened_is_listed_newest_first_in_pages(place: &Place) -> Result<()> {
    work_later(place, "1", 0, devices([create("sw1"), create("sw2")])).await?;
    work_later(place, "2", 10, detailed([unsynchronize("sw1")], "Ethernet1")).await?;
    work_later(place, "3", 20, devices([moved("sw1", DeviceState::Unmanaged)])).await?;
    work_later(place, "4", 30, devices([moved("sw1", DeviceState::Unmanaged)])).await?;
    work_later(place, "5", 40, devices([unsynchronize("sw1")])).await?;
    work_later(place, "6", 50, devices([synchronize("sw1")])).await?;
    // It is synchronized already.
    work_later(place, "7", 60, devices([synchronize("sw1")])).await?;
    work_later(place, "8", 70, detailed([unsynchronize("sw1")], "Ethernet2")).await?;
    let expected = [
        "8 interface_updated open",
        "6 synchronized ->- g3 2-0",
        "5 interface_updated closed",
        "3 moved MANAGED>UNMANAGED g2 0-0",
        "2 interface_updated closed",
        "1 created ->MANAGED g1 0-0",
    ];
    check(place, "sw1", &expected).await?;
    check(place, "sw2", &["1 created ->MANAGED g1 0-0"]).await?;

    // Who, why, and what the messages said.
    let entries = place
        .store
        .history(&device(place, "sw1").await?, None, 100)
        .await?;
    let details: Vec<Option<Arc<CauseDetail>>> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            HistoryEvent::Unsynchronized { cause, .. } => Some(cause.detail.clone()),
            HistoryEvent::Changed { .. } => None,
        })
        .collect();
    ensure!(
        details == [Some(interface("Ethernet2")), None, Some(interface("Ethernet1"))],
        "{details:?}"
    );
    let HistoryEvent::Changed { row, .. } = &entries[3].event else {
        anyhow::bail!("{:?}", entries[3]);
    };
    ensure!(
        row.actor.as_deref() == Some("netbox") && row.note.as_deref() == Some("new power supply"),
        "{row:?}"
    );
    ensure!(row.kind == "lockstep.interface.updated", "{row:?}");
    Ok(())
}

pub(crate) async fn one_batch_may_close_causes_more_than_once(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("3", ["sw1", "sw3"])).await?;
    absorb(&mut facts, "3", devices([unsynchronize("sw1")]));
    absorb(&mut facts, "4", devices([synchronize("sw1")]));
    absorb(&mut facts, "5", devices([unsynchronize("sw1")]));
    absorb(&mut facts, "6", devices([synchronize("sw1"), create("sw3")]));
    absorb(
        &mut facts,
        "7",
        devices([unsynchronize("sw1"), unsynchronize("sw3")]),
    );
    absorb(&mut facts, "8", devices([synchronize("sw3")]));
    transaction.commit(&facts).await?;
    let rows = async |name: &str| -> Result<Vec<String>> {
        let all = history(place, name, 100).await?;
        Ok(all
            .into_iter()
            .filter(|entry| !entry.contains("interface_updated"))
            .collect())
    };
    let closed = rows("sw1").await?;
    ensure!(
        closed
            == [
                "6 synchronized ->- g4 1-0",
                "4 synchronized ->- g3 2-0",
                "create created ->MANAGED g1 0-0"
            ],
        "{closed:?}"
    );
    let created = rows("sw3").await?;
    ensure!(
        created == ["8 synchronized ->- g2 1-0", "6 created ->MANAGED g1 0-0"],
        "{created:?}"
    );
    let newest = history(place, "sw1", 1).await?;
    ensure!(
        newest[0] == "7 interface_updated open" && newest.len() == 7,
        "{newest:?}"
    );
    Ok(())
}

pub(crate) async fn causes_of_many_devices_are_in_the_history_of_each(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let lease = acquire(place, LONG).await?;
    let access = || DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        ..DeviceSelector::default()
    };
    flag_as(place, &lease, "2", access(), 1).await?;
    work_later(place, "3", 7200, devices([unsynchronize("sw1")])).await?;
    flag_as(place, &lease, "4", access(), 3).await?;
    work_later(place, "5", 4 * 3600, devices([synchronize("sw1")])).await?;
    flag_as(place, &lease, "6", access(), 5).await?;
    let expected = [
        "6 refresh_settings open",
        "5 synchronized ->- g4 3-0",
        "4 refresh_settings closed",
        "3 interface_updated closed",
        "2 refresh_settings closed",
        "create created ->MANAGED g1 0-0",
    ];
    check(place, "sw1", &expected).await
}

pub(crate) async fn a_history_lists_the_newest_32_causes_that_it_closed(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    for batch in [0..20_u32, 20..40] {
        let (mut facts, transaction) = place.store.begin(&[], &keys("x", ["sw1"])).await?;
        for id in batch.clone() {
            absorb(&mut facts, &format!("c{id}"), devices([unsynchronize("sw1")]));
        }
        if batch.end == 40 {
            absorb(&mut facts, "sync", devices([synchronize("sw1")]));
        }
        transaction.commit(&facts).await?;
    }
    let found = history(place, "sw1", 100).await?;
    ensure!(found[0] == "sync synchronized ->- g41 32-0", "{found:?}");
    let causes: Vec<&String> = found.iter().filter(|entry| entry.contains("closed")).collect();
    ensure!(causes.len() == 32 && found.len() == 34, "{found:?}");
    ensure!(
        !causes.iter().any(|entry| entry.starts_with("c7 "))
            && causes.iter().any(|entry| entry.starts_with("c8 "))
    );
    Ok(())
}

/// A worker that crashes before the commit, one that is second, and a redelivery leave what one worker leaves.
pub(crate) async fn a_message_that_is_processed_again_leaves_one_row(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("3", ["sw1"])).await?;
    absorb(&mut facts, "3", devices([synchronize("sw1")]));
    drop(transaction);
    work(place, &keys("3", ["sw1"]), devices([synchronize("sw1")])).await?;
    // One that has read before the first committed; the store repeats it, and it finds the row of the inbox.
    let (mut facts, transaction) = place.other.begin(&[], &keys("4", ["sw1"])).await?;
    absorb(
        &mut facts,
        "3",
        devices([unsynchronize("sw1"), moved("sw1", DeviceState::Init)]),
    );
    let second = transaction.commit(&facts).await;
    ensure!(matches!(second, Err(StoreError::Conflict { .. })), "{second:?}");
    let (facts, _transaction) = place.store.begin(&[], &keys("3", ["sw1"])).await?;
    ensure!(facts.message(&super::key("3")).is_some());
    let expected = [
        "3 synchronized ->- g2 1-0",
        "2 interface_updated closed",
        "create created ->MANAGED g1 0-0",
    ];
    check(place, "sw1", &expected).await
}

pub(crate) async fn causes_that_expired_are_counted(place: &Place) -> Result<()> {
    work_later(place, "1", 0, devices([create("sw1")])).await?;
    work(
        place,
        &keys("2", ["sw1"]),
        detailed([unsynchronize("sw1")], "Ethernet1"),
    )
    .await?;
    work(place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    work_later(place, "4", 20, devices([synchronize("sw1")])).await?;
    work(
        place,
        &keys("5", ["sw1"]),
        detailed([unsynchronize("sw1")], "Ethernet5"),
    )
    .await?;
    let open = Arc::new(place.store.open_causes().await?);
    let later = at() + std::time::Duration::from_hours(1);
    for records in [Records::Inbox(open.clone()), Records::Causes(open)] {
        place.store.expire(&records, later, 0, 100).await?;
    }
    let found = history(place, "sw1", 100).await?;
    ensure!(
        found.contains(&"4 synchronized ->- g3 2-2".to_owned()),
        "{found:?}"
    );
    ensure!(found.len() == 3, "{found:?}");
    // What is open stays, with its detail, wherever it is kept.
    let device = device(place, "sw1").await?;
    let causes = place.store.detailed_causes(&device.open_causes).await?;
    let details: Vec<&CauseRow> = causes.values().collect();
    ensure!(
        details.len() == 1 && details[0].detail == Some(interface("Ethernet5")),
        "{details:?}"
    );
    // Lists do without.
    let causes = place.store.causes(&device.open_causes).await?;
    ensure!(causes.values().all(|cause| cause.detail.is_none()) && causes.len() == 1);
    Ok(())
}

pub(crate) async fn the_primary_group_is_known_if_it_is_stored(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    ensure!(device(place, "sw1").await?.primary_group.is_none());
    place
        .probe
        .texts("UPDATE device SET primary_group = 'LAB'")
        .await?;
    let found = device(place, "sw1").await?.primary_group;
    ensure!(
        found.as_ref().map(lockstep_protocol::GroupName::as_str) == Some("LAB"),
        "{found:?}"
    );
    Ok(())
}

pub(crate) async fn a_renamed_device_keeps_its_history_and_a_removed_one_loses_it(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let version = |id: &str| Version {
        time: at(),
        id: message(id).id,
    };
    let rename = DeviceEffect::Rename {
        hostname: hostname("sw1"),
        to: hostname("sw3"),
        version: version("3"),
    };
    work(
        place,
        &keys("3", ["sw1", "sw3"]),
        devices([rename, synchronize("sw3")]),
    )
    .await?;
    let expected = [
        "3 synchronized ->- g2 1-0",
        "2 interface_updated closed",
        "3 renamed sw1>sw3 g2 0-0",
        "create created ->MANAGED g1 0-0",
    ];
    check(place, "sw3", &expected).await?;
    let remove = DeviceEffect::Remove {
        hostname: hostname("sw2"),
        version: version("4"),
    };
    work(
        place,
        &keys("4", ["sw2"]),
        devices([moved("sw2", DeviceState::Init), remove]),
    )
    .await?;
    let left = place
        .probe
        .texts("SELECT what FROM device_history ORDER BY number")
        .await?;
    ensure!(left == ["created", "renamed", "synchronized"], "{left:?}");
    Ok(())
}
