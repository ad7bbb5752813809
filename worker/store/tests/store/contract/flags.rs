use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{Cause, DeviceState, Kind};
use lockstep_store::{Device, DeviceEffect, Effects, Keys, Mark, Origin, StoreError};

use super::{
    Place, absorb, at, causes, create_all, devices, hostname, kept_causes, keys, message, messages,
    unsynchronize, work,
};

fn synchronize(name: &str) -> DeviceEffect {
    DeviceEffect::Synchronize {
        hostname: hostname(name),
    }
}

async fn device(place: &Place, name: &str) -> Result<Device> {
    place.store.device(&hostname(name)).await?.context("the device")
}

pub(crate) async fn a_cause_unsynchronizes_and_synchronizing_closes_it(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    work(place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let flagged = device(place, "sw1").await?;
    ensure!((flagged.sync.desired, flagged.sync.synced) == (3, 1));
    ensure!(!flagged.sync.synchronized() && flagged.sync.since == Some(at()));
    ensure!(messages(place, &flagged).await? == ["2", "3"]);
    let cause = &causes(place, &flagged).await?[0];
    ensure!(
        cause.cause == "interface_updated" && cause.kind == "lockstep.interface.updated",
        "{cause:?}"
    );
    ensure!(
        cause.identity == message("2") && cause.at == at() && cause.actor.as_deref() == Some("netbox"),
        "{cause:?}"
    );

    work(place, &keys("4", ["sw1"]), devices([synchronize("sw1")])).await?;
    let synced = device(place, "sw1").await?;
    ensure!((synced.sync.desired, synced.sync.synced) == (3, 3));
    ensure!(synced.sync.since.is_none() && synced.open_causes.is_empty());

    // Closed and opened in one batch: the new one stays.
    let again = devices([unsynchronize("sw1"), synchronize("sw1"), unsynchronize("sw1")]);
    work(place, &keys("5", ["sw1"]), again).await?;
    ensure!(messages(place, &device(place, "sw1").await?).await? == ["5"]);
    Ok(())
}

pub(crate) async fn who_marked_a_device_and_why_is_kept(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let with_note = |effect, note: &str| Effects {
        note: Some(note.to_owned()),
        ..devices([effect])
    };
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    work(
        place,
        &keys("3", ["sw1"]),
        with_note(unsynchronize("sw1"), "by hand"),
    )
    .await?;
    let flagged = device(place, "sw1").await?;
    ensure!(flagged.marked.is_none());
    let notes: Vec<_> = causes(place, &flagged)
        .await?
        .into_iter()
        .map(|cause| cause.note)
        .collect();
    ensure!(notes == [None, Some("by hand".to_owned())], "{notes:?}");

    let asked = Keys {
        causes_of: [hostname("sw1"), hostname("sw2")].into(),
        ..keys("4", ["sw1", "sw2"])
    };
    let (mut facts, transaction) = place.store.begin(&[], &asked).await?;
    ensure!(facts.open_causes(&hostname("sw1")) == causes(place, &flagged).await?);
    ensure!(facts.open_causes(&hostname("sw2")).is_empty());
    absorb(&mut facts, "4", with_note(synchronize("sw1"), "compared"));
    ensure!(facts.open_causes(&hostname("sw1")).is_empty());
    transaction.commit(&facts).await?;
    let mark = Mark {
        at: at(),
        by: Some("netbox".to_owned()),
        note: Some("compared".to_owned()),
    };
    ensure!(device(place, "sw1").await?.marked.as_ref() == Some(&mark));
    ensure!(device(place, "sw2").await?.marked.is_none());
    // What happens later leaves it.
    work(place, &keys("5", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    ensure!(device(place, "sw1").await?.marked == Some(mark));
    Ok(())
}

pub(crate) async fn the_newest_32_causes_stay_open(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let batches: [std::ops::Range<u32>; 4] = [100..105, 105..135, 135..136, 136..180];
    let mut last = 100;
    for batch in batches {
        let (mut facts, transaction) = place.store.begin(&[], &keys("1", ["sw1"])).await?;
        for id in batch.clone() {
            absorb(&mut facts, &id.to_string(), devices([unsynchronize("sw1")]));
        }
        transaction.commit(&facts).await?;
        last = batch.end.max(last);
        let open = messages(place, &device(place, "sw1").await?).await?;
        let expected: Vec<String> = (100.max(last - 32)..last).map(|id| id.to_string()).collect();
        ensure!(open == expected, "after {batch:?}: {open:?}");
    }
    Ok(())
}

pub(crate) async fn forgotten_causes_leave_the_flag(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let forget = DeviceEffect::ForgetCauses {
        hostname: hostname("sw1"),
    };
    work(place, &keys("3", ["sw1"]), devices([forget])).await?;
    let device = device(place, "sw1").await?;
    ensure!(!device.sync.synchronized() && device.open_causes.is_empty() && device.sync.since == Some(at()));
    Ok(())
}

pub(crate) async fn one_cause_may_hit_many_devices(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    work(
        place,
        &keys("2", ["sw1", "sw2"]),
        devices([unsynchronize("sw1"), unsynchronize("sw2")]),
    )
    .await?;
    let (first, second) = (device(place, "sw1").await?, device(place, "sw2").await?);
    ensure!(messages(place, &first).await? == ["2"] && first.open_causes == second.open_causes);
    ensure!(kept_causes(place).await? == ["interface_updated"]);
    let both = devices([
        unsynchronize("sw1"),
        DeviceEffect::Unsynchronize {
            hostname: hostname("sw1"),
            cause: Cause::LinknetCreated,
        },
    ]);
    work(place, &keys("3", ["sw1"]), both).await?;
    let causes = causes(place, &device(place, "sw1").await?).await?;
    let causes: Vec<&str> = causes.iter().map(|cause| cause.cause.as_str()).collect();
    ensure!(
        causes == ["interface_updated", "interface_updated", "linknet_created"],
        "{causes:?}"
    );
    Ok(())
}

pub(crate) async fn the_clock_starts_anew_on_return_to_managed(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let r#move = |state| DeviceEffect::Move {
        hostname: hostname("sw1"),
        state,
        note: None,
        until: None,
        version: None,
    };
    work(
        place,
        &keys("2", ["sw1"]),
        devices([unsynchronize("sw1"), r#move(DeviceState::Unmanaged)]),
    )
    .await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("3", ["sw1"])).await?;
    let later = at() + Duration::from_hours(5);
    let identity = message("3");
    let from = Origin {
        identity: &identity,
        kind: Kind::DeviceStateChanged,
        actor: None,
        at: later,
        reply: None,
    };
    facts.absorb(devices([r#move(DeviceState::Managed)]), &from);
    transaction.commit(&facts).await?;
    ensure!(device(place, "sw1").await?.sync.since == Some(later));
    Ok(())
}

/// The store itself rejects a state that no effect can produce.
pub(crate) async fn synced_never_exceeds_desired(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    let mut row = facts.device(&hostname("sw1")).context("sw1")?.clone();
    row.sync.synced = 2;
    row.flagged = true;
    facts.add_device(row);
    let refused = transaction.commit(&facts).await;
    ensure!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    ensure!(device(place, "sw1").await?.sync.synced == 1);
    Ok(())
}
