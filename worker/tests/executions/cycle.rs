//! The run cycle over two workers: order and barriers, results that cross workers, and who is skipped after a failure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use lockstep_execution::CycleStep;
use lockstep_protocol::ExecutionState::{PartialFailed, Successful};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, Level};
use serde_json::json;

use crate::cycle_provider::{Ran, StepAct};
use crate::fleet::{CLIENTS, site};
use crate::scene::{Scene, naming, on_both, task, unlimited};
use crate::store::Ground;

on_both! {
    the_fourteen_steps_run_in_their_order_over_two_workers,
    a_failed_step_stops_its_entity_and_what_is_below_it,
    a_device_in_two_groups_runs_when_one_of_them_failed,
    interfaces_stand_for_their_devices_and_devices_for_their_interfaces,
    items_that_the_first_step_found_are_elements_of_their_own,
    a_stage_without_elements_is_passed_over,
}

/// Where a step lies between barriers: 1 | items | 2, 3 | 4 to 11 | 12, 13 | 14.
fn stage(ran: &Ran) -> lockstep_protocol::Stage {
    ran.step.stage()
}

async fn the_fourteen_steps_run_in_their_order_over_two_workers(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    let id = scene
        .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    // The fleet, two groups, two switches and the controller.
    ensure!((row.counts.elements, row.counts.done) == (6, 6), "{row:?}");
    let ran = scene.cycle.ran();
    ensure!(ran.iter().all(|ran| ran.ended), "{ran:#?}");
    ensure!(ran.is_sorted_by_key(stage), "barriers: {ran:#?}");
    let devices = ["ap0", "ap1", "sw0", "sw1", "wlc"];
    let ports = ["ap0 e1", "ap0 e2", "sw0 e1", "sw0 e2", "sw1 e1", "sw1 e2"];
    let expected: [(CycleStep, &[&str]); 7] = [
        (CycleStep::PreRunGlobal, &["fleet"]),
        (CycleStep::PreRunOnDeviceGroup, &["one", "two"]),
        (CycleStep::PreRunOnClientOfLocation, &CLIENTS[2..]),
        (CycleStep::PreRunOnNornirDevice, &["sw0", "sw1", "wlc"]),
        (CycleStep::PreRunOnDevice, &devices),
        (CycleStep::PreRunOnInterface, &ports),
        (CycleStep::PreRunOnClientOfInterface, &CLIENTS[..2]),
    ];
    for (step, entities) in expected {
        ensure!(
            entity_names(&scene, step, entities),
            "{step:?} {:?}",
            scene.cycle.sorted(step)
        );
        let number = step.number().context("a number")?;
        let run = CycleStep::of_number(15 - number).context("a step")?;
        ensure!(
            entity_names(&scene, run, entities),
            "{run:?} {:?}",
            scene.cycle.sorted(run)
        );
    }
    // Each run step gets what its pre-run step returned, also across workers.
    for ran in ran.iter().filter(|ran| !ran.step.is_pre_run()) {
        let number = ran.step.number().context("a number")?;
        ensure!(
            ran.pre_run == json!({"step": 15 - number, "on": ran.entity}),
            "{ran:?}"
        );
    }
    parents_are_seen(&ran)?;
    children_are_seen(&ran)?;
    let results = scene.results_at(id, 0, Level::Interface).await?;
    ensure!(results.len() == 6, "{results:?}");
    for (name, result) in results {
        ensure!(result.state == ElementState::Successful, "{result:?}");
        ensure!(result.data == json!({"step": 9, "on": name}), "{result:?}");
    }
    first.stop().await?;
    second.stop().await
}

fn entity_names(scene: &Scene, step: CycleStep, entities: &[&str]) -> bool {
    let ran = scene.cycle.sorted(step);
    ran.len() == entities.len() && ran.iter().zip(entities).all(|(ran, name)| ran == name)
}

fn find<'a>(ran: &'a [Ran], step: CycleStep, entity: &str) -> Result<&'a Ran> {
    let mut found = ran.iter().filter(|ran| ran.step == step && ran.entity == entity);
    found.next().with_context(|| format!("{step:?} on {entity}"))
}

fn parents_are_seen(ran: &[Ran]) -> Result<()> {
    let client = find(ran, CycleStep::PreRunOnClientOfInterface, CLIENTS[1])?;
    let above: Vec<(Level, &str)> = client
        .above
        .iter()
        .map(|(level, name, _)| (*level, name.as_str()))
        .collect();
    let expected = [
        (Level::Global, "fleet"),
        (Level::Group, "two"),
        (Level::NornirDevice, "wlc"),
        (Level::Device, "ap0"),
    ];
    ensure!(
        above[..4] == expected && above[4].0 == Level::Interface && above.len() == 5,
        "{above:?}"
    );
    for (level, name, pre_run) in &client.above {
        ensure!(
            pre_run["on"].as_str().is_some_and(|on| on.ends_with(&**name)) && pre_run["step"].is_u64(),
            "{level:?} {name}: {pre_run}"
        );
    }
    let both = find(ran, CycleStep::PreRunOnDevice, "sw1")?;
    let groups = both.above.iter().filter(|(level, _, _)| *level == Level::Group);
    ensure!(
        groups.map(|(_, name, _)| name.as_str()).eq(["one", "two"]),
        "{both:?}"
    );
    let of_group = find(ran, CycleStep::RunOnClientOfLocation, CLIENTS[2])?;
    ensure!(of_group.above.len() == 2, "{of_group:?}");
    Ok(())
}

