//! Approvals of plans: who gives one, and which plans are applied.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lockstep_protocol::commands::{
    ExecutionApproveRequested, ExecutionRelaunchRequested, ExecutionWithdrawApprovalRequested, SyncRequested,
};
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Code, Message, WorkResult};
use lockstep_store::PlanApproval;
use lockstep_worker::executions::SyncOptions;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{Scene, message_by, on_both, outgoing};
use crate::store::Ground;

on_both! {
    a_plan_is_applied_when_another_person_has_approved_it,
    what_is_no_plan_of_somebody_else_is_not_approved,
    an_approval_that_expired_or_was_withdrawn_does_not_count,
    a_relaunch_and_the_way_back_need_an_approval_as_well,
    an_approval_that_comes_again_is_one_approval,
}

fn required() -> SyncOptions {
    SyncOptions {
        approval_required: true,
        persons: [("anna-amqp".to_owned(), "anna".to_owned())]
            .into_iter()
            .collect(),
        ..SyncOptions::default()
    }
}

async fn scene(ground: Ground) -> Result<Scene> {
    let mut scene = Scene::new(ground, 2).await?;
    scene.options.sync = required();
    Ok(scene)
}

fn sync(data: Value) -> Result<SyncRequested> {
    Ok(serde_json::from_value(data)?)
}

fn approval(plan: Uuid) -> ExecutionApproveRequested {
    ExecutionApproveRequested {
        execution: plan,
        note: Some("CHG-1".to_owned()),
    }
}

fn apply(plan: Uuid) -> Result<SyncRequested> {
    sync(json!({"plan": plan, "dry_run": false}))
}

/// A plan by this sender, which ended.
async fn plan(scene: &Scene, by: &str) -> Result<Uuid> {
    let request = sync(json!({"targets": "all", "resync": true}))?;
    match scene.ask_by(by, request).await? {
        WorkResult::ExecutionAccepted(accepted) => {
            scene.ended(accepted.execution).await?;
            Ok(accepted.execution)
        }
        other => bail!("{other:?}"),
    }
}

fn rejection(result: WorkResult) -> Result<MessageRejected> {
    match result {
        WorkResult::MessageRejected(rejected) => Ok(rejected),
        other => bail!("{other:?}"),
    }
}

async fn is_rejected(
    scene: &Scene,
    by: &str,
    request: impl Into<Message>,
    code: Code,
    place: &str,
) -> Result<()> {
    let rejected = rejection(scene.ask_by(by, request).await?)?;
    let found = (rejected.code, rejected.place.as_deref());
    ensure!(found == (code, Some(place)), "{by}: {rejected:?}");
    Ok(())
}

async fn is_applied(scene: &Scene, by: &str, request: impl Into<Message>) -> Result<String> {
    match scene.ask_by(by, request).await? {
        WorkResult::CommandApplied(applied) if applied.changed => Ok(applied.message),
        other => bail!("{other:?}"),
    }
}

async fn is_accepted(scene: &Scene, by: &str, request: impl Into<Message>) -> Result<Uuid> {
    match scene.ask_by(by, request).await? {
        WorkResult::ExecutionAccepted(accepted) => {
            scene.ended(accepted.execution).await?;
            Ok(accepted.execution)
        }
        other => bail!("{other:?}"),
    }
}

async fn approvals(scene: &Scene, plan: Uuid) -> Result<Vec<PlanApproval>> {
    let number = scene.execution(plan).await?.number;
    Ok(scene.store.plans.approvals(&[number].into()).await?)
}

async fn a_plan_is_applied_when_another_person_has_approved_it(ground: Ground) -> Result<()> {
    let scene = scene(ground).await?;
    let worker = scene.worker()?;
    let plan = plan(&scene, "anna").await?;
    let not_approved = (Code::NotApproved, "$.data.plan");
    is_rejected(&scene, "anna", apply(plan)?, not_approved.0, not_approved.1).await?;

    is_applied(&scene, "berta", approval(plan)).await?;
    is_applied(&scene, "carla", approval(plan)).await?;
    let found = approvals(&scene, plan).await?;
    let by: Vec<&str> = found.iter().map(|approval| approval.by.as_str()).collect();
    ensure!(by == ["berta", "carla"], "{found:?}");
    let hours = found[0].expires_at.duration_since(found[0].at).as_hours();
    ensure!(
        hours == 8 && found[0].note.as_deref() == Some("CHG-1"),
        "{found:?}"
    );

    // Berta does not apply what she alone approved; with a second approval she does.
    let message = is_applied(
        &scene,
        "carla",
        ExecutionWithdrawApprovalRequested { execution: plan },
    )
    .await?;
    ensure!(message.contains("withdrawn"), "{message}");
    is_rejected(&scene, "berta", apply(plan)?, not_approved.0, not_approved.1).await?;
    is_applied(&scene, "carla", approval(plan)).await?;
    is_accepted(&scene, "berta", apply(plan)?).await?;
    is_accepted(&scene, "anna", apply(plan)?).await?;
    worker.stop().await
}

