use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use lockstep_http::{Operator, ReadScope};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionPauseRequested, ExecutionRelaunchRequested, ExecutionResumeRequested,
    TaskDeleteRequested, TaskReference, TaskRequested, TaskSaveRequested,
};
use lockstep_protocol::{Message, WorkResult};
use lockstep_store::ExecutionReference;
use serde_json::Value;
use uuid::Uuid;

use super::command::{Answered, Delivery, ask, unexpected};
use super::error::{self, CallError};
use super::execution::Execution;
use super::inputs::{self, JsonString, Limits};
use super::places::Places;
use super::reference;
use super::run_on::RunOn;
use super::task::NeopsTask;
use crate::context::Shared;

/// What can be done. Each call is a message that a worker processes; the answer has what became of it.
#[derive(Debug)]
pub(crate) struct Mutation;

/// The execution that was accepted.
#[derive(Debug, SimpleObject)]
pub(crate) struct NeopsTaskExecute {
    /// The execution, as it is now.
    execution: Execution,
}

/// The executions that were accepted.
#[derive(Debug, SimpleObject)]
pub(crate) struct ExecuteNeopsTask {
    /// The execution, as it is now: one.
    executions: Vec<Execution>,
}

/// The task that was saved.
#[derive(Debug, SimpleObject)]
pub(crate) struct NeopsTaskUpsert {
    /// The task.
    neops_task: NeopsTask,
    /// Whether anything changed.
    changed: bool,
    /// What was done, in one sentence.
    message: String,
}

/// The task that was deleted.
#[derive(Debug, SimpleObject)]
pub(crate) struct NeopsTaskDelete {
    /// Whether anything changed.
    changed: bool,
    /// What was done, in one sentence.
    message: String,
}

/// What became of an order for an execution.
#[derive(Debug, SimpleObject)]
pub(crate) struct ExecutionControl {
    /// Whether anything changed.
    changed: bool,
    /// What was done, in one sentence.
    message: String,
    /// The execution, as it is now; null if none has the id yet.
    execution: Option<Execution>,
}