fn children_are_seen(ran: &[Ran]) -> Result<()> {
    let controller = find(ran, CycleStep::RunOnNornirDevice, "wlc")?;
    let names: BTreeSet<&str> = controller
        .below
        .iter()
        .map(|(_, name, _)| name.as_str())
        .collect();
    // All devices of the controller, its own interfaces and clients.
    ensure!(
        names.contains("ap0") && names.contains("ap1") && names.contains(CLIENTS[1]),
        "{names:?}"
    );
    ensure!(
        controller
            .below
            .iter()
            .all(|(_, _, state)| *state == ElementState::Successful),
        "{controller:?}"
    );
    let group = find(ran, CycleStep::RunOnDeviceGroup, "two")?;
    let devices: BTreeSet<&str> = group
        .results
        .iter()
        .filter(|(level, _, _)| *level == Level::Device)
        .map(|(_, name, _)| name.as_str())
        .collect();
    ensure!(
        devices == BTreeSet::from(["ap0", "ap1", "sw1", "wlc"]),
        "{devices:?}"
    );
    let fleet = find(ran, CycleStep::RunGlobal, "fleet")?;
    let count = |level: Level| fleet.results.iter().filter(|result| result.0 == level).count();
    ensure!(
        (
            count(Level::Group),
            count(Level::NornirDevice),
            count(Level::Device)
        ) == (2, 3, 5),
        "{fleet:?}"
    );
    Ok(())
}

/// What runs after each of the fourteen steps failed on one entity.
async fn a_failed_step_stops_its_entity_and_what_is_below_it(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    // step, entity; the number of entities on which each of the steps 1 to 14 runs
    let all = [1, 2, 2, 3, 5, 6, 2, 2, 6, 5, 3, 2, 2, 1];
    let table: [(u8, &str, [usize; 14]); 14] = [
        (1, "fleet", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, "one", [1, 2, 1, 3, 5, 6, 2, 2, 6, 5, 3, 1, 1, 1]),
        (3, CLIENTS[2], [1, 2, 2, 3, 5, 6, 2, 2, 6, 5, 3, 1, 2, 1]),
        (4, "wlc", [1, 2, 2, 3, 2, 4, 1, 1, 4, 2, 2, 2, 2, 1]),
        (5, "ap0", [1, 2, 2, 3, 5, 4, 1, 1, 4, 4, 3, 2, 2, 1]),
        (6, "ap0 e2", [1, 2, 2, 3, 5, 6, 1, 1, 5, 5, 3, 2, 2, 1]),
        (7, CLIENTS[1], [1, 2, 2, 3, 5, 6, 2, 1, 6, 5, 3, 2, 2, 1]),
        (8, CLIENTS[1], all),
        (9, "ap0 e1", all),
        (10, "ap0", all),
        (11, "wlc", all),
        (12, CLIENTS[3], all),
        (13, "two", all),
        (14, "fleet", all),
    ];
    for (number, entity, expected) in table {
        let step = CycleStep::of_number(number).context("a step")?;
        scene.cycle.clear();
        scene.cycle.set(step, entity, StepAct::Fail);
        let before = scene.cycle.ran().len();
        let id = scene
            .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
            .await?;
        let row = scene.ended(id).await?;
        ensure!(row.state != Successful, "{step:?}: {row:?}");
        ensure!(row.counts.failed == 1, "{step:?}: {row:?}");
        let ran = &scene.cycle.ran()[before..];
        let mut counts: BTreeMap<u8, usize> = (1..=14).map(|number| (number, 0)).collect();
        for ran in ran {
            *counts.entry(ran.step.number().context("a number")?).or_default() += 1;
        }
        let counts: Vec<usize> = counts.into_values().collect();
        ensure!(
            counts == expected,
            "{step:?} fails on {entity}: {counts:?}, not {expected:?}"
        );
        if number > 1 {
            ensure!(
                row.state == PartialFailed && row.counts.done == 5,
                "{step:?}: {row:?}"
            );
        } else {
            ensure!(row.counts.skipped == 5, "{row:?}");
            for element in scene
                .elements(id)
                .await?
                .values()
                .filter(|element| element.name != "fleet")
            {
                ensure!(
                    element.state == ElementState::Filtered
                        && element.reason.as_deref() == Some("parent-failed"),
                    "{element:?}"
                );
            }
        }
    }
    first.stop().await?;
    second.stop().await
}

