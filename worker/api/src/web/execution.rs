//! One execution: its progress, its elements, and what may be done with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use lockstep_http::ProblemResponse;
use lockstep_protocol::Message;
use lockstep_protocol::commands::{
    ExecutionApproveRequested, ExecutionCancelRequested, ExecutionPauseRequested, ExecutionRelaunchRequested,
    ExecutionResumeRequested, ExecutionWithdrawApprovalRequested, RunLimits, SyncAction, SyncRequested,
};
use lockstep_protocol::rest::ExecutionView;
use serde_json::{Map, Value, json};

use super::command;
use super::failure::Failure;
use super::form::{Form, Submitted, invalid, unknown_command};
use super::page::{self, Page};
use super::section::section;
use super::viewer::Viewer;
use super::{differences, link, templates};
use crate::context::Shared;
use crate::rest::parameters::{Parameters, segment};
use crate::rest::{elements, executions};

/// How many elements the page has if it does not say.
const PAGE: &str = "50";

/// `GET /executions/{execution}`: one execution with one page of its elements.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    parameters.set_default("limit", PAGE);
    let pairs = parameters.pairs().to_vec();
    let chosen = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let name = segment(execution)?;
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let Json(run) = executions::show(operator.clone(), state(), Ok(Path(name))).await?;
    let number = run.number.to_string();
    let children = Parameters::of(&[("parent", &number), ("limit", PAGE)]);
    let (found, children) = tokio::join!(
        elements::list(operator.clone(), state(), Ok(Path(number.clone())), parameters),
        executions::list(operator.clone(), state(), children),
    );
    let Json(found) = found?;
    let own = format!("/executions/{number}");
    let next = found.next.map(|after| after.to_string());
    let values = json!({
        "now": shared.context.clock.now(),
        "own": own,
        "execution": run,
        "live": !run.state.is_final(),
        "progress": progress(&run)?,
        "arguments": {"task": arguments(&run.task_arguments), "run": arguments(&run.arguments)},
        "elements": found,
        "children": section(children)?,
        "next": next.map(|after| link::next(&own, &pairs, "after", &after)),
        "first": (!chosen("after").is_empty()).then(|| link::next(&own, &pairs, "after", "")),
        "outcome": chosen("outcome"),
        "is_sync": run.provider == differences::PROVIDER,
        "is_plan": is_plan(&run),
    });
    let title = format!("Execution {number}");
    let page = Page {
        viewer: &viewer,
        section: "/executions",
        title: &title,
        sent,
    };
    page.render("execution.html", values)
}

/// HTML of how far an execution is: a part of its page that goes on by itself.
pub(super) fn progress(run: &ExecutionView) -> Result<String, ProblemResponse> {
    templates::render("progress.html", &json!({"execution": run, "ended": run.ended()}))
}

/// Whether it can be applied: a dry run of a sync that has ended.
fn is_plan(run: &ExecutionView) -> bool {
    let action = run.task_arguments["action"].as_str();
    run.provider == differences::PROVIDER
        && run.dry_run
        && run.state.is_final()
        && action.is_none_or(|action| action == "synchronize")
}

/// Arguments that say something.
fn arguments(value: &Value) -> Option<&Value> {
    let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
    (!is_empty).then_some(value)
}

/// `POST /executions/{execution}`: cancels, pauses, resumes or relaunches it, or approves or applies the plan that it is.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let state = State(Arc::clone(&shared));
    let Json(run) = executions::show(viewer.operator.clone(), state, execution).await?;
    let execution = run.id;
    let command: Message = match form.text("command") {
        Some("cancel") => ExecutionCancelRequested { execution }.into(),
        Some("pause") => ExecutionPauseRequested { execution }.into(),
        Some("resume") => ExecutionResumeRequested { execution }.into(),
        Some("relaunch") => ExecutionRelaunchRequested {
            execution,
            arguments: Map::new(),
            dry_run: None,
        }
        .into(),
        Some("apply") => apply(&run, &form)?.into(),
        Some("approve") => ExecutionApproveRequested {
            execution,
            note: form.text("note").map(str::to_owned),
        }
        .into(),
        Some("withdraw") => ExecutionWithdrawApprovalRequested { execution }.into(),
        _ => return Err(unknown_command(&form).into()),
    };
    command::send(
        &shared,
        &viewer,
        &form,
        command,
        &format!("/executions/{}", run.number),
    )
    .await
}

/// What applies a plan as it was looked at.
fn apply(run: &ExecutionView, form: &Form) -> Result<SyncRequested, ProblemResponse> {
    if !form.is_checked("confirmed") {
        return Err(invalid(
            "this changes the devices of the plan: check the box beside the button first",
        ));
    }
    let limits = RunLimits {
        canary: form.value("canary")?,
        wave: form.value("wave")?,
        max_failed_percent: form.value("max_failed_percent")?,
        ..RunLimits::default()
    };
    if limits.max_failed_percent.is_some_and(|percent| percent > 100) {
        return Err(invalid("field \"max_failed_percent\": the maximum is 100"));
    }
    Ok(SyncRequested {
        targets: None,
        plan: Some(run.id),
        rollback: None,
        action: SyncAction::Synchronize,
        resync: false,
        dry_run: false,
        force: false,
        commit: None,
        session: None,
        limits,
        note: form.text("note").map(str::to_owned),
    })
}
