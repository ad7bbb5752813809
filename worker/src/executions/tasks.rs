//! Saves and deletes tasks.

use lockstep_execution::RunInput;
use lockstep_protocol::Code;
use lockstep_protocol::commands::{TaskDeleteRequested, TaskSaveRequested};
use lockstep_store::NewTask;
use serde_json::Value;

use super::plan::{check_own, check_task, provider};
use super::runner::{Command, Decided, Done};
use super::sequence::{Related, load, sequence};
use super::{sync, workflow};
use crate::handlers::Rejection;

pub(super) async fn save(command: Command<'_>, request: &TaskSaveRequested) -> Decided {
    let registry = &command.context.registry;
    let json_schema = request.run_input_json_schema.clone().map(Value::Object);
    let ui_schema = request.run_input_ui_schema.clone().map(Value::Object);
    let own = RunInput {
        json_schema: json_schema.as_ref(),
        ui_schema: ui_schema.as_ref(),
    };
    let checked = provider(registry, &request.provider, "$.data.provider").and_then(|provider| {
        check_task(&**provider, &request.arguments, "$.data.arguments")?;
        check_own(&**provider, own, "$.data")?;
        Ok(provider)
    });
    let provider = match checked {
        Ok(provider) => provider,
        Err(rejection) => return Ok(Err(rejection)),
    };
    if request.provider == sync::PROVIDER {
        // What its elements are bound to, and who has to approve it, is part of the request.
        let reason = "provider sync is no task: publish lockstep.sync.requested, or use `lockstep sync`";
        return Ok(Err(Rejection::new(
            Code::InvalidArguments,
            "$.data.provider",
            reason,
        )));
    }
    let related = Related {
        name: &request.name,
        pre_tasks: &request.pre_tasks,
        post_tasks: &request.post_tasks,
    };
    let tasks = load(&mut *command.executions, related).await?;
    if let Err(error) = sequence(related, &tasks) {
        return Ok(Err(error.rejection(true, "$.data")));
    }
    let executions = &mut *command.executions;
    let checked = workflow::check_new(executions, registry, &**provider, request, "$.data").await?;
    if let Err(rejection) = checked {
        return Ok(Err(rejection));
    }
    let task = NewTask {
        name: request.name.clone(),
        description: request.description.clone(),
        provider: request.provider.clone(),
        arguments: request.arguments.clone(),
        pre_tasks: request.pre_tasks.clone(),
        post_tasks: request.post_tasks.clone(),
        run_input_json_schema: json_schema,
        run_input_ui_schema: ui_schema,
        at: command.now,
        by: command.attempt.key.actor.as_deref().map(str::to_owned),
    };
    let saved = command.executions.save_task(&task).await?;
    let what = match (saved.created, saved.changed) {
        (true, _) => "created",
        (false, true) => "replaced",
        (false, false) => "unchanged",
    };
    let message = format!("task {} ({}) {what}", task.name, saved.number);
    Ok(Ok(Done::applied(saved.changed, message).numbered(saved.number)))
}

pub(super) async fn delete(command: Command<'_>, request: &TaskDeleteRequested) -> Decided {
    if command.executions.delete_task(&request.name).await? {
        return Ok(Ok(Done::applied(true, format!("task {} deleted", request.name))));
    }
    Ok(Err(unknown(&request.name, "$.data.name")))
}

/// No task has this number or name.
pub(super) fn unknown(task: impl std::fmt::Display, place: &str) -> Rejection {
    let reason = format!("no task is named {task}; `lockstep tasks list` shows them");
    Rejection::new(Code::UnknownTask, place, reason)
}
