//! The run cycle: a check before a task leaves the interfaces of one device alone, and tasks after it sum up the group and the fleet.

use anyhow::{Context, ensure};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested, TaskSaveRequested};
use lockstep_protocol::rest::{EntityResultView, ExecutionView};
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::{ElementState, ExecutionState, Level, counted};
use serde_json::{Value, json};

use super::task::{self, GROUP, PORTS, UNREACHABLE};
use crate::cli::client::Client;
use crate::cli::output;

const TITLE: &str = "A task runs on the interfaces of group leaves: after a check of their devices, before sums of the group and the fleet";

/// What the phases run, in their order: a pre-task, the task itself, and post-tasks.
const PHASES: [(&str, Level); 5] = [
    ("reachable", Level::Device),
    ("ports", Level::Interface),
    ("ports-of-device", Level::Device),
    ("ports-of-group", Level::Group),
    ("last-check", Level::Global),
];

/// Runs the step, and fails unless all but the unreachable device was checked.
pub(super) async fn run(client: &Client, devices: usize, json: bool) -> anyhow::Result<Value> {
    for task in tasks() {
        task::applied(client, task).await?;
    }
    let accepted = task::applied(client, request()).await?;
    let accepted: ExecutionAccepted =
        serde_json::from_value(accepted).context("the execution was not accepted")?;
    let execution = task::ended(client, &accepted).await?;
    let mut results = Vec::new();
    for (phase, (_, level)) in PHASES.into_iter().enumerate() {
        let query = [("phase", phase.to_string()), ("level", level.to_string())];
        results.push(client.results(&execution.id.to_string(), &query).await?.results);
    }
    check(&execution, &results, devices)?;
    if !json {
        show(&execution, &results);
    }
    Ok(json!({"title": TITLE, "execution": execution, "results": results}))
}

fn tasks() -> Vec<TaskSaveRequested> {
    let task = |name: &str, provider: &str, arguments: Value| TaskSaveRequested {
        name: name.to_owned(),
        description: None,
        provider: provider.to_owned(),
        arguments,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    };
    let described = json!({"run_on": "INTERFACE", "check_key": "described",
        "expression": "interface.configuration.description is defined"});
    let of_device =
        json!({"run_on": "DEVICE", "check_key": "ports", "of": "INTERFACE", "of_check": "described"});
    let of_group =
        json!({"run_on": "GROUP", "check_key": "ports", "of": "DEVICE", "of_check": "ports", "percent": 80});
    let of_fleet =
        json!({"run_on": "GLOBAL", "facts_key": "last-check", "expressions": {"checked": "fleet.name"}});
    let names = |phases: &[(&str, Level)]| phases.iter().map(|(name, _)| (*name).to_owned()).collect();
    vec![
        task("reachable", "ping", json!({})),
        task("ports-of-device", "check_aggregation", of_device),
        task("ports-of-group", "check_aggregation", of_group),
        task("last-check", "template_facts", of_fleet),
        TaskSaveRequested {
            pre_tasks: names(&PHASES[..1]),
            post_tasks: names(&PHASES[2..]),
            ..task("ports", "template_check", described)
        },
    ]
}

/// The group is named, and stands for the interfaces of its devices.
fn request() -> TaskRequested {
    TaskRequested {
        task: "ports".into(),
        execute_on: Vec::new(),
        execute_on_names: vec![GROUP.to_owned()],
        execute_on_type: ExecuteOn::Group,
        dry_run: false,
        arguments: Value::Null,
        limits: RunLimits::default(),
    }
}

fn check(execution: &ExecutionView, results: &[Vec<EntityResultView>], devices: usize) -> anyhow::Result<()> {
    ensure!(execution.state == ExecutionState::PartialFailed, "{execution:?}");
    let done = |results: &[EntityResultView]| {
        let done = results.iter();
        done.filter(|result| result.state == ElementState::Successful)
            .count()
    };
    let done: Vec<usize> = results.iter().map(|results| done(results)).collect();
    let others = devices - 1;
    ensure!(
        done == [others, others * PORTS.len(), others, 1, 1],
        "{results:?}"
    );
    let ports = results.get(1).map_or(&[][..], Vec::as_slice);
    ensure!(
        failed(ports).count() == 0,
        "interfaces were not left alone: {ports:?}"
    );
    let failed: Vec<&str> = failed(results.first().map_or(&[], Vec::as_slice))
        .map(|result| result.name.as_str())
        .collect();
    ensure!(failed == [UNREACHABLE], "{results:?}");
    Ok(())
}

fn failed(results: &[EntityResultView]) -> impl Iterator<Item = &EntityResultView> {
    results
        .iter()
        .filter(|result| result.state != ElementState::Successful)
}

fn show(execution: &ExecutionView, results: &[Vec<EntityResultView>]) {
    output::line(&format!("● {TITLE}"));
    output::line(&format!(
        "  lockstep.task.requested → {}: {} done, {} failed",
        execution.state, execution.done, execution.failed
    ));
    for ((task, level), results) in PHASES.into_iter().zip(results) {
        let done = results.len() - failed(results).count();
        let mut words = vec![match results.as_slice() {
            [one] => format!("{}, {}", said(one), measured(one)),
            _ => format!("{} done", counted(done, &level.as_str().to_lowercase())),
        }];
        words.extend(failed(results).filter(|_| results.len() > 1).map(said));
        if level == Level::Interface {
            words.push(format!("those of {UNREACHABLE} left alone"));
        }
        output::line(&format!("    {task}: {}", words.join("; ")));
    }
}

/// What a check measured; the whole result of anything else.
fn measured(result: &EntityResultView) -> &Value {
    result.data.get("metrics").unwrap_or(&result.data)
}

fn said(result: &EntityResultView) -> String {
    let message = result.message.as_deref().unwrap_or("done");
    match &result.reason {
        Some(reason) => format!("{} {}: {reason}: {message}", result.name, result.state),
        None => format!("{} {}: {message}", result.name, result.state),
    }
}
