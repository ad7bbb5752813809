use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use lockstep_protocol::commands::{ExecuteOn, RunLimits};
use lockstep_protocol::{ElementState, EntityType, ExecutionState};
use lockstep_store::{CapScope, ElementSource, ExecutionReference, NewExecution, ParentStep, StoreError};

use super::executions::{
    CLIENTS, DEVICES, LONG, change, claim, elements, end, execution_id, finish, fleet, ids, new_execution,
    numbers, owner, start, start_of,
};
use super::{Place, at, create_all};

pub(crate) async fn an_execution_comes_back_as_it_was(place: &Place) -> Result<()> {
    fleet(place).await?;
    let devices = ids(place, ExecuteOn::Device).await?;
    let mut new = NewExecution {
        relaunch_of: Some(execution_id("before")),
        parent: Some(ParentStep {
            execution: 7,
            phase: 1,
            step: 2,
        }),
        deadline_at: Some(at() + SignedDuration::from_hours(1)),
        ..new_execution("first", ExecuteOn::Device)
    };
    new.requested.execute_on = devices.values().copied().collect();
    new.requested.limits = RunLimits {
        canary: NonZeroU32::new(1),
        max_failed_percent: Some(20),
        ..RunLimits::default()
    };
    let source = ElementSource::Of {
        entity_type: ExecuteOn::Device,
        ids: new.requested.execute_on.clone(),
    };
    let started = start_of(place, &new, &source).await?;
    ensure!(started.elements == 2 && started.missing.is_empty(), "{started:?}");
    let id = execution_id("first");
    for reference in [
        ExecutionReference::Number(started.number),
        ExecutionReference::Id(id),
    ] {
        let found = place
            .other
            .execution(&reference)
            .await?
            .context("the execution")?;
        ensure!(found.request == new, "{found:?}");
        ensure!(found.number == started.number && found.id == id && found.in_canary && !found.paused);
        ensure!(
            found.state == ExecutionState::Pending && found.counts.open() == 2,
            "{found:?}"
        );
        ensure!(found.started_at.is_none() && found.ended_at.is_none() && found.halt.is_none());
    }
    // The entities are left out where the row is read often.
    let locked = change!(place.store, |executions| executions.lock(id).await?);
    let locked = locked.context("the execution")?;
    ensure!(locked.request.requested.execute_on.is_empty());
    ensure!(locked.request.requested.limits == new.requested.limits);
    let unknown = ExecutionReference::Id(execution_id("unknown"));
    ensure!(place.store.execution(&unknown).await?.is_none());

    let twice = start_of(place, &new, &source).await;
    let error = twice.err().context("the same execution twice")?;
    let error = error.downcast_ref::<StoreError>();
    ensure!(
        !matches!(error, None | Some(StoreError::Unavailable { .. })),
        "{error:?}"
    );
    ensure!(elements(place, started.number).await?.len() == 2);
    Ok(())
}