#[Object]
#[expect(clippy::too_many_arguments, reason = "they are the arguments of neops")]
impl Mutation {
    /// Runs a task: as a dry run, unless `dryRun` is false. The answer comes when a worker has accepted the execution, and does not
    /// wait for its end.
    ///
    /// The call with a `messageId` that was used before has no second effect, and returns the same execution. If the outcome is not
    /// known after `waitSeconds` (20 if absent), the error has the code `pending`, and the source and the id of the message.
    async fn neops_task_execute(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number of the task.")] neops_task_id: Option<ID>,
        #[graphql(desc = "The unique name of the task, instead of its number.")] uniquetaskname: Option<
            String,
        >,
        #[graphql(desc = "The ids of the entities to run on.")] execute_on: Option<Vec<Option<ID>>>,
        #[graphql(
            desc = "The names of the entities to run on, beside their ids: hostnames, names of groups."
        )]
        execute_on_names: Option<Vec<String>>,
        #[graphql(desc = "The kind of entity that `executeOn` and `executeOnNames` name.")]
        execute_on_type: Option<RunOn>,
        #[graphql(default = true, desc = "Report what would change without changing devices.")] dry_run: bool,
        #[graphql(desc = "Additional arguments of this run.")] task_arguments: Option<JsonString>,
        #[graphql(desc = "The limits of this run.")] limits: Option<Limits>,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<NeopsTaskExecute> {
        let call = Call {
            task: inputs::task(neops_task_id, uniquetaskname)?,
            request: |task| {
                Ok(TaskRequested {
                    task,
                    execute_on: inputs::entities(execute_on)?,
                    execute_on_names: execute_on_names.unwrap_or_default(),
                    execute_on_type: inputs::execute_on_type(execute_on_type)?,
                    dry_run,
                    arguments: JsonString::read(task_arguments, "taskArguments")?,
                    limits: inputs::limits(limits)?,
                })
            },
        };
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let execution = call.run(context, delivery).await?;
        Ok(NeopsTaskExecute { execution })
    }

    /// The same as `neopsTaskExecute`, in the form of the schema of neops.
    async fn execute_neops_task(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number of the task.")] neops_task_id: Option<ID>,
        #[graphql(desc = "The unique name of the task, instead of its number.")] uniquetaskname: Option<
            String,
        >,
        #[graphql(desc = "The ids of the entities to run on.")] execute_on: Option<Vec<Option<ID>>>,
        #[graphql(desc = "The kind of entity that `executeOn` names.")] execute_on_type: Option<RunOn>,
        #[graphql(default = true, desc = "Report what would change without changing devices.")] dry_run: bool,
        #[graphql(desc = "Additional arguments of this run.")] task_arguments: Option<JsonString>,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<ExecuteNeopsTask> {
        let executed = self.neops_task_execute(
            context,
            neops_task_id,
            uniquetaskname,
            execute_on,
            None,
            execute_on_type,
            dry_run,
            task_arguments,
            None,
            message_id,
            wait_seconds,
        );
        let NeopsTaskExecute { execution } = executed.await?;
        Ok(ExecuteNeopsTask {
            executions: vec![execution],
        })
    }

    /// Creates a task, or replaces the one with this name as a whole: what is not given is empty then.
    async fn neops_task_upsert(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The unique name of the task.")] uniquetaskname: Option<String>,
        #[graphql(desc = "The same; neops has both.")] name: Option<String>,
        #[graphql(desc = "What the task is for.")] description: Option<String>,
        #[graphql(desc = "The name of the provider that the task runs.")] provider_identifier: String,
        #[graphql(desc = "The arguments of the provider.")] task_kwargs: Option<JsonString>,
        #[graphql(desc = "The JSON Schema of additional arguments of its runs.")]
        task_run_input_schema: Option<JsonString>,
        #[graphql(desc = "Numbers or names of tasks that run before this one.")] pre_run_tasks: Option<
            Vec<ID>,
        >,
        #[graphql(desc = "Numbers or names of tasks that run after this one.")] post_run_tasks: Option<
            Vec<ID>,
        >,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<NeopsTaskUpsert> {
        let shared = context.data_unchecked::<Arc<Shared>>();
        let named_by = if uniquetaskname.is_some() {
            "uniquetaskname"
        } else {
            "name"
        };
        let name = inputs::task_name(name, uniquetaskname)?;
        let pre = pre_run_tasks.unwrap_or_default();
        let post = post_run_tasks.unwrap_or_default();
        if [&pre, &post].iter().any(|ids| ids.iter().any(is_number)) {
            context
                .data_unchecked::<Operator>()
                .may_read(ReadScope::Tasks)
                .map_err(error::of)?;
        }
        let command = TaskSaveRequested {
            name,
            description,
            provider: provider_identifier,
            arguments: JsonString::read(task_kwargs, "taskKwargs")?,
            run_input_json_schema: JsonString::read_object(task_run_input_schema, "taskRunInputSchema")?,
            run_input_ui_schema: None,
            pre_tasks: reference::task_names(shared, &pre, "preRunTasks").await?,
            post_tasks: reference::task_names(shared, &post, "postRunTasks").await?,
        };
        let places = Places(vec![
            ("$.data.name", named_by),
            ("$.data.description", "description"),
            ("$.data.provider", "providerIdentifier"),
            ("$.data.arguments", "taskKwargs"),
            ("$.data.run_input_json_schema", "taskRunInputSchema"),
            ("$.data.pre_tasks", "preRunTasks"),
            ("$.data.post_tasks", "postRunTasks"),
        ]);
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let saved = command.clone();
        let answered = ask(context, command, delivery, &places).await?;
        match answered.result {
            WorkResult::CommandApplied(applied) if applied.number.is_some() => Ok(NeopsTaskUpsert {
                neops_task: NeopsTask::saved(applied.number.unwrap_or_default(), saved),
                changed: applied.changed,
                message: applied.message,
            }),
            _ => Err(unexpected(answered).into()),
        }
    }

    /// Deletes a task. Executions of it stay, and go on.
    async fn neops_task_delete(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number of the task, or its name.")] id: ID,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<NeopsTaskDelete> {
        let shared = context.data_unchecked::<Arc<Shared>>();
        if is_number(&id) {
            context
                .data_unchecked::<Operator>()
                .may_read(ReadScope::Tasks)
                .map_err(error::of)?;
        }
        let mut names = reference::task_names(shared, std::slice::from_ref(&id), "id").await?;
        let command = TaskDeleteRequested {
            name: names.pop().unwrap_or_default(),
        };
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let answered = ask(context, command, delivery, &Places(vec![("$.data.name", "id")])).await?;
        match answered.result {
            WorkResult::CommandApplied(applied) => Ok(NeopsTaskDelete {
                changed: applied.changed,
                message: applied.message,
            }),
            _ => Err(unexpected(answered).into()),
        }
    }

    /// Cancels an execution: elements that have not begun are skipped, running ones are told to stop. An id may be unknown yet: the
    /// execution then ends as soon as it is accepted.
    async fn abort_execution(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number or the id of the execution.")] id: ID,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<ExecutionControl> {
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let command = |execution| ExecutionCancelRequested { execution }.into();
        control(context, &id, command, delivery).await
    }

    /// Pauses an execution: no more of its elements begin until it is resumed, and what runs finishes.
    async fn pause_execution(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number or the id of the execution.")] id: ID,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<ExecutionControl> {
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let command = |execution| ExecutionPauseRequested { execution }.into();
        control(context, &id, command, delivery).await
    }

    /// Resumes a paused execution.
    async fn resume_execution(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number or the id of the execution.")] id: ID,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<ExecutionControl> {
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let command = |execution| ExecutionResumeRequested { execution }.into();
        control(context, &id, command, delivery).await
    }

    /// Runs the task of an ended execution again, on its failed elements only.
    async fn relaunch_execution(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number or the id of the execution that ended.")] id: ID,
        #[graphql(desc = "Arguments of the run that replace those of the execution, by name.")]
        task_arguments: Option<JsonString>,
        #[graphql(desc = "Whether to change devices or not; as in the execution if absent.")] dry_run: Option<
            bool,
        >,
        #[graphql(desc = "The id of the message; a new one if absent.")] message_id: Option<ID>,
        #[graphql(desc = "How long to wait for the outcome, at most 60 seconds.")] wait_seconds: Option<u32>,
    ) -> Result<NeopsTaskExecute> {
        let arguments = match JsonString::read(task_arguments, "taskArguments")? {
            Value::Object(arguments) => arguments,
            Value::Null => serde_json::Map::new(),
            _ => {
                let error = CallError::new("invalid-arguments", "must be a JSON object");
                return Err(error.at("taskArguments").into());
            }
        };
        let command = ExecutionRelaunchRequested {
            execution: execution_id(context, &id).await?,
            arguments,
            dry_run,
        };
        let places = Places(vec![
            ("$.data.execution", "id"),
            ("$.data.arguments", "taskArguments"),
            ("$.data.dry_run", "dryRun"),
        ]);
        let delivery = Delivery {
            message_id,
            wait_seconds,
        };
        let answered = ask(context, command, delivery, &places).await?;
        let execution = accepted(context, answered).await?;
        Ok(NeopsTaskExecute { execution })
    }
}

