//! Requests of syncs: which devices they select, what is rejected, and what follows from a plan.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use lockstep_intent::fleet::selects;
use lockstep_protocol::ExecutionState::Aborted;
use lockstep_protocol::commands::{ExecutionRelaunchRequested, SyncRequested, SyncTargets};
use lockstep_protocol::{
    Cause, Code, DeviceState, DeviceType, ElementState, Envelope, SyncTarget, WorkResult,
};
use lockstep_store::{
    Attributes, DeviceEffect, DeviceQuery, Effects, ElementRow, GroupRow, RunningElement, SyncDiff,
};
use lockstep_testbed::wait;
use lockstep_worker::executions::SyncOptions;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, now, on_both, outgoing, source};
use crate::store::Ground;

on_both! {
    a_sync_selects_by_the_same_rules_as_the_console,
    what_cannot_be_meant_is_rejected,
    a_plan_is_applied_once_and_only_with_what_it_found,
    a_message_that_comes_again_begins_one_sync,
}

fn request(data: Value) -> SyncRequested {
    serde_json::from_value(data).expect("a request")
}

/// Devices of two types in every state, synchronized and not, half of them in a group.
fn fleet() -> Result<Effects> {
    let group = lockstep_protocol::GroupName::try_from("edge".to_owned())?;
    let mut devices = Vec::new();
    for (index, state) in DeviceState::ALL.iter().enumerate() {
        for synchronized in [true, false] {
            for device_type in [DeviceType::ACCESS, DeviceType::CORE] {
                let name = format!("{device_type}{index}{synchronized}").to_lowercase();
                let hostname: lockstep_protocol::Hostname = name.parse()?;
                devices.push(DeviceEffect::Create {
                    hostname: hostname.clone(),
                    attributes: Attributes::of(device_type),
                    state: *state,
                    version: None,
                });
                if !synchronized {
                    devices.push(DeviceEffect::Unsynchronize {
                        hostname: hostname.clone(),
                        cause: Cause::InterfaceUpdated,
                    });
                }
                if index % 2 == 0 || synchronized {
                    devices.push(DeviceEffect::Join {
                        hostname,
                        groups: [group.clone()].into(),
                    });
                }
            }
        }
    }
    let groups = vec![GroupRow {
        name: group,
        location: None,
    }];
    Ok(Effects {
        devices,
        groups,
        ..Effects::default()
    })
}

async fn accepted(scene: &Scene, data: Value) -> Result<Uuid> {
    match scene.ask(request(data)).await? {
        WorkResult::ExecutionAccepted(accepted) => Ok(accepted.execution),
        other => bail!("{other:?}"),
    }
}

async fn selected(scene: &Scene, data: Value) -> Result<BTreeSet<String>> {
    let id = accepted(scene, data).await?;
    scene.ended(id).await?;
    Ok(scene.elements(id).await?.into_keys().collect())
}

async fn a_sync_selects_by_the_same_rules_as_the_console(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, fleet()?).await?;
    let worker = scene.worker()?;
    let targets = [
        ("\"all\"", SyncTarget::All),
        (
            "{\"group\": \"edge\"}",
            SyncTarget::Group("edge".to_owned().try_into()?),
        ),
        (
            "{\"group\": \"DEFAULT\"}",
            SyncTarget::Group("DEFAULT".to_owned().try_into()?),
        ),
        (
            "{\"device_type\": \"CORE\"}",
            SyncTarget::DeviceType(DeviceType::CORE),
        ),
        (
            "{\"device_type\": \"DIST\"}",
            SyncTarget::DeviceType(DeviceType::DIST),
        ),
    ];
    for (json, target) in targets {
        for resync in [false, true] {
            let query = DeviceQuery {
                device_type: match &target {
                    SyncTarget::DeviceType(device_type) => Some(device_type.clone()),
                    _ => None,
                },
                group: match &target {
                    SyncTarget::Group(group) => Some(group.clone()),
                    _ => None,
                },
                limit: 1000,
                ..DeviceQuery::default()
            };
            let devices = scene.store.fleet.devices(&query).await?;
            let expected = devices.into_iter().filter(|device| {
                let (state, synchronized) = (device.lifecycle.state, device.sync.synchronized());
                selects(&target, resync, state, synchronized).is_ok()
            });
            let expected: BTreeSet<String> = expected.map(|device| device.hostname.to_string()).collect();
            let targets: Value = serde_json::from_str(json)?;
            let found = selected(&scene, json!({"targets": targets, "resync": resync})).await?;
            ensure!(found == expected, "{json} {resync}: {found:?} {expected:?}");
            // Other actions ignore the flag.
            let drift = selected(&scene, json!({"targets": targets, "action": "drift"})).await?;
            ensure!(resync || drift.is_superset(&expected), "{drift:?}");
            ensure!(!resync || drift == expected, "{drift:?}");
        }
    }
    let managed = DeviceState::ALL
        .iter()
        .position(|state| *state == DeviceState::Managed);
    let managed = managed.context("MANAGED")?;
    for synchronized in [true, false] {
        let name = format!("access{managed}{synchronized}");
        let found = selected(&scene, json!({"targets": {"hostname": name}})).await?;
        ensure!(
            found == [name].into(),
            "a named device is contacted whatever its flag"
        );
    }
    worker.stop().await
}

