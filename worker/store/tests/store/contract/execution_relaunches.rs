//! What failed of an execution is run again, by a new execution.

use anyhow::{Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, Level};
use lockstep_store::{ElementEnd, ElementLevels, ElementRow, ElementSource, EntityResult};

use super::Place;
use super::execution_levels::{ALL, started};
use super::executions::{
    CLIENTS, LONG, claim, elements, end, entity_result, finish, fleet, ids, new_execution, owner, start_at,
};

/// Ends the elements of an execution, with results of entities.
async fn end_all(
    place: &Place,
    name: &str,
    run_on: ExecuteOn,
    levels: ElementLevels,
    state: impl Fn(&ElementRow) -> (ElementState, Vec<EntityResult>),
) -> Result<u64> {
    let started = start_at(place, &new_execution(name, run_on), &ElementSource::All, levels).await?;
    let me = owner("worker");
    for row in elements(place, started.number).await? {
        ensure!(claim(&*place.store, &[row.number].into(), me, LONG).await? == [row.number]);
        let (state, results) = state(&row);
        let end = ElementEnd {
            results,
            ..end(row.number, state)
        };
        ensure!(finish(place, &[end], Some(me)).await?.len() == 1);
    }
    Ok(started.number)
}

/// The elements of an execution that runs again what failed of another one.
async fn again(place: &Place, name: &str, run_on: ExecuteOn, failed: u64) -> Result<Vec<String>> {
    let name = format!("{name} again");
    started(place, &name, run_on, &ElementSource::FailedOf(failed), ALL).await
}

pub(crate) async fn what_failed_is_run_again_with_all_above_it(place: &Place) -> Result<()> {
    use ElementState::{Failed, Successful};
    use ExecuteOn::{Client, Device, Global, Group};
    fleet(place).await?;
    let fine = |_: &ElementRow| (Successful, Vec::new());
    let fails = |kind: EntityType, name: &'static str| {
        move |row: &ElementRow| {
            let failed = row.entity_type == kind && row.name == name;
            (if failed { Failed } else { Successful }, Vec::new())
        }
    };
    let a = format!("DEVICE a: a Ethernet1 {} Ethernet2…", CLIENTS[0]);
    let b = format!("DEVICE b: b Ethernet1 Ethernet2 {}…", CLIENTS[1]);
    let core = format!("GROUP core: {}…", CLIENTS[2]);

    let number = end_all(place, "fine", Device, ALL, fine).await?;
    ensure!(again(place, "fine", Device, number).await?.is_empty());
    for (name, run_on, kind, failed, expected) in [
        (
            "device",
            Device,
            EntityType::Device,
            "b",
            vec!["GLOBAL fleet", "GROUP campus…", &b],
        ),
        // All below the fleet, and all devices of a group.
        (
            "fleet",
            Device,
            EntityType::Global,
            "fleet",
            vec!["GLOBAL fleet", "GROUP campus…", "GROUP core…", &a, &b],
        ),
        (
            "group",
            Device,
            EntityType::Group,
            "core",
            vec!["GLOBAL fleet", "GROUP campus…", "GROUP core…", &a],
        ),
        (
            "groups",
            Group,
            EntityType::Device,
            "b",
            vec!["GLOBAL fleet", "GROUP campus…", &b],
        ),
        (
            "core",
            Group,
            EntityType::Group,
            "core",
            vec!["GLOBAL fleet", "GROUP campus…", &core, &a],
        ),
        (
            "everything",
            Global,
            EntityType::Device,
            "b",
            vec!["GLOBAL fleet", "GROUP campus…", &b],
        ),
        (
            "clients",
            Client,
            EntityType::Group,
            "core",
            vec![
                "GLOBAL fleet",
                "GROUP campus…",
                &core,
                "DEVICE a: a Ethernet1 02:00:00:00:00:01…",
            ],
        ),
    ] {
        let number = end_all(place, name, run_on, ALL, fails(kind, failed)).await?;
        let found = again(place, name, run_on, number).await?;
        ensure!(found == expected, "{name}: {found:?}");
    }
    Ok(())
}

/// Of an element with results, those entities are run again that failed, or that were skipped for a failure above.
pub(crate) async fn of_an_element_only_what_failed_is_run_again(place: &Place) -> Result<()> {
    use ElementState::{Failed, Filtered, PartialFailed, Successful};
    fleet(place).await?;
    let all = ids(place, ExecuteOn::Interface).await?;
    let [failed, skipped, done] = ["a Ethernet1", "b Ethernet1", "b Ethernet2"].map(|name| all[name]);
    let number = end_all(place, "interfaces", ExecuteOn::Interface, ALL, |row| {
        let results = match &*row.name {
            "a" => vec![entity_result(Level::Interface, failed, Failed)],
            "b" => vec![
                EntityResult {
                    reason: Some("parent-failed".to_owned()),
                    ..entity_result(Level::Interface, skipped, Filtered)
                },
                EntityResult {
                    reason: Some("not-wanted".to_owned()),
                    ..entity_result(Level::Interface, done, Filtered)
                },
            ],
            _ => Vec::new(),
        };
        let state = if results.is_empty() {
            Successful
        } else {
            PartialFailed
        };
        (state, results)
    })
    .await?;
    let found = again(place, "interfaces", ExecuteOn::Interface, number).await?;
    let first = format!("DEVICE a: a Ethernet1 {}…", CLIENTS[0]);
    let expected = [
        "GLOBAL fleet",
        "GROUP campus…",
        "GROUP core…",
        &first,
        "DEVICE b: b Ethernet1…",
    ];
    ensure!(found == expected, "{found:?}");
    Ok(())
}
