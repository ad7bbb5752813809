//! Who executions run for, and what the audit keeps about the commands that began them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lockstep_protocol::commands::{
    ExecutionPauseRequested, ExecutionRelaunchRequested, ExecutionsStopRequested, ScheduleSaveRequested,
    SyncRequested, TaskRequested,
};
use lockstep_protocol::results::CommandApplied;
use lockstep_protocol::{InboxState, Message, WorkResult};
use lockstep_store::{AuditEntry, AuditQuery, ExecutionQuery, ExecutionRow, Keys};
use lockstep_testbed::wait;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::scene::{PATIENCE, Scene, message_by, now, on_both, outgoing, task, unlimited};
use crate::store::Ground;

on_both! {
    an_execution_runs_to_the_end_for_whoever_caused_it,
    a_command_that_comes_again_leaves_one_entry,
}

/// Asks for an execution as this person, and waits for its end.
async fn begun(scene: &Scene, by: &str, request: impl Into<Message>) -> Result<Uuid> {
    let WorkResult::ExecutionAccepted(accepted) = scene.ask_by(by, request).await? else {
        bail!("it is not accepted");
    };
    ensure!(accepted.actor.as_deref() == Some(by), "{accepted:?}");
    scene.ended(accepted.execution).await?;
    Ok(accepted.execution)
}

fn sync(data: Value) -> SyncRequested {
    serde_json::from_value(data).expect("a request")
}

async fn executions(scene: &Scene, parent: Option<u64>) -> Result<Vec<ExecutionRow>> {
    let query = ExecutionQuery {
        parent,
        limit: 100,
        ..ExecutionQuery::default()
    };
    Ok(scene.store.executions.executions(&query).await?)
}

/// Lets a schedule of this person fire, and waits for the end of its execution.
async fn scheduled(scene: &Scene, by: &str, request: TaskRequested) -> Result<Uuid> {
    let schedule = ScheduleSaveRequested {
        name: "each minute".to_owned(),
        cron: "* * * * *".to_owned(),
        time_zone: None,
        task: request,
        enabled: true,
    };
    let saved = scene.ask_by(by, schedule).await?;
    let WorkResult::CommandApplied(CommandApplied {
        number: Some(number), ..
    }) = saved
    else {
        bail!("{saved:?}");
    };
    // It missed the last instant, ten seconds ago.
    let instant = now() - Duration::from_secs(10);
    let (facts, mut transaction) = scene.store.unit_of_work.begin(&[], &Keys::default()).await?;
    transaction
        .executions()
        .advance_schedule(number, None, Some(instant))
        .await?;
    transaction.commit(&facts).await?;
    let found = wait::until("the execution of the schedule", PATIENCE, async || {
        let found = executions(scene, None).await.unwrap_or_default();
        found
            .into_iter()
            .find(|row| row.request.actor.as_deref() == Some(by))
    })
    .await?;
    scene.ended(found.id).await?;
    Ok(found.id)
}

async fn entries(scene: &Scene, principal: &str) -> Result<Vec<AuditEntry>> {
    let query = AuditQuery {
        principal: Some(principal.to_owned()),
        limit: 100,
        ..AuditQuery::default()
    };
    Ok(scene.store.audit.audit_entries(&query).await?)
}