/// Each kind of entity from each other kind.
pub(crate) async fn entities_are_resolved_along_their_relations(place: &Place) -> Result<()> {
    use ExecuteOn::{Client, Device, Group, Interface};
    const A1: &str = "a Ethernet1";
    const A2: &str = "a Ethernet2";
    const B1: &str = "b Ethernet1";
    const B2: &str = "b Ethernet2";
    let [on_a, on_b, in_core] = CLIENTS;
    fleet(place).await?;
    let mut all = BTreeMap::new();
    for kind in ExecuteOn::ALL {
        all.insert(kind, ids(place, kind).await?);
    }
    let table: [(ExecuteOn, Vec<&str>, ExecuteOn, Vec<&str>); 27] = [
        // The example of neops: interfaces 1 and 2 belong to A, 3 and 4 to B.
        (Interface, vec![A1], Device, vec!["a"]),
        (Device, vec!["b"], Interface, vec![B1, B2]),
        (Interface, vec![A1, A2, B1], Device, vec!["a", "b"]),
        (Interface, vec![B2, A1], Interface, vec![A1, B2]),
        (Interface, vec![A2, A1], Group, vec!["campus", "core"]),
        (Interface, vec![B1], Group, vec!["campus"]),
        (Interface, vec![A1, A2], Client, vec![on_a]),
        (Interface, vec![B1], Client, vec![]),
        (Device, vec!["b", "a"], Device, vec!["a", "b"]),
        (Device, vec!["a", "b"], Group, vec!["campus", "core"]),
        (Device, vec!["b"], Client, vec![on_b]),
        (Group, vec!["core"], Group, vec!["core"]),
        (Group, vec!["campus", "core"], Device, vec!["a", "b"]),
        (Group, vec!["core"], Device, vec!["a"]),
        (Group, vec!["core"], Interface, vec![A1, A2]),
        (Group, vec!["core"], Client, vec![on_a, in_core]),
        (Group, vec!["campus"], Client, vec![on_a, on_b]),
        (Client, vec![on_a, on_b], Client, vec![on_a, on_b]),
        (Client, vec![on_a], Interface, vec![A1]),
        (Client, vec![on_a, on_b], Device, vec!["a", "b"]),
        // It has no interface, so it stands for its group.
        (Client, vec![in_core], Device, vec!["a"]),
        (Client, vec![in_core], Interface, vec![A1, A2]),
        (Client, vec![in_core], Group, vec!["core"]),
        // It has no group, so it stands for those of its device.
        (Client, vec![on_a], Group, vec!["campus", "core"]),
        (Client, vec![on_b, in_core], Group, vec!["campus", "core"]),
        (Device, vec!["a", "b"], ExecuteOn::Global, vec!["fleet"]),
        (ExecuteOn::Global, vec!["fleet"], Device, vec![]),
    ];
    for (index, (from, given, run_on, expected)) in table.into_iter().enumerate() {
        let source = ElementSource::Of {
            entity_type: from,
            // Twice: there are no duplicates.
            ids: given.iter().chain(&given).map(|name| all[&from][*name]).collect(),
        };
        let new = new_execution(&index.to_string(), run_on);
        let started = start_of(place, &new, &source).await?;
        let found = elements(place, started.number).await?;
        ensure!(
            started.elements == found.len() as u64 && started.stage_elements <= started.elements,
            "{started:?}"
        );
        let names = targets(place, started.number, run_on).await?;
        ensure!(names == expected, "{from} {given:?} on {run_on}: {names:?}");
        for element in found {
            let hostname = element.hostname.as_ref().map(lockstep_protocol::Hostname::as_str);
            let kind = match element.entity_type {
                EntityType::Global => ExecuteOn::Global,
                EntityType::Group => Group,
                EntityType::Device => Device,
                // It has no interface, so no device is connected to for it.
                EntityType::Client => Client,
                other => anyhow::bail!("{other}"),
            };
            let of_device = (kind == Device).then_some(&*element.name);
            ensure!(hostname == of_device, "{element:?}");
            ensure!(element.entity == all[&kind][&element.name], "{element:?}");
        }
    }
    Ok(())
}

/// The names of the entities that the elements of an execution run on, of the kind that it runs on.
async fn targets(place: &Place, execution: u64, run_on: ExecuteOn) -> Result<Vec<String>> {
    const INTERFACES: &str = "JOIN interface ON interface.device_id = device.id";
    let of_devices = |name: &str, id: &str, joins: &str| {
        format!(
            "SELECT {name} FROM element JOIN device ON coalesce(device.controller_id, device.id) = element.entity_id {joins} \
             WHERE element.execution = {execution} AND element.entity_type = 'DEVICE' AND (element.whole OR EXISTS ( \
                SELECT 1 FROM execution_target WHERE execution = {execution} AND execution_target.entity_id = {id}))"
        )
    };
    let itself = format!("SELECT name FROM element WHERE execution = {execution}");
    let query = match run_on {
        ExecuteOn::Global | ExecuteOn::Group => itself,
        ExecuteOn::Device => of_devices("device.hostname", "device.id", ""),
        ExecuteOn::Interface => {
            let name = "device.hostname || ' ' || interface.name";
            of_devices(name, "interface.id", INTERFACES)
        }
        ExecuteOn::Client => {
            let clients = format!("{INTERFACES} JOIN client ON client.interface_id = interface.id");
            let skipped = format!("{itself} AND entity_type = 'CLIENT'");
            format!(
                "{} UNION {skipped}",
                of_devices("client.mac", "client.id", &clients)
            )
        }
    };
    let mut names = place.probe.texts(&query).await?;
    names.sort();
    Ok(names)
}