async fn a_device_in_two_groups_runs_when_one_of_them_failed(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    scene
        .cycle
        .set(CycleStep::PreRunOnDeviceGroup, "one", StepAct::Panic);
    let worker = scene.worker()?;
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    let id = scene
        .run_on("all", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.failed == 1, "{row:?}");
    let ran = scene.cycle.ran();
    let device = find(&ran, CycleStep::PreRunOnDevice, "sw1")?;
    let groups: Vec<(&str, bool)> = device
        .above
        .iter()
        .filter(|(level, _, _)| *level == Level::Group)
        .map(|(_, name, pre_run)| (name.as_str(), pre_run.is_null()))
        .collect();
    ensure!(groups == [("one", true), ("two", false)], "{groups:?}");
    let group = &scene.elements(id).await?["one"];
    ensure!(
        group.state == ElementState::Failed && group.reason.as_deref() == Some("crashed"),
        "{group:?}"
    );
    worker.stop().await
}

/// The two examples of neops.
async fn interfaces_stand_for_their_devices_and_devices_for_their_interfaces(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene
        .save(task("device", "cycle", json!({"steps": [10], "tag": "device"})))
        .await?;
    let on_interfaces = json!({"steps": [9], "run_on": "INTERFACE", "tag": "interface"});
    scene.save(task("interface", "cycle", on_interfaces)).await?;
    let by_name = |task: &str, kind, names: &[&str]| lockstep_protocol::commands::TaskRequested {
        execute_on_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..naming(task, kind)
    };
    for (request, expected) in [
        (by_name("device", ExecuteOn::Interface, &["sw0 e1"]), vec!["sw0"]),
        (
            by_name("interface", ExecuteOn::Device, &["sw1"]),
            vec!["sw1 e1", "sw1 e2"],
        ),
        (
            by_name("interface", ExecuteOn::Interface, &["sw0 e2", "ap0 e1"]),
            vec!["ap0 e1", "sw0 e2"],
        ),
    ] {
        let before = scene.cycle.ran().len();
        let id = scene.accepted(request).await?;
        let row = scene.ended(id).await?;
        ensure!(row.state == Successful, "{row:?}");
        let mut ran: Vec<String> = scene.cycle.ran()[before..]
            .iter()
            .map(|ran| ran.entity.clone())
            .collect();
        ran.sort();
        ensure!(ran == expected, "{ran:?}");
        let elements = scene.elements(id).await?;
        ensure!(
            elements
                .values()
                .all(|element| element.entity_type == EntityType::Device),
            "{elements:?}"
        );
    }
    worker.stop().await
}

async fn items_that_the_first_step_found_are_elements_of_their_own(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.cycle.set(CycleStep::RunOnItem, "b", StepAct::Fail);
    let arguments = json!({"steps": [1, 15, 14], "run_on": "GLOBAL", "items": ["a", "b", "c"]});
    scene.save(task("items", "cycle", arguments)).await?;
    let id = scene
        .run_on("items", ExecuteOn::Global, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.elements == 4, "{row:?}");
    let ran = scene.cycle.ran();
    let steps: Vec<CycleStep> = ran.iter().map(|ran| ran.step).collect();
    let (global, item) = (CycleStep::PreRunGlobal, CycleStep::RunOnItem);
    ensure!(
        steps == [global, item, item, item, CycleStep::RunGlobal],
        "{steps:?}"
    );
    let mut results = ran[4].results.clone();
    results.sort_by(|one, other| one.1.cmp(&other.1));
    let expected = [
        ("a", ElementState::Successful),
        ("b", ElementState::Failed),
        ("c", ElementState::Successful),
    ];
    let expected = expected.map(|(name, state)| (Level::Item, name.to_owned(), state));
    ensure!(results == expected, "{results:?}");
    first.stop().await?;
    second.stop().await
}

async fn a_stage_without_elements_is_passed_over(ground: Ground) -> Result<()> {
    // No device is in a group, and there is none.
    let mut fleet = site();
    fleet.groups.clear();
    fleet.clients.retain(|client| client.group.is_none());
    fleet
        .devices
        .retain(|device| !matches!(device, lockstep_store::DeviceEffect::Join { .. }));
    let scene = Scene::with(ground, fleet).await?;
    let worker = scene.worker()?;
    for (name, steps) in [
        ("between", json!([1, 2, 10, 13])),
        ("around", json!([2, 10, 13])),
        ("only", json!([2, 13])),
    ] {
        scene.save(task(name, "cycle", json!({ "steps": steps }))).await?;
        let id = scene
            .run_on(name, ExecuteOn::Device, Vec::new(), unlimited())
            .await?;
        let row = scene.ended(id).await?;
        let expected = match name {
            "between" => 4,
            "around" => 3,
            _ => 0,
        };
        ensure!(
            row.counts.elements == expected && row.counts.done == expected,
            "{name}: {row:?}"
        );
    }
    ensure!(scene.cycle.entities(CycleStep::RunOnDevice).len() == 10);
    worker.stop().await
}
