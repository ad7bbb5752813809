//! Causes that concern devices by type or platform, among the causes of single devices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::{DeviceState, DeviceType, Kind};
use lockstep_store::{
    Attributes, CauseRow, DeviceEffect, DeviceSelector, DevicesInState, Effects, Keys, Lease, NewCause,
    Origin, Records,
};
use tokio::time::timeout;

use super::leases::{LONG, acquire};
use super::repositories::{device, flag, flags};
use super::selector::{flag_as, of_kind};
use super::{
    Place, absorb, at, create, devices, hostname, keys, message, messages, row, unsynchronize, work,
};

const MOMENT: Duration = Duration::from_millis(200);

pub(crate) fn hours(hours: u64) -> Timestamp {
    at() + Duration::from_hours(hours)
}

fn types(types: impl IntoIterator<Item = DeviceType>) -> DeviceSelector {
    DeviceSelector {
        device_types: types.into_iter().collect(),
        ..DeviceSelector::default()
    }
}

fn access() -> DeviceSelector {
    types([DeviceType::ACCESS])
}

/// A change of all access switches.
async fn push(place: &Place, lease: &Lease, id: &str, hours: u64) -> Result<()> {
    flag_as(place, lease, id, access(), hours).await
}

async fn event(place: &Place, id: &str, name: &str) -> Result<()> {
    Ok(work(place, &keys(id, [name]), devices([unsynchronize(name)])).await?)
}

/// Processes one message at this time.
async fn work_at(place: &Place, id: &str, effect: DeviceEffect, at: Timestamp) -> Result<()> {
    let (mut facts, transaction) = place
        .store
        .begin(&[], &keys(id, [effect.hostname().as_str()]))
        .await?;
    let identity = message(id);
    let from = Origin {
        identity: &identity,
        kind: Kind::DeviceStateChanged,
        actor: None,
        at,
        reply: None,
    };
    facts.absorb(devices([effect]), &from);
    facts.record(row(identity));
    Ok(transaction.commit(&facts).await?)
}

fn describe(name: &str, device_type: DeviceType, platform: Option<&str>) -> DeviceEffect {
    DeviceEffect::Describe {
        hostname: hostname(name),
        attributes: Attributes {
            platform: platform.map(str::to_owned),
            ..Attributes::of(device_type)
        },
    }
}

fn moved(name: &str, state: DeviceState) -> DeviceEffect {
    DeviceEffect::Move {
        hostname: hostname(name),
        state,
        note: None,
        until: None,
        version: None,
    }
}

/// Checks the flag of a device: the messages of its open causes, and since when it is unsynchronized.
async fn check(place: &Place, name: &str, open: &[&str], since: Option<Timestamp>) -> Result<()> {
    let device = device(place, name).await?;
    let found = messages(place, &device).await?;
    ensure!(found == open, "{name}: {found:?}, not {open:?}");
    ensure!(device.sync.since == since, "{name}: {device:?}");
    ensure!(
        device.sync.synchronized() == since.is_none(),
        "{name}: {device:?}"
    );
    Ok(())
}

