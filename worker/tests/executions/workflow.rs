//! Workflows: each step is an execution of its own, begins once, and follows what is asked of the workflow.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::ExecutionState::{Aborted, Failed, Successful};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionPauseRequested, ExecutionResumeRequested, TaskDeleteRequested,
    TaskRequested,
};
use lockstep_protocol::{Code, ElementState, WorkResult};
use lockstep_store::{CapScope, ExecutionQuery, ExecutionReference, ExecutionRow, Halt};
use lockstep_testbed::wait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, on_both, outgoing, task, unlimited};
use crate::store::Ground;

on_both! {
    steps_run_one_after_the_other_and_leave_out_what_was_not_done,
    a_failed_step_stops_the_workflow_unless_it_says_otherwise,
    expressions_decide_what_a_step_runs_on_and_with_which_arguments,
    workflows_run_in_workflows_and_in_pre_tasks,
    a_killed_worker_leaves_the_workflow_to_others_and_no_step_begins_twice,
    cancel_pause_and_resume_of_a_workflow_are_those_of_its_step,
    a_step_whose_task_vanished_fails_with_the_reason,
    a_repeated_request_begins_one_workflow_with_one_step,
    a_workflow_that_leads_nowhere_is_refused_when_it_is_saved,
}

/// A scene with the tasks `repeatable` and `once`, and a workflow of these steps.
async fn with_workflow(ground: Ground, devices: usize, steps: Value) -> Result<Scene> {
    let scene = Scene::new(ground, devices).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    scene
        .save(task("flow", "workflow", json!({ "steps": steps })))
        .await?;
    worker.stop().await?;
    Ok(scene)
}

async fn run(scene: &Scene, devices: &[usize]) -> Result<Uuid> {
    let request = scene.request("flow", devices, unlimited()).await?;
    scene
        .accepted(TaskRequested {
            arguments: Value::Null,
            ..request
        })
        .await
}

/// The executions that a workflow began, in the order of their steps.
async fn steps_of(scene: &Scene, workflow: Uuid) -> Result<Vec<ExecutionRow>> {
    let query = ExecutionQuery {
        parent: Some(scene.execution(workflow).await?.number),
        limit: 100,
        ..ExecutionQuery::default()
    };
    let mut steps = scene.store.executions.executions(&query).await?;
    steps.reverse();
    Ok(steps)
}

/// Waits until a workflow waits for the step with this index, and returns that.
async fn waits_for(scene: &Scene, workflow: Uuid, index: usize) -> Result<ExecutionRow> {
    let step = wait::until("a workflow that waits", PATIENCE, async || {
        let steps = steps_of(scene, workflow)
            .await
            .map_err(|error| error.to_string())?;
        let fleet = scene
            .elements(workflow)
            .await
            .map_err(|error| error.to_string())?;
        match steps.get(index) {
            Some(step) if fleet["fleet"].waits_for == Some(CapScope::Ended(step.number)) => Ok(step.clone()),
            _ => Err(format!("{fleet:?}")),
        }
    })
    .await?;
    Ok(step)
}

/// What the workflow says about its steps: name, state, done, failed, skipped.
async fn told(scene: &Scene, workflow: Uuid) -> Result<Vec<Value>> {
    let number = scene.elements(workflow).await?["fleet"].number;
    let element = scene.store.executions.element(number).await?;
    let data = element.context("the element")?.data;
    let steps = data["steps"].as_array().context("steps")?;
    let told = |step: &Value| {
        json!([
            step["name"],
            step["state"],
            step["done"],
            step["failed"],
            step["skipped"]
        ])
    };
    Ok(steps.iter().map(told).collect())
}