async fn what_is_no_plan_of_somebody_else_is_not_approved(ground: Ground) -> Result<()> {
    const PLACE: &str = "$.data.execution";

    let scene = scene(ground).await?;
    let worker = scene.worker()?;
    let done = plan(&scene, "anna").await?;
    for own in ["anna", "anna-amqp"] {
        is_rejected(&scene, own, approval(done), Code::SelfApproval, PLACE).await?;
    }
    is_rejected(
        &scene,
        "berta",
        approval(Uuid::nil()),
        Code::UnknownExecution,
        PLACE,
    )
    .await?;
    let drift = sync(json!({"targets": "all", "action": "drift"}))?;
    let drift = is_accepted(&scene, "anna", drift).await?;
    is_rejected(&scene, "berta", approval(drift), Code::NotAPlan, PLACE).await?;

    scene.script.set("sw0", Act::Hang);
    let request = sync(json!({"targets": "all", "resync": true}))?;
    let WorkResult::ExecutionAccepted(open) = scene.ask_by("anna", request).await? else {
        bail!("it is not accepted");
    };
    is_rejected(&scene, "berta", approval(open.execution), Code::NotAPlan, PLACE).await?;
    ensure!(approvals(&scene, done).await?.is_empty());
    worker.kill();
    Ok(())
}

async fn an_approval_that_expired_or_was_withdrawn_does_not_count(ground: Ground) -> Result<()> {
    let scene = scene(ground).await?;
    let mut options = scene.options.clone();
    options.sync.approval_valid = Duration::ZERO;
    let worker = scene.worker_with(options)?;
    let plan = plan(&scene, "anna").await?;
    is_applied(&scene, "berta", approval(plan)).await?;
    let rejected = rejection(scene.ask_by("anna", apply(plan)?).await?)?;
    ensure!(
        rejected.code == Code::NotApproved && rejected.reason.contains("by berta expired"),
        "{rejected:?}"
    );
    worker.stop().await?;

    // Approved again by the same sender, it counts from then on.
    let worker = scene.worker()?;
    is_applied(&scene, "berta", approval(plan)).await?;
    ensure!(approvals(&scene, plan).await?.len() == 1);
    is_accepted(&scene, "anna", apply(plan)?).await?;
    let withdraw = ExecutionWithdrawApprovalRequested { execution: plan };
    is_applied(&scene, "berta", withdraw.clone()).await?;
    is_rejected(&scene, "anna", apply(plan)?, Code::NotApproved, "$.data.plan").await?;
    match scene.ask_by("berta", withdraw).await? {
        WorkResult::CommandApplied(applied) if !applied.changed => {}
        other => bail!("{other:?}"),
    }
    worker.stop().await
}

async fn a_relaunch_and_the_way_back_need_an_approval_as_well(ground: Ground) -> Result<()> {
    let scene = scene(ground).await?;
    let worker = scene.worker()?;
    let plan = plan(&scene, "anna").await?;
    is_applied(&scene, "berta", approval(plan)).await?;
    let applied = is_accepted(&scene, "anna", apply(plan)?).await?;
    let again = ExecutionRelaunchRequested {
        execution: applied,
        dry_run: None,
        arguments: serde_json::Map::new(),
    };
    is_rejected(
        &scene,
        "berta",
        again.clone(),
        Code::NotApproved,
        "$.data.execution",
    )
    .await?;
    is_accepted(&scene, "carla", again.clone()).await?;
    let withdraw = ExecutionWithdrawApprovalRequested { execution: plan };
    is_applied(&scene, "berta", withdraw).await?;
    is_rejected(&scene, "carla", again, Code::NotApproved, "$.data.execution").await?;

    // The way back is a plan as any other: it is planned by anybody, and not applied unapproved.
    let back = sync(json!({"rollback": applied}))?;
    let back = is_accepted(&scene, "anna", back).await?;
    is_rejected(&scene, "anna", apply(back)?, Code::NotApproved, "$.data.plan").await?;
    is_applied(&scene, "berta", approval(back)).await?;
    is_accepted(&scene, "anna", apply(back)?).await?;
    worker.stop().await
}

async fn an_approval_that_comes_again_is_one_approval(ground: Ground) -> Result<()> {
    let scene = scene(ground).await?;
    let worker = scene.worker()?;
    let plan = plan(&scene, "anna").await?;
    let envelope = message_by("berta", approval(plan));
    let twice = vec![outgoing(&envelope), outgoing(&envelope)];
    scene.bus.publish(twice).await?;
    let WorkResult::CommandApplied(first) = scene.answer(&envelope).await? else {
        bail!("it is not applied");
    };
    ensure!(first.changed && first.execution == Some(plan), "{first:?}");
    let before = approvals(&scene, plan).await?;
    worker.kill();

    // Another worker gets it once more: nothing is written again, not even the time.
    let worker = scene.worker()?;
    scene.bus.publish(vec![outgoing(&envelope)]).await?;
    is_accepted(&scene, "anna", apply(plan)?).await?;
    let after = approvals(&scene, plan).await?;
    let [only] = &after[..] else {
        bail!("{after:?}");
    };
    ensure!(
        before.first().context("an approval")? == only,
        "{before:?} {after:?}"
    );
    worker.stop().await
}