async fn an_execution_runs_to_the_end_for_whoever_caused_it(ground: Ground) -> Result<()> {
    const TASK: &str = "lockstep.task.requested";
    const SYNC: &str = "lockstep.sync.requested";

    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let steps = json!({"steps": [{"name": "only", "task": "once"}]});
    scene.save(task("flow", "workflow", steps)).await?;
    let request = scene.request("repeatable", &[0], unlimited()).await?;
    let flow = TaskRequested {
        task: "flow".into(),
        arguments: Value::Null,
        ..request.clone()
    };

    let direct = begun(&scene, "carol", request.clone()).await?;
    let again = ExecutionRelaunchRequested {
        execution: direct,
        dry_run: None,
        arguments: Map::new(),
    };
    let again = begun(&scene, "frank", again).await?;
    let workflow = begun(&scene, "erin", flow).await?;
    let number = scene.execution(workflow).await?.number;
    let step = executions(&scene, Some(number)).await?.pop().context("a step")?;
    let plan = begun(&scene, "anna", sync(json!({"targets": "all", "resync": true}))).await?;
    let applied = begun(&scene, "grace", sync(json!({"plan": plan, "dry_run": false}))).await?;
    let back = begun(&scene, "heidi", sync(json!({"rollback": applied}))).await?;
    let scheduled = scheduled(&scene, "dave", request).await?;

    let user = Some(scene.bus.user());
    let table = [
        // what begins an execution, the execution, its actor, its message, the broker user of that
        ("a request", direct, "carol", Some((TASK, user))),
        (
            "a relaunch",
            again,
            "frank",
            Some(("lockstep.execution.relaunch-requested", user)),
        ),
        ("a workflow", workflow, "erin", Some((TASK, user))),
        ("a step of a workflow", step.id, "erin", None),
        ("a plan", plan, "anna", Some((SYNC, user))),
        ("an application of a plan", applied, "grace", Some((SYNC, user))),
        ("the way back", back, "heidi", Some((SYNC, user))),
        ("a schedule", scheduled, "dave", Some((TASK, None))),
    ];
    for (what, execution, by, message) in table {
        let row = scene.execution(execution).await?;
        ensure!(row.request.actor.as_deref() == Some(by), "{what}: {row:?}");
        let id = execution.to_string();
        let told: Vec<AuditEntry> = entries(&scene, by)
            .await?
            .into_iter()
            .filter(|found| {
                found
                    .entry
                    .detail
                    .as_deref()
                    .is_some_and(|detail| detail.contains(&id))
            })
            .collect();
        let found: Vec<(&str, Option<&str>)> = told
            .iter()
            .map(|found| {
                let decision = found.decision.as_ref();
                let kind = found.entry.message_type.as_deref().unwrap_or_default();
                (
                    kind,
                    decision.and_then(|decision| decision.broker_user.as_deref()),
                )
            })
            .collect();
        ensure!(found == Vec::from_iter(message), "{what}: {told:?}");
        let is_applied = |found: &AuditEntry| {
            let decision = found.decision.as_ref();
            decision.is_some_and(|decision| decision.state == InboxState::Applied)
        };
        ensure!(told.iter().all(is_applied), "{what}: {told:?}");
    }
    worker.stop().await
}

async fn a_command_that_comes_again_leaves_one_entry(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    let stop = message_by(
        "carol",
        ExecutionsStopRequested {
            note: Some("storm".to_owned()),
        },
    );
    scene.bus.publish(vec![outgoing(&stop), outgoing(&stop)]).await?;
    scene.answer(&stop).await?;
    worker.kill();

    let worker = scene.worker()?;
    scene.bus.publish(vec![outgoing(&stop)]).await?;
    let unknown = ExecutionPauseRequested {
        execution: Uuid::nil(),
    };
    let refused = scene.ask_by("carol", unknown).await?;
    ensure!(
        matches!(refused, WorkResult::MessageRejected(ref rejected) if rejected.refused),
        "{refused:?}"
    );
    worker.stop().await?;
    let entries = entries(&scene, "carol").await?;
    let [refused, applied] = &entries[..] else {
        bail!("{entries:?}");
    };
    ensure!(
        applied.entry.reason.as_deref() == Some("storm") && applied.entry.message == Some(stop.identity),
        "{applied:?}"
    );
    let told = [applied, refused].map(|entry| {
        let decision = entry.decision.as_ref();
        decision.map(|decision| (decision.state, decision.code.as_deref()))
    });
    ensure!(
        told == [
            Some((InboxState::Applied, None)),
            Some((InboxState::Refused, Some("unknown-execution")))
        ],
        "{entries:?}"
    );
    Ok(())
}