async fn steps_run_one_after_the_other_and_leave_out_what_was_not_done(ground: Ground) -> Result<()> {
    let steps = json!([
        {"name": "first", "task": "repeatable"},
        {"name": "second", "task": "once"},
        {"name": "third", "task": "repeatable", "run_as": "DEVICE", "on": ["sw1", "sw2"]},
    ]);
    let scene = with_workflow(ground, 4, steps).await?;
    scene.script.set("sw1", Act::Fail);
    scene.script.set("sw0", Act::Gate);
    let worker = scene.worker()?;
    let id = run(&scene, &[0, 1, 2]).await?;
    let first = waits_for(&scene, id, 0).await?;
    let workflow = scene.execution(id).await?;
    let parent = first.request.parent.context("the workflow")?;
    ensure!((parent.execution, parent.phase, parent.step) == (workflow.number, 0, 0));
    ensure!(first.request.requested.dry_run && first.request.actor == workflow.request.actor);
    ensure!(steps_of(&scene, id).await?.len() == 1, "the next step waits");
    let element = &scene.elements(id).await?["fleet"];
    ensure!(element.reason.as_deref() == Some("step-runs"), "{element:?}");
    scene.script.set("sw0", Act::Now);
    scene.script.gate.notify_one();
    let row = scene.ended(id).await?;
    ensure!(row.state == Failed && row.counts.failed == 1, "{row:?}");
    let element = &scene.elements(id).await?["fleet"];
    ensure!(
        element.state == ElementState::PartialFailed && element.reason.as_deref() == Some("partly-failed"),
        "{element:?}"
    );
    let told = told(&scene, id).await?;
    ensure!(
        told == [
            json!(["first", "PARTIAL_FAILED", 2, 1, 0]),
            json!(["second", "SUCCESSFUL", 2, 0, 1]),
            json!(["third", "PARTIAL_FAILED", 1, 1, 0]),
        ],
        "{told:?}"
    );
    let second = steps_of(&scene, id).await?.swap_remove(1);
    let left_out = &scene.elements(second.id).await?["sw1"];
    ensure!(
        left_out.reason.as_deref() == Some("left-out") && left_out.attempts == 0,
        "{left_out:?}"
    );
    // What was published about steps agrees with their rows.
    for step in steps_of(&scene, id).await? {
        scene.ended(step.id).await?;
    }
    worker.stop().await
}

async fn a_failed_step_stops_the_workflow_unless_it_says_otherwise(ground: Ground) -> Result<()> {
    let steps = json!([
        {"name": "careless", "task": "repeatable", "continue_on_failure": true},
        {"name": "careful", "task": "once"},
        {"name": "never", "task": "repeatable"},
    ]);
    let scene = with_workflow(ground, 1, steps).await?;
    scene.script.set("sw0", Act::Fail);
    let worker = scene.worker()?;
    let id = run(&scene, &[0]).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Failed, "{row:?}");
    let element = &scene.elements(id).await?["fleet"];
    ensure!(element.reason.as_deref() == Some("step-failed"), "{element:?}");
    let message = element.message.as_deref().unwrap_or_default();
    ensure!(
        message.starts_with("step 2 (careful) ended as FAILED: 0 done, 1 failed"),
        "{message}"
    );
    let told = told(&scene, id).await?;
    ensure!(
        told == [
            json!(["careless", "FAILED", 0, 1, 0]),
            json!(["careful", "FAILED", 0, 1, 0])
        ],
        "{told:?}"
    );
    worker.stop().await
}

async fn expressions_decide_what_a_step_runs_on_and_with_which_arguments(ground: Ground) -> Result<()> {
    let chosen = "steps.find.results|selectattr('state', 'eq', 'SUCCESSFUL')|map(attribute='name')|list";
    let steps = json!([
        {"name": "find", "task": "repeatable", "arguments": {"count": 7}, "continue_on_failure": true},
        {"name": "skipped", "task": "once", "when": "steps.find.done > 1"},
        {"name": "act", "task": "once", "run_as": "DEVICE", "on_expression": chosen,
            "argument_expressions": {"count": "steps.find.results[0].data.count + 1"}},
        {"name": "refused", "task": "once", "argument_expressions": {"count": "'many'"}},
    ]);
    let scene = with_workflow(ground, 2, steps).await?;
    scene.script.set("sw1", Act::Fail);
    let worker = scene.worker()?;
    let id = run(&scene, &[0, 1]).await?;
    scene.ended(id).await?;
    let told = told(&scene, id).await?;
    ensure!(
        told == [
            json!(["find", "PARTIAL_FAILED", 1, 1, 0]),
            json!(["skipped", "SKIPPED", 0, 0, 0]),
            json!(["act", "SUCCESSFUL", 1, 0, 0]),
            json!(["refused", "REFUSED", 0, 0, 0]),
        ],
        "{told:?}"
    );
    let acted = steps_of(&scene, id).await?.swap_remove(1);
    ensure!(
        acted.request.requested.arguments == json!({"count": 8}),
        "{acted:?}"
    );
    ensure!(scene.elements(acted.id).await?.keys().eq(["sw0"]));
    let message = scene.elements(id).await?["fleet"]
        .message
        .clone()
        .unwrap_or_default();
    ensure!(
        message.starts_with("step 4 (refused) did not begin: invalid-arguments: arguments.count: "),
        "{message}"
    );
    worker.stop().await
}

