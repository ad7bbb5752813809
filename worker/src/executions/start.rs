//! Begins executions: stores them with their elements, in the transaction that accepts the request.

use jiff::Timestamp;
use lockstep_execution::{Event, Staged, execution_cap, initially};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested};
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Kind, WorkResult};
use lockstep_store::{
    CapScope, ElementLevels, ElementSource, ExecutionRow, NewExecution, StartedExecution, StoreError,
};
use uuid::Uuid;

use super::advance::caps_of_all;
use super::cluster::{Turn, turn};
use super::control::rest;
use super::names;
use super::phase::{main, stages};
use super::plan::{Plan, plan};
use super::runner::{Command, Decided, Done};
use super::sequence::{Related, load};
use super::tasks;
use crate::handlers::Rejection;
use crate::runtime::Attempt;

/// The execution itself, whose number is not known before it is stored.
const ITSELF: CapScope = CapScope::Execution(0);

pub(super) async fn run(command: Command<'_>, request: &TaskRequested) -> Decided {
    let Some(task) = command.executions.task(&request.task).await? else {
        return Ok(Err(tasks::unknown(&request.task, "$.data.task")));
    };
    let request = match names::resolve(&mut *command.executions, request).await? {
        Ok(request) => request,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let tasks = load(&mut *command.executions, Related::from(&task)).await?;
    let Plan {
        run_on,
        source,
        arguments,
        pre_tasks,
        post_tasks,
        stages,
        levels,
        lane,
    } = match plan(&command.context.registry, &task, &tasks, &request, "$.data") {
        Ok(plan) => plan,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let limits = request.limits;
    let new = NewExecution {
        task_number: task.number,
        task: task.name,
        provider: task.provider,
        task_arguments: task.arguments,
        requested: TaskRequested { arguments, ..request },
        run_input_json_schema: task.run_input_json_schema,
        run_on,
        pre_tasks,
        post_tasks,
        plan: stages,
        lane,
        relaunch_of: None,
        ..command.new_execution(&limits)
    };
    command.start(new, &source, levels).await
}

impl Command<'_> {
    /// What the message says about a new execution, apart from its task.
    pub(super) fn new_execution(&self, limits: &RunLimits) -> NewExecution {
        let attempt = self.attempt;
        NewExecution {
            task_number: 0,
            task: String::new(),
            provider: String::new(),
            task_arguments: serde_json::Value::Null,
            requested: TaskRequested {
                task: "".into(),
                execute_on: Vec::new(),
                execute_on_names: Vec::new(),
                execute_on_type: ExecuteOn::Global,
                dry_run: true,
                arguments: serde_json::Value::Null,
                limits: *limits,
            },
            run_on: ExecuteOn::Global,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            plan: Vec::new(),
            lane: Lane::Devices,
            relaunch_of: None,
            identity: attempt.key.identity.clone(),
            kind: attempt.envelope.message.kind(),
            actor: attempt.key.actor.as_deref().map(str::to_owned),
            reply: attempt.reply().clone(),
            at: self.now,
            deadline_at: deadline(limits, self.now),
        }
    }

    /// Stores an execution with its elements, and what follows at once: one without elements ends, and one that was cancelled before it
    /// existed.
    pub(super) async fn start(
        mut self,
        new: NewExecution,
        source: &ElementSource,
        levels: ElementLevels,
    ) -> Decided {
        let id = id(self.attempt)?;
        let caps = caps_of_all(own_cap(&new), &new.provider, &self.context.options.caps);
        let cancelled = self.executions.was_cancelled(id).await?;
        let (mut queued, mut waits_for) = initially(u64::MAX, &caps);
        if let Some(cluster) = new.cluster().filter(|_| !cancelled) {
            match turn(self.executions, &new, &cluster).await? {
                Turn::Begins => {}
                Turn::Waits => (queued, waits_for) = (0, Some(cluster)),
                Turn::Joins(row) => return Ok(Ok(joined(&row))),
            }
        }
        let queued = if cancelled { 0 } else { queued };
        let grace = self.context.options.overdue_after;
        let started = self
            .executions
            .start(
                id,
                &new,
                source,
                levels,
                queued,
                &waits_for.unwrap_or(ITSELF),
                grace,
            )
            .await?;
        let StartedExecution {
            number,
            elements,
            stage_elements,
            missing,
        } = started;
        if !missing.is_empty() {
            return Ok(Err(missing_entities(&new, &missing)));
        }
        let missing = || StoreError::Corrupt {
            what: "execution.id".to_owned(),
            reason: "an execution that was stored is not there".to_owned(),
        };
        let mut row = self.executions.lock(id).await?.ok_or_else(missing)?;
        let event = if cancelled {
            Event::CancelRequested { by: None }
        } else {
            Event::Started
        };
        let mut aftermath = self.follow(&mut row, event).await?;
        tracing::info!(execution = %id, number, task = new.task, provider = new.provider, elements, dry_run = new.requested.dry_run, actor = new.actor, "execution accepted");
        let ended = aftermath.ended.pop();
        let accepted = ExecutionAccepted {
            execution: id,
            elements,
            dry_run: new.requested.dry_run,
        };
        Ok(Ok(Done {
            result: WorkResult::ExecutionAccepted(accepted),
            ended,
            rest: rest(&row, &aftermath),
            aftermath,
            started: (queued > 0).then_some((number, new.lane, queued.min(stage_elements))),
        }))
    }
}

/// The answer to a request that an execution fulfils which is there and has not begun.
fn joined(row: &ExecutionRow) -> Done {
    tracing::info!(execution = %row.id, task = row.request.task, "a request joins an execution that does the same and has not begun");
    let accepted = ExecutionAccepted {
        execution: row.id,
        elements: row.counts.elements,
        dry_run: row.request.requested.dry_run,
    };
    Done::with(WorkResult::ExecutionAccepted(accepted))
}

/// The id of the execution that a message requests: a redelivery requests the same one.
fn id(attempt: &Attempt) -> Result<Uuid, StoreError> {
    let derived = attempt.key.derive(Kind::ExecutionAccepted, 0);
    derived
        .as_str()
        .parse()
        .map_err(|error: uuid::Error| StoreError::Corrupt {
            what: "the id of an execution".to_owned(),
            reason: error.to_string(),
        })
}

fn deadline(limits: &RunLimits, now: Timestamp) -> Option<Timestamp> {
    let seconds = limits.deadline_seconds?.get();
    Some(now + std::time::Duration::from_secs(seconds.into()))
}

/// How many elements of the first stage of a new execution may run at once by its own limits.
fn own_cap(new: &NewExecution) -> Option<(CapScope, u32)> {
    let limits = new.limits();
    let is_staged = stages(new).canary(main(new)) == 0;
    let staged = is_staged.then_some(Staged {
        in_canary: limits.canary.is_some(),
        ..Staged::default()
    });
    execution_cap(limits, staged).map(|cap| (ITSELF, cap))
}

fn missing_entities(new: &NewExecution, missing: &[u64]) -> Rejection {
    let ids: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let kind = new.requested.execute_on_type;
    let reason = format!("no {kind} has the id {}; nothing runs", ids.join(", "));
    Rejection::new(Code::WrongEntity, "$.data.execute_on", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_from_the_acceptance() {
        let limits = RunLimits {
            deadline_seconds: std::num::NonZeroU32::new(90),
            ..RunLimits::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(deadline(&limits, now), Timestamp::from_second(90).ok());
        assert_eq!(deadline(&RunLimits::default(), now), None);
    }
}