pub(crate) async fn they_are_listed_in_order_among_those_of_the_device(place: &Place) -> Result<()> {
    let names = ["sw1", "sw2", "sw3"];
    work(place, &keys("create", names), devices(names.map(create))).await?;
    let lease = acquire(place, LONG).await?;
    event(place, "1", "sw1").await?;
    push(place, &lease, "2", 5).await?;
    push(place, &lease, "3", 2).await?;
    event(place, "4", "sw1").await?;
    push(place, &lease, "5", 7).await?;
    event(place, "6", "sw2").await?;
    check(place, "sw1", &["1", "2", "3", "4", "5"], Some(at())).await?;
    check(place, "sw2", &["2", "3", "5", "6"], Some(at())).await?;
    check(place, "sw3", &["2", "3", "5"], Some(hours(2))).await?;

    // Handlers see the same.
    let asked = Keys {
        causes_of: names.map(hostname).into(),
        ..keys("7", names)
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    drop(transaction);
    for (name, since) in [("sw1", at()), ("sw2", at()), ("sw3", hours(2))] {
        let known = facts.device(&hostname(name)).map(|device| device.sync);
        ensure!(
            known.is_some_and(|sync| sync.since == Some(since)),
            "{name}: {known:?}"
        );
    }
    let open: Vec<CauseRow> = facts.open_causes(&hostname("sw3"));
    let open: Vec<&str> = open.iter().map(|cause| cause.identity.id.as_str()).collect();
    ensure!(open == ["2", "3", "5"], "{open:?}");
    Ok(())
}

/// What a device was when a change came decides whether the change concerns it.
pub(crate) async fn a_device_that_becomes_another_type_keeps_its_causes(place: &Place) -> Result<()> {
    let made = [
        of_kind("a", DeviceType::ACCESS, Some("eos")),
        of_kind("b", DeviceType::DIST, Some("junos")),
        of_kind("c", DeviceType::ACCESS, None),
    ];
    work(place, &keys("create", ["a", "b", "c"]), devices(made)).await?;
    let lease = acquire(place, LONG).await?;
    let on_platform = || DeviceSelector {
        whole_platforms: ["eos".to_owned()].into(),
        ..DeviceSelector::default()
    };
    let access_with_junos = || DeviceSelector {
        platforms: [(DeviceType::ACCESS, "junos".to_owned())].into(),
        ..DeviceSelector::default()
    };
    push(place, &lease, "1", 1).await?;
    flag_as(place, &lease, "2", on_platform(), 2).await?;
    let swap = devices([
        describe("a", DeviceType::DIST, Some("junos")),
        describe("b", DeviceType::ACCESS, Some("junos")),
        moved("c", DeviceState::Unmanaged),
    ]);
    work(place, &keys("swap", ["a", "b", "c"]), swap).await?;
    check(place, "a", &["1", "2"], Some(hours(1))).await?;
    check(place, "b", &[], None).await?;
    check(place, "c", &["1"], Some(hours(1))).await?;
    push(place, &lease, "3", 3).await?;
    flag_as(place, &lease, "4", access_with_junos(), 4).await?;
    flag_as(place, &lease, "5", types([DeviceType::DIST]), 5).await?;
    // Described and flagged by one batch.
    let both = devices([describe("b", DeviceType::CORE, None), unsynchronize("b")]);
    work(place, &keys("6", ["b"]), both).await?;
    check(place, "a", &["1", "2", "5"], Some(hours(1))).await?;
    check(place, "b", &["3", "4", "6"], Some(at())).await?;
    check(place, "c", &["1", "3"], Some(hours(1))).await
}

pub(crate) async fn a_new_device_has_no_earlier_ones(place: &Place) -> Result<()> {
    work(place, &keys("create", ["sw1"]), devices([create("sw1")])).await?;
    let lease = acquire(place, LONG).await?;
    push(place, &lease, "1", 1).await?;
    let made = devices([create("sw2"), create("sw3"), unsynchronize("sw3")]);
    work(place, &keys("2", ["sw2", "sw3"]), made).await?;
    check(place, "sw1", &["1"], Some(hours(1))).await?;
    check(place, "sw2", &[], None).await?;
    check(place, "sw3", &["2"], Some(at())).await?;
    push(place, &lease, "3", 3).await?;
    check(place, "sw2", &["3"], Some(hours(3))).await?;
    check(place, "sw3", &["2", "3"], Some(at())).await
}

pub(crate) async fn closed_ones_do_not_become_open_again(place: &Place) -> Result<()> {
    let names = ["sw1", "sw2"];
    work(place, &keys("create", names), devices(names.map(create))).await?;
    let lease = acquire(place, LONG).await?;
    push(place, &lease, "1", 1).await?;
    push(place, &lease, "2", 2).await?;
    let [one, other] = names.map(hostname);
    let close = devices([
        DeviceEffect::Synchronize { hostname: one },
        DeviceEffect::ForgetCauses { hostname: other },
    ]);
    work(place, &keys("close", names), close).await?;
    check(place, "sw1", &[], None).await?;
    check(place, "sw2", &[], Some(hours(1))).await?;
    push(place, &lease, "3", 3).await?;
    event(place, "4", "sw2").await?;
    check(place, "sw1", &["3"], Some(hours(3))).await?;
    check(place, "sw2", &["3", "4"], Some(at())).await
}

pub(crate) async fn a_return_to_managed_restarts_their_clock(place: &Place) -> Result<()> {
    work(place, &keys("create", ["sw1"]), devices([create("sw1")])).await?;
    let lease = acquire(place, LONG).await?;
    push(place, &lease, "1", 1).await?;
    work_at(place, "leave", moved("sw1", DeviceState::Unmanaged), hours(2)).await?;
    push(place, &lease, "2", 3).await?;
    check(place, "sw1", &["1", "2"], Some(hours(1))).await?;
    work_at(place, "return", moved("sw1", DeviceState::Managed), hours(4)).await?;
    check(place, "sw1", &["1", "2"], Some(hours(4))).await?;
    push(place, &lease, "3", 5).await?;
    check(place, "sw1", &["1", "2", "3"], Some(hours(4))).await
}

/// More than are kept as broad ones, which concern different devices.
pub(crate) async fn of_a_hundred_the_newest_32_are_listed(place: &Place) -> Result<()> {
    let made = [
        create("a"),
        of_kind("c", DeviceType::CORE, None),
        of_kind("d", DeviceType::DIST, None),
    ];
    work(place, &keys("create", ["a", "c", "d"]), devices(made)).await?;
    let lease = acquire(place, LONG).await?;
    event(place, "own", "d").await?;
    let mut open = [("a", vec![]), ("c", vec![]), ("d", vec!["own".to_owned()])];
    for number in 1..=100 {
        let id = number.to_string();
        let mut concerned = types([DeviceType::ACCESS]);
        if number % 3 == 0 {
            concerned.device_types.insert(DeviceType::DIST);
        }
        if number == 7 {
            concerned.device_types.insert(DeviceType::CORE);
        }
        for (name, open) in &mut open {
            let is_concerned = match *name {
                "a" => true,
                "d" => number % 3 == 0,
                _ => number == 7,
            };
            if is_concerned {
                open.push(id.clone());
            }
        }
        flag_as(place, &lease, &id, concerned, number).await?;
        if ![30, 31, 32, 33, 64, 65, 99, 100].contains(&number) {
            continue;
        }
        for ((name, open), since) in open.iter().zip([hours(1), hours(7), at()]) {
            let newest: Vec<&str> = open.iter().map(String::as_str).collect();
            check(
                place,
                name,
                &newest[newest.len().saturating_sub(32)..],
                Some(since),
            )
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn a_device_that_is_named_and_matched_has_one(place: &Place) -> Result<()> {
    let made = [
        create("a"),
        of_kind("d", DeviceType::DIST, None),
        of_kind("e", DeviceType::DIST, None),
    ];
    work(place, &keys("create", ["a", "d", "e"]), devices(made)).await?;
    let lease = acquire(place, LONG).await?;
    push(place, &lease, "1", 1).await?;
    let mixed = DeviceSelector {
        hostnames: ["a", "d", "f"].map(hostname).into(),
        predicate: Some(Arc::new(|name| name.as_str() == "a")),
        ..access()
    };
    let flagged = flag(&*place.store, flags(&lease, 1, "2", mixed)).await?;
    ensure!(flagged.concerned == 2 && flagged.flipped == 1, "{flagged:?}");
    ensure!(flagged.devices == ["a", "d"].map(hostname), "{flagged:?}");
    ensure!(
        flagged.unknown_hostnames == BTreeSet::from([hostname("f")]),
        "{flagged:?}"
    );
    check(place, "a", &["1", "2"], Some(at())).await?;
    check(place, "d", &["2"], Some(at())).await?;
    check(place, "e", &[], None).await?;
    ensure!(device(place, "a").await?.sync.desired == 3);
    Ok(())
}

pub(crate) async fn open_ones_are_kept_and_closed_ones_expire(place: &Place) -> Result<()> {
    let made = [create("a"), of_kind("d", DeviceType::DIST, None)];
    work(place, &keys("create", ["a", "d"]), devices(made)).await?;
    let lease = acquire(place, LONG).await?;
    push(place, &lease, "1", 1).await?;
    flag_as(place, &lease, "2", types([DeviceType::DIST]), 2).await?;
    ensure!(place.store.open_causes().await?.len() == 2);
    let close = DeviceEffect::Synchronize {
        hostname: hostname("d"),
    };
    work(place, &keys("close", ["d"]), devices([close])).await?;
    let open = place.store.open_causes().await?;
    ensure!(open.len() == 1, "{open:?}");
    let records = Records::Causes(Arc::new(open));
    let expired = place.store.expire(&records, hours(24), 0, 100).await?;
    ensure!(expired.deleted == 1, "{expired:?}");
    let left = place.probe.texts("SELECT message_id FROM cause").await?;
    ensure!(left == ["1"], "{left:?}");
    push(place, &lease, "3", 3).await?;
    flag_as(place, &lease, "4", types([DeviceType::DIST]), 4).await?;
    check(place, "a", &["1", "3"], Some(hours(1))).await?;
    check(place, "d", &["4"], Some(hours(4))).await
}

pub(crate) async fn the_fleet_is_unsynchronized_since_the_first(place: &Place) -> Result<()> {
    use DeviceState::{Managed, Unmanaged};
    let made = [
        create("a"),
        create("b"),
        of_kind("c", DeviceType::CORE, Some("eos")),
        of_kind("d", DeviceType::DIST, None),
    ];
    let names = ["a", "b", "c", "d"];
    work(place, &keys("create", names), devices(made)).await?;
    work(place, &keys("move", ["b"]), devices([moved("b", Unmanaged)])).await?;
    let lease = acquire(place, LONG).await?;
    let summary = async || place.store.summary().await.map(|summary| summary.devices);
    let expected = |state, all, unsynchronized, since| DevicesInState {
        state,
        all,
        unsynchronized,
        since,
        state_since: Some(at()),
        checked_since: (unsynchronized < all).then(at),
        expired: 0,
    };
    push(place, &lease, "1", 3).await?;
    let found = summary().await?;
    let all = [
        expected(Managed, 3, 1, Some(hours(3))),
        expected(Unmanaged, 1, 1, Some(hours(3))),
    ];
    ensure!(found == all, "{found:?}");
    let on_platform = DeviceSelector {
        whole_platforms: ["eos".to_owned()].into(),
        ..DeviceSelector::default()
    };
    flag_as(place, &lease, "2", on_platform, 2).await?;
    event(place, "3", "d").await?;
    let found = summary().await?;
    let all = [
        expected(Managed, 3, 3, Some(at())),
        expected(Unmanaged, 1, 1, Some(hours(3))),
    ];
    ensure!(found == all, "{found:?}");
    let close = |name| DeviceEffect::Synchronize {
        hostname: hostname(name),
    };
    work(place, &keys("close", ["b", "d"]), devices(["b", "d"].map(close))).await?;
    let found = summary().await?;
    let all = [
        expected(Managed, 3, 2, Some(hours(2))),
        expected(Unmanaged, 1, 0, None),
    ];
    ensure!(found == all, "{found:?}");
    Ok(())
}

/// A batch that holds a lock comes first; a batch that waits for the change sees it, and takes its cause before its own.
pub(crate) async fn a_batch_at_the_same_time_is_before_or_after(place: &Place) -> Result<()> {
    let names = ["sw1", "sw2"];
    work(place, &keys("create", names), devices(names.map(create))).await?;
    let lease = acquire(place, LONG).await?;

    let (mut facts, batch) = place.store.begin(&[], &keys("before", ["sw1"])).await?;
    ensure!(place.store.device(&hostname("sw1")).await?.is_some());
    let change = flag(&*place.other, flags(&lease, 0, "first", access()));
    let mut change = std::pin::pin!(change);
    ensure!(
        timeout(MOMENT, &mut change).await.is_err(),
        "the change did not wait"
    );
    absorb(&mut facts, "before", devices([unsynchronize("sw1")]));
    batch.commit(&facts).await?;
    ensure!(change.await?.flipped == 1);
    check(place, "sw1", &["before", "first"], Some(at())).await?;
    check(place, "sw2", &["first"], Some(at())).await?;

    let selected = Keys {
        flag: Some(access()),
        ..Keys::default()
    };
    let (facts, mut change) = place.other.begin(&[], &selected).await?;
    let cause = NewCause {
        cause: lockstep_protocol::Cause::RefreshSettings,
        identity: message("second"),
        kind: Kind::RepositoryChanged,
        actor: None,
        at: hours(1),
        note: None,
        detail: None,
    };
    ensure!(change.flag(&cause).await?.concerned == 2);
    let asked = keys("after", ["sw1", "sw2", "sw3"]);
    let mut batch = place.store.begin(&[], &asked);
    ensure!(
        timeout(MOMENT, &mut batch).await.is_err(),
        "the batch did not wait"
    );
    change.commit(&facts).await?;
    let (mut facts, batch) = batch.await?;
    let known = facts.device(&hostname("sw1")).map(|device| device.sync.desired);
    ensure!(known == Some(4), "it sees the change: {known:?}");
    let effects: Effects = devices([
        unsynchronize("sw1"),
        describe("sw2", DeviceType::CORE, None),
        create("sw3"),
    ]);
    absorb(&mut facts, "after", effects);
    batch.commit(&facts).await?;
    check(place, "sw1", &["before", "first", "second", "after"], Some(at())).await?;
    check(place, "sw2", &["first", "second"], Some(at())).await?;
    check(place, "sw3", &[], None).await
}
