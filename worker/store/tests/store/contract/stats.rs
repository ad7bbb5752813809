use anyhow::{Result, ensure};
use lockstep_protocol::{DeviceState, DeviceType};
use lockstep_store::{Attributes, DeviceEffect, DevicesInState};

use super::{Place, at, create_all, devices, hostname, keys, unsynchronize, work};

pub(crate) async fn the_fleet_is_summarized_by_state(place: &Place) -> Result<()> {
    ensure!(
        place.store.summary().await?.devices.is_empty(),
        "the fleet is empty"
    );

    create_all(place, &["a", "b", "c"]).await?;
    let spare = DeviceEffect::Create {
        hostname: hostname("d"),
        attributes: Attributes::of(DeviceType::CORE),
        state: DeviceState::Unmanaged,
        version: None,
    };
    work(place, &keys("spare", ["d"]), devices([spare])).await?;
    let before = place.store.summary().await?;
    let fresh = before.devices.iter().map(|devices| (devices.state, devices.all));
    ensure!(
        fresh.eq([(DeviceState::Managed, 3), (DeviceState::Unmanaged, 1)]),
        "{before:?}"
    );

    let synchronize = |name: &str| DeviceEffect::Synchronize {
        hostname: hostname(name),
    };
    for name in ["a", "b", "c", "d"] {
        work(
            place,
            &keys(&format!("synchronize {name}"), [name]),
            devices([synchronize(name)]),
        )
        .await?;
    }
    let none = place.store.summary().await?;
    let in_step = none
        .devices
        .iter()
        .all(|devices| devices.unsynchronized == 0 && devices.since.is_none());
    ensure!(in_step, "{none:?}");

    for name in ["a", "c"] {
        work(
            place,
            &keys(&format!("flag {name}"), [name]),
            devices([unsynchronize(name)]),
        )
        .await?;
    }
    let summary = place.store.summary().await?;
    let managed = DevicesInState {
        state: DeviceState::Managed,
        all: 3,
        unsynchronized: 2,
        since: Some(at()),
        state_since: Some(at()),
        checked_since: Some(at()),
        expired: 0,
    };
    let unmanaged = DevicesInState {
        state: DeviceState::Unmanaged,
        all: 1,
        unsynchronized: 0,
        since: None,
        state_since: Some(at()),
        checked_since: Some(at()),
        expired: 0,
    };
    ensure!(summary.devices == [managed, unmanaged], "{summary:?}");
    Ok(())
}

pub(crate) async fn its_sessions_are_counted(place: &Place) -> Result<()> {
    place.store.summary().await?;
    let sessions = place.store.sessions();
    ensure!(
        sessions.open >= 1 && sessions.open <= sessions.limit && sessions.idle == sessions.open,
        "{sessions:?}"
    );
    Ok(())
}
