//! Tasks with arguments of a run of their own.

use anyhow::{Result, ensure};
use lockstep_protocol::ExecutionState::{Failed, Successful};
use lockstep_protocol::WorkResult;
use lockstep_protocol::commands::{ExecutionRelaunchRequested, TaskRequested, TaskSaveRequested};
use lockstep_protocol::results::MessageRejected;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{Scene, on_both, task, unlimited};
use crate::store::Ground;

on_both! {
    a_run_is_checked_with_the_schema_that_the_task_had,
    a_task_with_a_wrong_schema_is_not_saved,
}

/// A task whose runs take what this schema says.
fn asking(own: &Value) -> TaskSaveRequested {
    TaskSaveRequested {
        run_input_json_schema: own.as_object().cloned(),
        ..task("asking", "repeatable", Value::Null)
    }
}

fn rejected(result: WorkResult) -> Result<MessageRejected> {
    match result {
        WorkResult::MessageRejected(rejected) => Ok(rejected),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn a_run_is_checked_with_the_schema_that_the_task_had(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 2).await?;
    let worker = scene.worker()?;
    let own = json!({
        "type": "object",
        "required": ["vlan"],
        "properties": {"vlan": {"type": "integer", "maximum": 4094}, "mode": {"type": "string", "default": "trunk"}},
    });
    scene.save(asking(&own)).await?;
    let request = |arguments: Value| async {
        let request = scene.request("asking", &[0, 1], unlimited()).await?;
        Ok::<_, anyhow::Error>(TaskRequested { arguments, ..request })
    };
    for (arguments, place) in [
        (Value::Null, "$.data.arguments"),
        (json!({"vlan": 5000}), "$.data.arguments.vlan"),
        (json!({"vlan": 7, "count": "x"}), "$.data.arguments.count"),
    ] {
        let rejected = rejected(scene.ask(request(arguments).await?).await?)?;
        ensure!(rejected.place.as_deref() == Some(place), "{rejected:?}");
    }

    scene.script.set("sw1", Act::Fail);
    let id = scene.accepted(request(json!({"vlan": 7})).await?).await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.request.requested.arguments == json!({"vlan": 7, "mode": "trunk"}),
        "{row:?}"
    );

    // The task changes; the execution is still one of the task that it was.
    scene
        .save(asking(
            &json!({"type": "object", "properties": {"vlan": {"type": "string"}}}),
        ))
        .await?;
    let relaunch = |id: Uuid, vlan: Value| ExecutionRelaunchRequested {
        execution: id,
        arguments: [("vlan".to_owned(), vlan)].into_iter().collect(),
        dry_run: None,
    };
    for (vlan, place) in [
        (json!("7"), "$.data.arguments.vlan"),
        (Value::Null, "$.data.arguments"),
    ] {
        let rejected = rejected(scene.ask(relaunch(id, vlan)).await?)?;
        ensure!(rejected.place.as_deref() == Some(place), "{rejected:?}");
    }
    let again = async |id: Uuid, vlan: u32| match scene.ask(relaunch(id, vlan.into())).await? {
        WorkResult::ExecutionAccepted(accepted) => scene.ended(accepted.execution).await,
        other => anyhow::bail!("{other:?}"),
    };
    let row = again(id, 8).await?;
    ensure!(row.state == Failed && row.counts.elements == 1, "{row:?}");
    ensure!(
        row.request.requested.arguments == json!({"vlan": 8, "mode": "trunk"}),
        "{row:?}"
    );
    // And so is the relaunch of a relaunch.
    let refused = rejected(scene.ask(relaunch(row.id, json!(5000))).await?)?;
    ensure!(
        refused.place.as_deref() == Some("$.data.arguments.vlan"),
        "{refused:?}"
    );
    scene.script.set("sw1", Act::Now);
    let row = again(row.id, 9).await?;
    ensure!(row.state == Successful, "{row:?}");
    worker.stop().await
}

async fn a_task_with_a_wrong_schema_is_not_saved(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    for (own, place) in [
        (json!({"type": "array"}), ".type"),
        (
            json!({"type": "object", "properties": {"count": {"type": "string"}}}),
            ".properties.count",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}}),
            ".properties.a.$ref",
        ),
        (json!({"type": "object", "description": "x".repeat(65_536)}), ""),
    ] {
        let rejected = rejected(scene.ask(asking(&own)).await?)?;
        let place = format!("$.data.run_input_json_schema{place}");
        ensure!(rejected.place.as_deref() == Some(&*place), "{rejected:?}");
    }
    worker.stop().await
}
