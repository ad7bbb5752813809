//! Runs the failed elements of an execution that ended again, as a new execution.

use lockstep_execution::merge_arguments;
use lockstep_protocol::Code;
use lockstep_protocol::commands::{ExecutionRelaunchRequested, TaskReference, TaskRequested};
use lockstep_store::{ElementSource, NewExecution};

use super::control::unknown;
use super::phase::{levels, steps, tasks};
use super::plan::{provider, run_arguments, with_hint};
use super::runner::{Command, Decided};
use super::sync;
use crate::handlers::Rejection;

pub(super) async fn relaunch(mut command: Command<'_>, request: &ExecutionRelaunchRequested) -> Decided {
    let Some(row) = command.executions.lock(request.execution).await? else {
        return Ok(Err(unknown()));
    };
    if !row.state.is_final() {
        let reason = format!("the execution is {}; wait for its end, or cancel it", row.state);
        return Ok(Err(Rejection::new(
            Code::ExecutionNotEnded,
            "$.data.execution",
            reason,
        )));
    }
    let before = &row.request;
    let arguments = merge_arguments(&before.requested.arguments, &request.arguments);
    let own = command.executions.run_input_json_schema(row.number).await?;
    let registry = &command.context.registry;
    // Which elements it has depends on the steps of all of them.
    let known =
        tasks(before).try_for_each(|task| provider(registry, task.provider, "$.data.execution").map(|_| ()));
    let checked = known
        .and_then(|()| provider(registry, &before.provider, "$.data.execution"))
        .and_then(|provider| {
            run_arguments(&**provider, own.as_ref(), &arguments, "$.data.arguments")
                .map_err(|rejection| with_hint(rejection, &before.task))
        });
    let arguments = match checked {
        Ok(arguments) => arguments,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let dry_run = request.dry_run.unwrap_or(before.requested.dry_run);
    let source = if before.provider == sync::PROVIDER {
        match sync::again(&mut command, &row, dry_run).await? {
            Ok(source) => ElementSource::Sync(source),
            Err(rejection) => return Ok(Err(rejection)),
        }
    } else {
        ElementSource::FailedOf(row.number)
    };
    let limits = *before.limits();
    let new = NewExecution {
        task_number: before.task_number,
        task: before.task.clone(),
        provider: before.provider.clone(),
        task_arguments: before.task_arguments.clone(),
        requested: TaskRequested {
            task: TaskReference::Number(before.task_number),
            execute_on: Vec::new(),
            execute_on_names: Vec::new(),
            execute_on_type: before.run_on,
            dry_run,
            arguments,
            limits,
        },
        run_input_json_schema: own,
        run_on: before.run_on,
        pre_tasks: before.pre_tasks.clone(),
        post_tasks: before.post_tasks.clone(),
        plan: before.plan.clone(),
        lane: before.lane,
        relaunch_of: Some(row.id),
        ..command.new_execution(&limits)
    };
    let levels = levels(&before.plan, &steps(before, &command.context.registry));
    command.start(new, &source, levels).await
}