pub(crate) async fn all_the_fleet_and_failed_elements_are_sources(place: &Place) -> Result<()> {
    fleet(place).await?;
    for kind in ExecuteOn::ALL {
        let started = start(place, kind.as_str(), kind).await?;
        let names = targets(place, started.number, kind).await?;
        ensure!(ids(place, kind).await?.into_keys().eq(names), "{kind}");
    }
    let global = new_execution("fleet", ExecuteOn::Global);
    ensure!(start_of(place, &global, &ElementSource::Global).await?.elements == 1);

    create_all(place, &["c", "d"]).await?;
    let started = start(place, "devices", ExecuteOn::Device).await?;
    let all = elements(place, started.number).await?;
    let owner = owner("worker");
    let states = [
        ElementState::Failed,
        ElementState::Successful,
        ElementState::PostcheckFailed,
        ElementState::Successful,
    ];
    for (element, state) in all.iter().zip(states) {
        let begun = claim(&*place.store, &[element.number].into(), owner, LONG).await?;
        ensure!(begun.len() == 1);
        ensure!(
            finish(place, &[end(element.number, state)], Some(owner))
                .await?
                .len()
                == 1
        );
    }
    let again = new_execution("again", ExecuteOn::Device);
    let again = start_of(place, &again, &ElementSource::FailedOf(started.number)).await?;
    let names = targets(place, again.number, ExecuteOn::Device).await?;
    ensure!(names == ["a", "c"], "{names:?}");
    let nothing = new_execution("nothing", ExecuteOn::Device);
    let nothing = start_of(place, &nothing, &ElementSource::FailedOf(again.number)).await?;
    ensure!(nothing.elements == 0, "{nothing:?}");
    Ok(())
}

pub(crate) async fn an_id_without_an_entity_stores_nothing(place: &Place) -> Result<()> {
    fleet(place).await?;
    for kind in ExecuteOn::ALL {
        let known = ids(place, kind).await?.into_values().max().context("an entity")?;
        let source = ElementSource::Of {
            entity_type: kind,
            ids: [known, u64::MAX]
                .into_iter()
                .chain(known + 1..known + 30)
                .collect(),
        };
        let started = start_of(place, &new_execution("first", kind), &source).await?;
        let expected: Vec<u64> = match kind {
            ExecuteOn::Global => [u64::MAX].into_iter().chain(1..20).collect(),
            _ => (known + 1..known + 21).collect(),
        };
        ensure!(
            started.missing == expected && started.elements == 0,
            "{kind}: {started:?}"
        );
    }
    ensure!(place.probe.texts("SELECT id FROM execution").await?.is_empty());
    Ok(())
}

pub(crate) async fn the_first_elements_are_queued_and_the_others_wait(place: &Place) -> Result<()> {
    create_all(place, &["d", "b", "c", "a"]).await?;
    let new = new_execution("first", ExecuteOn::Device);
    let id = execution_id("first");
    let started = change!(place.store, |executions| {
        let scope = CapScope::Provider("ping".to_owned());
        executions
            .start(id, &new, &ElementSource::All, DEVICES, 3, &scope, LONG)
            .await?
    });
    let found = elements(place, started.number).await?;
    let waiting: Vec<Option<String>> = found
        .iter()
        .map(|element| element.waits_for.as_ref().map(ToString::to_string))
        .collect();
    ensure!(
        waiting == [None, None, None, Some("provider/ping".to_owned())],
        "{waiting:?}"
    );
    ensure!(found.iter().all(|element| element.state == ElementState::Pending));
    ensure!(found.is_sorted_by_key(|element| (element.number, element.name.clone())));
    ensure!(numbers(place, started.number).await?.len() == 4);
    Ok(())
}

pub(crate) async fn a_cancellation_that_came_first_is_remembered(place: &Place) -> Result<()> {
    let id = execution_id("first");
    for _ in 0..2 {
        change!(place.store, |executions| executions
            .cancel_unknown(id, at(), Some("anna"))
            .await?);
    }
    for (id, expected) in [(id, true), (execution_id("second"), false)] {
        let cancelled = change!(place.store, |executions| executions.was_cancelled(id).await?);
        ensure!(cancelled == expected);
    }
    Ok(())
}