async fn what_cannot_be_meant_is_rejected(ground: Ground) -> Result<()> {
    let mut scene = Scene::with(ground, fleet()?).await?;
    scene.options.sync = SyncOptions {
        approval_required: true,
        ..SyncOptions::default()
    };
    let worker = scene.worker()?;
    let unmanaged = DeviceState::ALL
        .iter()
        .position(|state| *state == DeviceState::Unmanaged);
    let host = format!("access{}true", unmanaged.context("UNMANAGED")?);
    let unknown = Uuid::nil();
    let drift = accepted(&scene, json!({"targets": {"group": "edge"}, "action": "drift"})).await?;
    scene.ended(drift).await?;
    let table = [
        (
            json!({"targets": {"hostname": host}}),
            Code::NotManaged,
            "$.data.targets.hostname",
        ),
        (
            json!({"targets": {"hostname": "nobody"}}),
            Code::UnknownDevice,
            "$.data.targets.hostname",
        ),
        (
            json!({"targets": {"device_type": "LEAF"}}),
            Code::UnknownDeviceType,
            "$.data.targets.device_type",
        ),
        (
            json!({"targets": {"group": "nowhere"}}),
            Code::WrongEntity,
            "$.data.targets.group",
        ),
        (
            json!({"targets": "all", "dry_run": false}),
            Code::PlanRequired,
            "$.data.dry_run",
        ),
        (
            json!({"plan": unknown, "dry_run": false}),
            Code::UnknownExecution,
            "$.data.plan",
        ),
        (
            json!({"plan": drift, "dry_run": false}),
            Code::NotAPlan,
            "$.data.plan",
        ),
        (
            json!({"rollback": unknown}),
            Code::UnknownExecution,
            "$.data.rollback",
        ),
        (json!({"rollback": drift}), Code::InvalidData, "$.data.rollback"),
        (json!({}), Code::InvalidData, "$.data"),
    ];
    for (data, code, place) in table {
        let answer = scene.ask(request(data.clone())).await?;
        let WorkResult::MessageRejected(rejected) = &answer else {
            bail!("{data}: {answer:?}");
        };
        let found = (rejected.code, rejected.place.as_deref());
        ensure!(found == (code, Some(place)), "{data}: {rejected:?}");
    }
    // What nobody approved is not run again either, and a sync is no task.
    let task = scene.ask(crate::scene::task("mine", "sync", Value::Null)).await?;
    ensure!(
        matches!(&task, WorkResult::MessageRejected(rejected) if rejected.code == Code::InvalidArguments),
        "{task:?}"
    );
    let again = ExecutionRelaunchRequested {
        execution: drift,
        dry_run: Some(false),
        arguments: serde_json::Map::new(),
    };
    let again = scene.ask(again).await?;
    ensure!(matches!(again, WorkResult::MessageRejected(_)), "{again:?}");
    worker.stop().await
}

/// Writes the difference of an element that hangs, as its provider would.
async fn write_diff(scene: &Scene, element: &ElementRow, text: &str, owner: Uuid) -> Result<()> {
    let run = RunningElement {
        element: element.number,
        attempt: element.attempts,
        owner: lockstep_store::ElementOwner(owner),
    };
    let diff = SyncDiff {
        text: text.to_owned(),
        masked: text.to_owned(),
        hash: format!("hash of {text}"),
        score: 1.0,
        rendered: None,
    };
    ensure!(scene.store.syncs.write_diff(&run, &diff).await?, "{run:?}");
    Ok(())
}

