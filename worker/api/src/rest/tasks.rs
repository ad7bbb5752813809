use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::commands::TaskReference;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::{Problem, TaskForm, TaskPage, TaskProblem, TaskValidation, TaskView};
use lockstep_protocol::{Command, Kind, Message};
use serde_json::Value;

use super::parameters::{self, Parameters};
use super::{problem, related_tasks};
use crate::context::Shared;
use lockstep_store::{StoreError, TaskRow, Tasks};

/// The keys of a task.
const KEYS: [&str; 8] = [
    "name",
    "description",
    "provider",
    "arguments",
    "pre_tasks",
    "post_tasks",
    "run_input_json_schema",
    "run_input_ui_schema",
];

/// `GET /v1/tasks`: one page of tasks, ordered by name.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<TaskPage>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let after = parameters.text("after")?;
    let limit = parameters.limit()?;
    parameters.finish("after, limit")?;
    // One more than requested shows whether there is a next page.
    let rows = shared.context.tasks.tasks(after.as_deref(), limit + 1).await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |task| task.name.clone());
    let tasks = rows.into_iter().map(view).collect();
    Ok(Json(TaskPage { tasks, next }))
}

/// `GET /v1/tasks/{task}`: the task with this number, else the one with this name.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    task: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskView>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    Ok(Json(named(&shared, task).await?))
}

/// `GET /v1/tasks/{task}/form`: the forms of this task and of its runs.
pub(crate) async fn form(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    task: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskForm>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let form = shared.context.providers.form(named(&shared, task).await?);
    form.map(Json).map_err(|TaskProblem { place, reason }| {
        let problem = Problem::new(
            409,
            "task-outdated",
            "the task does not fit its provider any more",
        );
        problem.with_detail(reason).with_place(place).into()
    })
}

/// The task that a path names.
async fn named(
    shared: &Shared,
    task: Result<Path<String>, PathRejection>,
) -> Result<TaskView, ProblemResponse> {
    let text = parameters::segment(task)?;
    let found = find(&*shared.context.tasks, &text).await;
    found.map_err(problem::store_error)?.map(view).ok_or_else(|| {
        let detail = format!("no task has the number or the name {text:?}");
        ProblemResponse::not_found("unknown-task", "the task does not exist", detail)
    })
}

async fn find(tasks: &dyn Tasks, text: &str) -> Result<Option<TaskRow>, StoreError> {
    if let Ok(number) = text.parse() {
        let found = tasks.task(&TaskReference::Number(number)).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    tasks.task(&TaskReference::from(text)).await
}

/// `POST /v1/tasks/validate`: everything that is wrong in a task, without saving it.
pub(crate) async fn validate(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<TaskValidation>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let body = shared.bodies.read(request.into_body(), MAX_BODY_BYTES).await?;
    let task: Value = serde_json::from_slice(&body.bytes).map_err(|error| {
        ProblemResponse::bad_request("invalid-json", "the body is not JSON", error.to_string())
    })?;
    drop(body);
    let mut problems = unknown_keys(&task);
    match Message::from_data(Kind::TaskSaveRequested, &task) {
        Ok(Message::Command(Command::TaskSaveRequested(task))) => {
            problems.extend(shared.context.providers.problems(&task));
            let related = related_tasks::problems(&*shared.context.tasks, &task).await;
            problems.extend(related.map_err(problem::store_error)?);
        }
        Ok(_) => return Err(ProblemResponse::internal()),
        Err(error) => problems.push(TaskProblem {
            place: if error.place == "." {
                "$".to_owned()
            } else {
                format!("$.{}", error.place)
            },
            reason: error.reason,
        }),
    }
    Ok(Json(TaskValidation {
        valid: problems.is_empty(),
        problems,
    }))
}

/// The keys that a task does not have. A message may have them, since a newer sender may know more; in a file they are mistakes.
fn unknown_keys(task: &Value) -> Vec<TaskProblem> {
    let keys = task
        .as_object()
        .into_iter()
        .flat_map(|task| task.keys())
        .filter(|key| !KEYS.contains(&key.as_str()));
    keys.map(|key| TaskProblem {
        place: format!("$.{key}"),
        reason: format!("unknown key; a task has {}", KEYS.join(", ")),
    })
    .collect()
}

fn view(row: TaskRow) -> TaskView {
    TaskView {
        number: row.number,
        name: row.name,
        description: row.description,
        provider: row.provider,
        arguments: row.arguments,
        pre_tasks: row.pre_tasks,
        post_tasks: row.post_tasks,
        run_input_json_schema: row.run_input_json_schema,
        run_input_ui_schema: row.run_input_ui_schema,
        saved_at: row.saved_at,
        saved_by: row.saved_by,
    }
}
