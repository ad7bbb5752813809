//! One task, and the form that runs it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use lockstep_http::ProblemResponse;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::rest::{TaskForm, TaskView};
use serde_json::{Value, json};
use uuid::Uuid;

use super::command;
use super::failure::Failure;
use super::form::{Form, Submitted, invalid};
use super::page::{self, Page};
use super::schema_form::{self, SchemaForm};
use super::section::section;
use super::templates;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::{Parameters, segment};
use crate::rest::{executions, tasks};

/// How many of its executions the page names.
const EXECUTIONS: &str = "10";
/// What a run may be limited by, and the fields of the form.
const LIMITS: [&str; 5] = [
    "at_once",
    "canary",
    "wave",
    "max_failed_percent",
    "deadline_seconds",
];

/// A form of a run.
struct Run<'a> {
    on: ExecuteOn,
    names: String,
    changes: bool,
    fields: Option<SchemaForm>,
    /// What was sent, if something was.
    sent: Option<&'a Form>,
}

/// `GET /tasks/{task}`: one task with the form of a run.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    task: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    parameters.finish("none")?;
    let (task, form) = read(&viewer, &shared, segment(task)?).await?;
    let run = empty(&shared, &task, form.as_ref().ok());
    render(&viewer, &shared, &task, form, run, sent).await
}

/// The page of a task whose form names these devices.
pub(super) async fn prefilled(
    viewer: &Viewer,
    shared: &Arc<Shared>,
    task: &str,
    hostnames: &[&str],
) -> Result<Html<String>, Failure> {
    let (task, form) = read(viewer, shared, task.to_owned()).await?;
    let run = Run {
        on: ExecuteOn::Device,
        names: hostnames.join("\n"),
        ..empty(shared, &task, form.as_ref().ok())
    };
    render(viewer, shared, &task, form, run, None).await
}

/// `POST /tasks/{task}`: runs it, or shows the form again with what is wrong in it.
pub(super) async fn run(
    State(shared): State<Arc<Shared>>,
    task: Result<Path<String>, PathRejection>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let (task, described) = read(&viewer, &shared, segment(task)?).await?;
    let described = described?;
    let on = form.required("on")?;
    let changes = form.text("mode") == Some("apply");
    let mut fields = of_run(&described, Some(&form));
    let arguments = fields.arguments();
    fields.add(shared.context.providers.run_problems(&described, &arguments));
    if changes && !form.is_checked("confirmed") {
        let reason = "this run may change devices: check the box that says so, or choose the dry run";
        fields.problems.push(reason.to_owned());
    }
    if fields.is_wrong() {
        let run = Run {
            on,
            names: form.text("names").unwrap_or_default().to_owned(),
            changes,
            fields: Some(fields),
            sent: Some(&form),
        };
        let html = render(&viewer, &shared, &task, Ok(described), run, None).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response());
    }
    let names = form.text("names").unwrap_or_default();
    let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
    let request = TaskRequested {
        task: TaskReference::Number(task.number),
        execute_on: Vec::new(),
        execute_on_names: names.map(str::to_owned).collect(),
        execute_on_type: on,
        dry_run: !changes,
        arguments,
        limits: limits(&form)?,
    };
    let back = format!("/tasks/{}", task.number);
    command::send(&shared, &viewer, &form, request, &back).await
}

fn limits(form: &Form) -> Result<RunLimits, ProblemResponse> {
    let limits = RunLimits {
        at_once: form.value("at_once")?,
        canary: form.value("canary")?,
        wave: form.value("wave")?,
        max_failed_percent: form.value("max_failed_percent")?,
        deadline_seconds: form.value("deadline_seconds")?,
    };
    if limits.max_failed_percent.is_some_and(|percent| percent > 100) {
        return Err(invalid("field \"max_failed_percent\": the maximum is 100"));
    }
    Ok(limits)
}

/// The task that a path names, and the form of its runs; a problem in the place of the form if the task has to be saved again.
async fn read(
    viewer: &Viewer,
    shared: &Arc<Shared>,
    task: String,
) -> Result<(TaskView, Result<TaskForm, ProblemResponse>), Failure> {
    let operator = &viewer.operator;
    let state = || State(Arc::clone(shared));
    let Json(found) = tasks::show(operator.clone(), state(), Ok(Path(task.clone()))).await?;
    let form = tasks::form(operator.clone(), state(), Ok(Path(task))).await;
    Ok((found, form.map(|Json(form)| form)))
}

fn of_run(form: &TaskForm, filled: Option<&Form>) -> SchemaForm {
    let ui_schema = form.run_input_ui_schema.as_ref();
    schema_form::fields(&form.run_input_json_schema, ui_schema, filled)
}

/// A run of nothing yet, on what the provider of the task runs on.
fn empty<'a>(shared: &Shared, task: &TaskView, form: Option<&TaskForm>) -> Run<'a> {
    let providers = shared.context.providers.list();
    let provider = providers
        .into_iter()
        .find(|provider| provider.name == task.provider);
    let on = provider.and_then(|provider| provider.run_on);
    Run {
        on: on.unwrap_or(ExecuteOn::Device),
        names: String::new(),
        changes: false,
        fields: form.map(|form| of_run(form, None)),
        sent: None,
    }
}

async fn render(
    viewer: &Viewer,
    shared: &Arc<Shared>,
    task: &TaskView,
    form: Result<TaskForm, ProblemResponse>,
    run: Run<'_>,
    sent: Option<Uuid>,
) -> Result<Html<String>, Failure> {
    let of_task = Parameters::of(&[("task", &task.name), ("limit", EXECUTIONS)]);
    let runs = executions::list(viewer.operator.clone(), State(Arc::clone(shared)), of_task).await;
    let limits = LIMITS.map(|name| {
        let value = run.sent.and_then(|form| form.text(name)).unwrap_or_default();
        (name.to_owned(), json!(value))
    });
    let fields_html = match &run.fields {
        Some(fields) => templates::render("task_fields.html", &json!({"fields": fields}))?,
        None => String::new(),
    };
    let outdated = form.err().map(|problem| json!(problem.problem()));
    let values = json!({
        "now": shared.context.clock.now(),
        "task": task,
        "outdated": outdated,
        "run": {
            "on": run.on, "names": run.names, "changes": run.changes,
            "limits": Value::Object(limits.into_iter().collect()),
        },
        "fields_html": fields_html,
        "kinds": ExecuteOn::ALL,
        "runs": section(runs)?,
    });
    let page = Page {
        viewer,
        section: "/tasks",
        title: &task.name,
        sent,
    };
    page.render("task.html", values)
}
