//! An element on a controller holds the leases of the controller and of its devices.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use lockstep_protocol::ElementState;
use lockstep_protocol::Hostname;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_store::{CapScope, ElementSource};

use super::executions::{
    LONG, NO_TIME, change, claim, control, elements, end, finish, fleet, ids, new_execution, numbers, owner,
    start, start_of,
};
use super::{Place, create_all, hostname};

/// The fleet with `a` and `b` behind the controller `c`, and `d` by itself.
async fn controlled(place: &Place) -> Result<()> {
    fleet(place).await?;
    create_all(place, &["c", "d"]).await?;
    control(place, "c", &["a", "b"]).await
}

/// Which of the devices are free: their leases are acquired, and given back.
async fn free(place: &Place) -> Result<Vec<Hostname>> {
    let all: BTreeSet<Hostname> = ["a", "b", "c", "d"].map(hostname).into();
    let somebody = owner("somebody");
    let fences = change!(place.store, |executions| {
        let fences = executions.acquire_devices(&all, somebody, LONG).await?;
        executions.give_back_devices(&fences, somebody).await?;
        fences
    });
    Ok(fences.into_keys().collect())
}

pub(crate) async fn a_candidate_names_the_devices_that_are_run_on(place: &Place) -> Result<()> {
    use ExecuteOn::{Client, Device, Interface};
    controlled(place).await?;
    let of_kind = async |kind, names: &[&str]| -> Result<ElementSource> {
        let all = ids(place, kind).await?;
        Ok(ElementSource::Of {
            entity_type: kind,
            ids: names.iter().map(|name| all[*name]).collect(),
        })
    };
    let table = [
        (Device, ElementSource::All, vec!["a", "b"]),
        (Device, of_kind(Device, &["a"]).await?, vec!["a"]),
        (Device, of_kind(Device, &["c"]).await?, vec![]),
        (Interface, of_kind(Interface, &["b Ethernet1"]).await?, vec!["b"]),
        (
            Client,
            of_kind(Client, &[super::executions::CLIENTS[0]]).await?,
            vec!["a"],
        ),
    ];
    for (index, (run_on, source, expected)) in table.into_iter().enumerate() {
        let new = new_execution(&index.to_string(), run_on);
        let started = start_of(place, &new, &source).await?;
        let asked = numbers(place, started.number).await?;
        let found = change!(place.store, |executions| executions.candidates(&asked).await?);
        let controller = found.elements.iter().find(|element| element.name == "c");
        let controller = controller.context("the controller")?;
        let others: Vec<&str> = controller.others.iter().map(Hostname::as_str).collect();
        ensure!(others == expected, "{run_on} {source:?}: {others:?}");
        ensure!(
            controller.whole == (source == ElementSource::All),
            "{controller:?}"
        );
        let by_itself = found.elements.iter().filter(|element| element.name != "c");
        ensure!(
            by_itself
                .into_iter()
                .all(|element| element.others.is_empty() && element.whole)
        );
    }
    Ok(())
}

pub(crate) async fn all_leases_are_held_renewed_and_given_back_together(place: &Place) -> Result<()> {
    controlled(place).await?;
    let started = start(place, "first", ExecuteOn::Device).await?;
    let all = numbers(place, started.number).await?;
    let number = elements(place, started.number).await?[0].number;
    let me = owner("worker");
    ensure!(claim(&*place.store, &all, me, LONG).await?.len() == 2);
    ensure!(free(place).await?.is_empty());
    let early = format!("UPDATE lease SET until = {}", place.probe.earlier("until", 4));
    place.probe.texts(&early).await?;
    ensure!(place.store.renew_elements(me, LONG).await?.held.len() == 2);
    let later = format!(
        "SELECT name FROM lease WHERE {} > {} ORDER BY name",
        place.probe.earlier("until", 3),
        place.probe.time(place.store.now().await?)
    );
    let renewed = place.probe.texts(&later).await?;
    ensure!(
        renewed == ["device/a", "device/b", "device/c", "device/d"],
        "{renewed:?}"
    );
    let ended = finish(place, &[end(number, ElementState::Successful)], Some(me)).await?;
    let devices = ["c", "a", "b"].map(|device| CapScope::Device(device.to_owned()));
    ensure!(ended[0].frees == devices, "{ended:?}");
    ensure!(free(place).await? == ["a", "b", "c"].map(hostname));

    // When it is queued again, too.
    let started = start(place, "second", ExecuteOn::Device).await?;
    let number = elements(place, started.number).await?[0].number;
    ensure!(claim(&*place.store, &[number].into(), me, LONG).await? == [number]);
    let lose = format!("UPDATE element SET until = {}", place.probe.earlier("until", 60));
    place.probe.texts(&lose).await?;
    let queued = change!(place.store, |executions| executions
        .requeue(&[(number, 1)], LONG)
        .await?);
    ensure!(queued.len() == 1);
    ensure!(free(place).await? == ["a", "b", "c"].map(hostname));
    Ok(())
}

pub(crate) async fn an_element_begins_with_all_its_leases_or_with_none(place: &Place) -> Result<()> {
    controlled(place).await?;
    let started = start(place, "first", ExecuteOn::Device).await?;
    let number = elements(place, started.number).await?[0].number;
    let [me, other] = ["worker", "other"].map(owner);
    let held = change!(place.store, |executions| {
        let devices = [hostname("b")].into();
        executions.acquire_devices(&devices, other, LONG).await?
    });
    ensure!(claim(&*place.store, &[number].into(), me, LONG).await?.is_empty());
    ensure!(free(place).await? == ["a", "c", "d"].map(hostname));
    change!(place.store, |executions| {
        // Under another owner or fence, nothing is given back.
        executions.give_back_devices(&held, me).await?;
        let another = BTreeMap::from([(hostname("b"), held[&hostname("b")] + 1)]);
        executions.give_back_devices(&another, other).await?;
        executions.give_back_devices(&BTreeMap::new(), other).await?;
    });
    ensure!(claim(&*place.store, &[number].into(), me, LONG).await?.is_empty());
    change!(place.store, |executions| executions
        .give_back_devices(&held, other)
        .await?);
    ensure!(claim(&*place.store, &[number].into(), me, NO_TIME).await? == [number]);
    Ok(())
}
