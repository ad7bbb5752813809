//! Elements on a device that is renamed meanwhile: no other one begins on the device until they end.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_store::{CapScope, HeldBack};

use super::device_names::rename_all;
use super::executions::{LONG, change, claim, control, elements, end, finish, numbers, owner, start};
use super::{Place, create_all, hostname};

/// The leases that are held, with their fences.
async fn held(place: &Place) -> Result<Vec<String>> {
    let select = format!(
        "SELECT name || ' ' || CAST(fence AS text) FROM lease WHERE until > {} ORDER BY name",
        place.probe.time(place.store.now().await?)
    );
    place.probe.texts(&select).await
}

pub(crate) async fn an_element_goes_on_under_the_new_name_of_its_device(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let [me, other] = ["worker", "other"].map(owner);
    let running = numbers(place, start(place, "running", ExecuteOn::Device).await?.number).await?;
    ensure!(claim(&*place.store, &running, me, LONG).await?.len() == 2);
    let next = start(place, "next", ExecuteOn::Device).await?;
    let waiting = elements(place, next.number).await?;
    let hold_back: Vec<HeldBack> = waiting
        .iter()
        .map(|element| HeldBack {
            number: element.number,
            waits_for: CapScope::Device(element.name.clone()),
        })
        .collect();
    change!(place.store, |executions| executions.hold_back(&hold_back).await?);

    // They swap their names, and one of them gets a third one.
    rename_all(place, "1", &[("a", "free"), ("b", "a"), ("free", "c")]).await?;
    let names: Vec<Option<String>> = elements(place, next.number)
        .await?
        .iter()
        .map(|element| element.hostname.as_ref().map(ToString::to_string))
        .collect();
    ensure!(names == [Some("c".to_owned()), Some("a".to_owned())], "{names:?}");
    let leases = held(place).await?;
    ensure!(leases == ["device/a 1", "device/c 1"], "{leases:?}");
    // Nothing else begins on these devices, under whichever name.
    let all = waiting.iter().map(|element| element.number).collect();
    ensure!(claim(&*place.other, &all, other, LONG).await?.is_empty());
    let early = format!("UPDATE lease SET until = {}", place.probe.earlier("until", 4));
    place.probe.texts(&early).await?;
    ensure!(place.store.renew_elements(me, LONG).await?.held.len() == 2);
    let later = format!(
        "SELECT name FROM lease WHERE {} > {} ORDER BY name",
        place.probe.earlier("until", 3),
        place.probe.time(place.store.now().await?)
    );
    ensure!(place.probe.texts(&later).await? == ["device/a", "device/c"]);

    let ends: Vec<_> = running
        .iter()
        .map(|number| end(*number, ElementState::Successful))
        .collect();
    let ended = finish(place, &ends, Some(me)).await?;
    let frees: BTreeSet<&CapScope> = ended.iter().flat_map(|element| &element.frees).collect();
    let devices = ["a", "c"].map(|name| CapScope::Device(name.to_owned()));
    ensure!(frees == devices.iter().collect(), "{ended:?}");
    ensure!(held(place).await?.is_empty());
    // Those that waited for the devices are found by their new names.
    let released = change!(place.store, |executions| executions
        .release_one_each(&devices.into(), LONG)
        .await?);
    ensure!(released.len() == 2, "{released:?}");
    ensure!(claim(&*place.other, &all, other, LONG).await?.len() == 2);
    // What has ended keeps the names that the devices had.
    let ended = elements(place, elements(place, next.number).await?[0].execution - 1).await?;
    let ended: Vec<&str> = ended.iter().map(|element| element.name.as_str()).collect();
    ensure!(ended == ["a", "b"], "{ended:?}");
    Ok(())
}

pub(crate) async fn a_device_behind_a_controller_is_held_under_its_new_name(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    control(place, "c", &["a", "b"]).await?;
    let [me, other] = ["worker", "other"].map(owner);
    let running = numbers(place, start(place, "first", ExecuteOn::Device).await?.number).await?;
    ensure!(claim(&*place.store, &running, me, LONG).await?.len() == 1);
    rename_all(place, "1", &[("a", "d")]).await?;
    ensure!(held(place).await? == ["device/b 1", "device/c 1", "device/d 1"]);
    let early = format!("UPDATE lease SET until = {}", place.probe.earlier("until", 4));
    place.probe.texts(&early).await?;
    ensure!(place.store.renew_elements(me, LONG).await?.held.len() == 1);
    let all = ["b", "c", "d"].map(hostname).into();
    let acquired = change!(place.store, |executions| executions
        .acquire_devices(&all, other, LONG)
        .await?);
    ensure!(acquired.is_empty(), "{acquired:?}");
    let number = running.first().copied().unwrap_or_default();
    let ended = finish(place, &[end(number, ElementState::Successful)], Some(me)).await?;
    let frees = ["c", "d", "b"].map(|name| CapScope::Device(name.to_owned()));
    ensure!(ended[0].frees == frees, "{ended:?}");
    ensure!(held(place).await?.is_empty());
    Ok(())
}