async fn a_plan_is_applied_once_and_only_with_what_it_found(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 3).await?;
    for number in 0..3 {
        scene.script.set(&format!("sw{number}"), Act::Report);
    }
    let worker = scene.worker()?;
    let plan = accepted(&scene, json!({"targets": "all", "resync": true, "force": true})).await?;
    scene.running(3).await?;
    for (name, element) in scene.elements(plan).await? {
        let owner = scene.script.owner(&name).context("an owner")?;
        let text = if name == "sw2" { "" } else { "+ x" };
        write_diff(&scene, &element, text, owner).await?;
    }
    let early = scene
        .ask(request(json!({"plan": plan, "dry_run": false})))
        .await?;
    ensure!(
        matches!(&early, WorkResult::MessageRejected(rejected) if rejected.code == Code::NotAPlan),
        "{early:?}"
    );
    wait::until("the end of the plan", PATIENCE, async || {
        scene.script.gate.notify_one();
        let row = scene.execution(plan).await.map_err(|error| error.to_string())?;
        if row.state.is_final() {
            Ok(())
        } else {
            Err(format!("{row:?}"))
        }
    })
    .await?;
    let row = scene.ended(plan).await?;
    ensure!(row.counts.done == 3, "{row:?}");
    for number in 0..3 {
        scene.script.set(&format!("sw{number}"), Act::Now);
    }
    scene.script.set("sw1", Act::Fail);
    let apply = accepted(&scene, json!({"plan": plan, "dry_run": false, "note": "CHG1"})).await?;
    let row = scene.ended(apply).await?;
    let arguments = &row.request.task_arguments;
    ensure!(
        arguments["force"] == true && arguments["note"] == "CHG1",
        "{arguments}"
    );
    ensure!(!row.request.requested.dry_run && row.request.actor.is_some());
    let elements = scene.elements(apply).await?;
    ensure!(
        elements.keys().collect::<Vec<_>>() == ["sw0", "sw1"],
        "{elements:?}"
    );
    let (binding, _) = scene
        .store
        .syncs
        .binding(elements["sw0"].number)
        .await?
        .context("a binding")?;
    ensure!(binding.approved.as_deref() == Some("hash of + x"), "{binding:?}");
    let told = scene.elements_finished(apply);
    ensure!(
        told.values()
            .any(|finished| finished.diff.as_deref() == Some("+ x") && finished.change_score == Some(7)),
        "{told:?}"
    );
    // What failed runs again, bound to the same plan.
    scene.script.set("sw1", Act::Now);
    let again = ExecutionRelaunchRequested {
        execution: apply,
        dry_run: None,
        arguments: serde_json::Map::new(),
    };
    let WorkResult::ExecutionAccepted(again) = scene.ask(again).await? else {
        bail!("it is not run again");
    };
    scene.ended(again.execution).await?;
    let elements = scene.elements(again.execution).await?;
    ensure!(elements["sw1"].state == ElementState::Successful && elements.len() == 1);
    let bound = scene.store.syncs.binding(elements["sw1"].number).await?;
    ensure!(bound.is_some_and(|(bound, _)| bound.approved.is_some()));
    // Nothing was pushed, so nothing can be taken back.
    let back = accepted(&scene, json!({"rollback": apply})).await?;
    let row = scene.ended(back).await?;
    ensure!(row.state == Aborted && row.counts.elements == 0, "{row:?}");
    worker.stop().await
}

async fn a_message_that_comes_again_begins_one_sync(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 2).await?;
    let worker = scene.worker()?;
    let targets = Some(SyncTargets::All);
    let envelope = Envelope::new(
        source(),
        now(),
        SyncRequested {
            targets,
            ..request(json!({"targets": "all", "resync": true}))
        },
    );
    scene
        .bus
        .publish(vec![outgoing(&envelope), outgoing(&envelope)])
        .await?;
    let WorkResult::ExecutionAccepted(accepted) = scene.answer(&envelope).await? else {
        bail!("it is not accepted");
    };
    scene.ended(accepted.execution).await?;
    scene.bus.publish(vec![outgoing(&envelope)]).await?;
    let other = self::accepted(&scene, json!({"targets": {"hostname": "sw0"}})).await?;
    scene.ended(other).await?;
    let query = lockstep_store::ExecutionQuery {
        limit: 10,
        ..lockstep_store::ExecutionQuery::default()
    };
    let executions = scene.store.executions.executions(&query).await?;
    ensure!(executions.len() == 2, "{executions:?}");
    worker.stop().await
}