async fn workflows_run_in_workflows_and_in_pre_tasks(ground: Ground) -> Result<()> {
    let scene = with_workflow(ground, 2, json!([{"task": "repeatable"}])).await?;
    let worker = scene.worker()?;
    scene
        .save(task(
            "outer",
            "workflow",
            json!({"steps": [{"task": "flow"}, {"task": "once"}]}),
        ))
        .await?;
    let mut guarded = task("guarded", "repeatable", Value::Null);
    guarded.pre_tasks = vec!["flow".to_owned()];
    scene.save(guarded).await?;
    let outer = scene.run("outer", &[0, 1], unlimited()).await?;
    let row = scene.ended(outer).await?;
    ensure!(row.state == Successful, "{row:?}");
    let steps = steps_of(&scene, outer).await?;
    ensure!(
        steps
            .iter()
            .map(|step| step.request.task.as_str())
            .eq(["flow", "once"]),
        "{steps:?}"
    );
    let inner = steps_of(&scene, steps[0].id).await?;
    ensure!(inner.len() == 1 && inner[0].counts.done == 2, "{inner:?}");
    let begun = scene.script.begun_in_all();
    ensure!(begun == 4, "{begun}");
    // The workflow ends before the task itself begins.
    let guarded = scene.run("guarded", &[0, 1], unlimited()).await?;
    let row = scene.ended(guarded).await?;
    ensure!(row.state == Successful, "{row:?}");
    let steps = steps_of(&scene, guarded).await?;
    ensure!(steps.len() == 1 && steps[0].ended_at.is_some(), "{steps:?}");
    ensure!(scene.script.begun_in_all() == begun + 4);
    worker.stop().await
}

async fn a_killed_worker_leaves_the_workflow_to_others_and_no_step_begins_twice(
    ground: Ground,
) -> Result<()> {
    let steps = json!([{"name": "first", "task": "repeatable"}, {"name": "second", "task": "once"}]);
    let scene = with_workflow(ground, 2, steps).await?;
    scene.script.set("sw0", Act::Hang);
    let first = scene.worker()?;
    let id = run(&scene, &[0, 1]).await?;
    waits_for(&scene, id, 0).await?;
    first.kill();
    scene.script.set("sw0", Act::Now);
    // The step ends while no worker has anything to do with the workflow.
    let second = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    let steps = steps_of(&scene, id).await?;
    let numbers: Vec<u32> = steps
        .iter()
        .filter_map(|step| Some(step.request.parent?.step))
        .collect();
    ensure!(numbers == [0, 1], "{steps:?}");
    second.stop().await
}

async fn cancel_pause_and_resume_of_a_workflow_are_those_of_its_step(ground: Ground) -> Result<()> {
    let scene = with_workflow(ground, 2, json!([{"task": "repeatable"}, {"task": "once"}])).await?;
    scene.script.set("sw0", Act::Gate);
    let worker = scene.worker()?;
    let id = run(&scene, &[0, 1]).await?;
    let step = waits_for(&scene, id, 0).await?;
    scene.ask(ExecutionPauseRequested { execution: id }).await?;
    ensure!(scene.execution(step.id).await?.paused && scene.execution(id).await?.paused);
    // The step ends while the workflow is paused: nothing begins.
    scene.script.gate.notify_one();
    scene.ended(step.id).await?;
    ensure!(steps_of(&scene, id).await?.len() == 1);
    scene.script.set("sw0", Act::Wait);
    scene.ask(ExecutionResumeRequested { execution: id }).await?;
    let step = waits_for(&scene, id, 1).await?;
    ensure!(!step.paused, "{step:?}");
    scene.running(1).await?;
    scene.ask(ExecutionCancelRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted, "{row:?}");
    let row = scene.ended(step.id).await?;
    ensure!(
        row.state == Aborted && row.halt == Some(Halt::Cancelled),
        "{row:?}"
    );
    worker.stop().await
}