/// A call that runs a task.
struct Call<F> {
    /// The task, and the argument that names it.
    task: (TaskReference, &'static str),
    request: F,
}

impl<F: FnOnce(TaskReference) -> Result<TaskRequested, CallError>> Call<F> {
    async fn run(self, context: &Context<'_>, delivery: Delivery) -> Result<Execution> {
        // Before anything is published: the answer shows the execution.
        context
            .data_unchecked::<Operator>()
            .may_read(ReadScope::Executions)
            .map_err(error::of)?;
        let (task, named_by) = self.task;
        let command = (self.request)(task)?;
        let places = Places(vec![
            ("$.data.task", named_by),
            ("$.data.execute_on", "executeOn"),
            ("$.data.execute_on_names", "executeOnNames"),
            ("$.data.execute_on_type", "executeOnType"),
            ("$.data.dry_run", "dryRun"),
            ("$.data.arguments", "taskArguments"),
            ("$.data.limits.at_once", "limits.atOnce"),
            ("$.data.limits.canary", "limits.canary"),
            ("$.data.limits.wave", "limits.wave"),
            ("$.data.limits.max_failed_percent", "limits.maxFailedPercent"),
            ("$.data.limits.deadline_seconds", "limits.deadlineSeconds"),
        ]);
        let answered = ask(context, command, delivery, &places).await?;
        accepted(context, answered).await
    }
}

/// The execution of a command that was accepted.
async fn accepted(context: &Context<'_>, answered: Answered) -> Result<Execution> {
    let WorkResult::ExecutionAccepted(accepted) = &answered.result else {
        return Err(unexpected(answered).into());
    };
    let shared = context.data_unchecked::<Arc<Shared>>();
    let reference = ExecutionReference::Id(accepted.execution);
    let found = match shared.context.executions.execution(&reference).await {
        Ok(found) => found,
        Err(error) => {
            let problem = crate::rest::problem::store_error(error);
            return Err(CallError::from(&problem).of_message(answered.identity).into());
        }
    };
    found.map(Execution).ok_or_else(|| {
        let reason = format!(
            "execution {} was accepted by an earlier call and deleted since",
            accepted.execution
        );
        CallError::new("unknown-execution", reason)
            .of_message(answered.identity)
            .into()
    })
}

/// Sends an order for an execution.
async fn control(
    context: &Context<'_>,
    id: &ID,
    command: impl FnOnce(Uuid) -> Message,
    delivery: Delivery,
) -> Result<ExecutionControl> {
    let execution = execution_id(context, id).await?;
    let places = Places(vec![("$.data.execution", "id")]);
    let answered = ask(context, command(execution), delivery, &places).await?;
    let WorkResult::CommandApplied(applied) = answered.result else {
        return Err(unexpected(answered).into());
    };
    let shared = context.data_unchecked::<Arc<Shared>>();
    let reference = ExecutionReference::Id(execution);
    let found = shared.context.executions.execution(&reference).await;
    Ok(ExecutionControl {
        changed: applied.changed,
        message: applied.message,
        execution: found.map_err(error::of_store)?.map(Execution),
    })
}

/// The id of the execution with this number or id. An id need not be known. The token must be allowed to read executions.
async fn execution_id(context: &Context<'_>, id: &ID) -> Result<Uuid> {
    context
        .data_unchecked::<Operator>()
        .may_read(ReadScope::Executions)
        .map_err(error::of)?;
    if let Ok(id) = id.parse() {
        return Ok(id);
    }
    let shared = context.data_unchecked::<Arc<Shared>>();
    Ok(reference::execution(shared, id).await?.id)
}

fn is_number(id: &ID) -> bool {
    id.parse::<u64>().is_ok()
}