async fn a_step_whose_task_vanished_fails_with_the_reason(ground: Ground) -> Result<()> {
    let scene = with_workflow(ground, 1, json!([{"task": "repeatable"}, {"task": "once"}])).await?;
    scene.script.set("sw0", Act::Gate);
    let worker = scene.worker()?;
    let id = run(&scene, &[0]).await?;
    waits_for(&scene, id, 0).await?;
    let name = "once".to_owned();
    scene.ask(TaskDeleteRequested { name }).await?;
    scene.script.gate.notify_one();
    let row = scene.ended(id).await?;
    ensure!(row.state == Failed, "{row:?}");
    let element = &scene.elements(id).await?["fleet"];
    let message = element.message.as_deref().unwrap_or_default();
    ensure!(
        message.starts_with("step 2 (once) did not begin: unknown-task: no task is named once"),
        "{message}"
    );
    // Requested again, it does not begin at all.
    let request = scene.request("flow", &[0], unlimited()).await?;
    let answer = scene
        .ask(TaskRequested {
            arguments: Value::Null,
            ..request
        })
        .await?;
    ensure!(
        matches!(&answer, WorkResult::MessageRejected(rejected) if rejected.code == Code::UnknownTask),
        "{answer:?}"
    );
    worker.stop().await
}

async fn a_repeated_request_begins_one_workflow_with_one_step(ground: Ground) -> Result<()> {
    let scene = with_workflow(ground, 1, json!([{"task": "once"}])).await?;
    let worker = scene.worker()?;
    let request = scene.request("flow", &[0], unlimited()).await?;
    let asked = scene
        .publish(TaskRequested {
            arguments: Value::Null,
            ..request
        })
        .await?;
    scene.bus.publish(vec![outgoing(&asked)]).await?;
    let WorkResult::ExecutionAccepted(accepted) = scene.answer(&asked).await? else {
        anyhow::bail!("it is accepted");
    };
    scene.ended(accepted.execution).await?;
    scene.bus.publish(vec![outgoing(&asked)]).await?;
    // The next message is processed after the repeated one.
    let another = run(&scene, &[0]).await?;
    scene.ended(another).await?;
    ensure!(steps_of(&scene, accepted.execution).await?.len() == 1);
    ensure!(scene.script.begun_in_all() == 2);
    let reference = ExecutionReference::Id(accepted.execution);
    ensure!(scene.store.executions.execution(&reference).await?.is_some());
    worker.stop().await
}

async fn a_workflow_that_leads_nowhere_is_refused_when_it_is_saved(ground: Ground) -> Result<()> {
    let scene = with_workflow(ground, 1, json!([{"task": "once"}])).await?;
    let worker = scene.worker()?;
    scene
        .save(task("outer", "workflow", json!({"steps": [{"task": "flow"}]})))
        .await?;
    let table = [
        (
            json!([{"task": "outer"}]),
            Code::InvalidArguments,
            "$.data.arguments.steps[0].task",
            "flow → outer → flow",
        ),
        (
            json!([{"task": "once"}, {"task": "flow"}]),
            Code::InvalidArguments,
            "$.data.arguments.steps[1].task",
            "flow → flow",
        ),
        (
            json!([{"task": "lost"}]),
            Code::UnknownTask,
            "$.data.arguments.steps[0].task",
            "lost",
        ),
        (
            json!([{"task": "once", "arguments": {"count": "many"}}]),
            Code::InvalidArguments,
            "$.data.arguments.steps[0].arguments.count",
            "integer",
        ),
        (
            json!([{"task": "once"}, {"task": "once"}]),
            Code::InvalidArguments,
            "$.data.arguments",
            "both named",
        ),
        (
            json!([{"task": "once", "wen": "true"}]),
            Code::InvalidArguments,
            "$.data.arguments.steps[0]",
            "wen",
        ),
    ];
    for (steps, code, place, reason) in table {
        let answer = scene
            .ask(task("flow", "workflow", json!({ "steps": steps })))
            .await?;
        let WorkResult::MessageRejected(rejected) = &answer else {
            anyhow::bail!("{steps}: {answer:?}");
        };
        ensure!(
            rejected.code == code && rejected.reason.contains(reason),
            "{steps}: {rejected:?}"
        );
        ensure!(rejected.place.as_deref() == Some(place), "{steps}: {rejected:?}");
    }
    worker.stop().await
}
