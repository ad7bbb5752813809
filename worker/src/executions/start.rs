//! Begins executions: stores them with their elements, in the transaction that accepts the request.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_execution::{Event, Registry, Staged, execution_cap, initially};
use lockstep_protocol::access_limits::{Reach, reach};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested};
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Kind, MessageKey, WorkResult};
use lockstep_store::{
    CapScope, ElementLevels, ElementSource, ExecutionRow, ExecutionTransaction, Facts, LeftOut, NewExecution,
    StartedExecution, StoreError, TaskRow,
};
use uuid::Uuid;

use super::ExecutionContext;
use super::advance::{Aftermath, advance, caps_of_all, release_own};
use super::cluster::{Turn, turn};
use super::control::rest;
use super::names;
use super::phase::{main, stages};
use super::plan::{Plan, plan};
use super::runner::{Command, Decided, Done};
use super::sequence::{Related, load};
use super::{tasks, workflow};
use crate::handlers::{Rejection, limits};

/// The most names of devices in a rejection.
const MOST_NAMED: usize = 10;

/// The execution itself, whose number is not known before it is stored.
const ITSELF: CapScope = CapScope::Execution(0);

pub(super) async fn run(command: Command<'_>, request: &TaskRequested) -> Decided {
    let Some(task) = command.executions.task(&request.task).await? else {
        return Ok(Err(tasks::unknown(&request.task, "$.data.task")));
    };
    let registry = &command.context.registry;
    let checked = workflow::check_saved(&mut *command.executions, registry, &task, "$.data.task").await?;
    if let Err(rejection) = checked {
        return Ok(Err(rejection));
    }
    let blank = command.new_execution(&request.limits);
    match planned(&mut *command.executions, registry, task, request, blank).await? {
        Ok((new, source, levels)) => command.start(new, &source, levels).await,
        Err(rejection) => Ok(Err(rejection)),
    }
}

/// What an execution of a task is stored with, for a request which is at `$.data` in a message. `blank` says who requests it.
pub(super) async fn planned(
    executions: &mut (dyn ExecutionTransaction + '_),
    registry: &Registry,
    task: TaskRow,
    request: &TaskRequested,
    blank: NewExecution,
) -> Result<Result<(NewExecution, ElementSource, ElementLevels), Rejection>, StoreError> {
    let request = match names::resolve(executions, request).await? {
        Ok(request) => request,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let tasks = load(executions, Related::from(&task)).await?;
    let Plan {
        run_on,
        source,
        arguments,
        pre_tasks,
        post_tasks,
        stages,
        levels,
        lane,
    } = match plan(registry, &task, &tasks, &request, "$.data") {
        Ok(plan) => plan,
        Err(rejection) => return Ok(Err(rejection)),
    };
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
        ..blank
    };
    Ok(Ok((new, source, levels)))
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
            parent: None,
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
        self,
        new: NewExecution,
        source: &ElementSource,
        levels: ElementLevels,
    ) -> Decided {
        let starting = Starting {
            context: self.context,
            executions: self.executions,
            facts: self.facts,
            now: self.now,
        };
        let id = id(&self.attempt.key)?;
        starting.start(id, new, source, levels, &StepOf::default()).await
    }
}

/// The transaction in which an execution is stored.
pub(super) struct Starting<'a> {
    pub(super) context: &'a ExecutionContext,
    pub(super) executions: &'a mut (dyn ExecutionTransaction + 'a),
    pub(super) facts: &'a mut Facts,
    pub(super) now: Timestamp,
}

/// What a workflow says about the execution of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct StepOf {
    /// The earlier steps: entities whose element was not done there are left out.
    pub(super) left_out_by: BTreeSet<u64>,
    /// Whether the execution of the workflow is paused.
    pub(super) paused: bool,
}

impl Starting<'_> {
    pub(super) async fn start(
        mut self,
        id: Uuid,
        new: NewExecution,
        source: &ElementSource,
        levels: ElementLevels,
        step: &StepOf,
    ) -> Decided {
        let caps = caps_of_all(own_cap(&new), &new.provider, &self.context.options.caps);
        let cancelled = self.executions.was_cancelled(id).await?;
        let (mut queued, mut waits_for) = initially(u64::MAX, &caps);
        if let Some(cluster) = new.cluster().filter(|_| !cancelled) {
            match turn(self.executions, &new, &cluster).await? {
                Turn::Begins => {}
                // A workflow looks at the executions that are its own.
                Turn::Joins(row) if new.parent.is_none() => return Ok(Ok(joined(&row))),
                Turn::Waits | Turn::Joins(_) => (queued, waits_for) = (0, Some(cluster)),
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
        if let Some(rejection) = self.outside_limits(&new, number).await? {
            return Ok(Err(rejection));
        }
        let missing = || StoreError::Corrupt {
            what: "execution.id".to_owned(),
            reason: "an execution that was stored is not there".to_owned(),
        };
        let mut row = self.executions.lock(id).await?.ok_or_else(missing)?;
        self.leave_out(&mut row, step).await?;
        let event = if cancelled {
            Event::CancelRequested { by: None }
        } else {
            Event::Started
        };
        let mut aftermath = self.follow(&mut row, event).await?;
        if step.paused {
            aftermath.join(self.follow(&mut row, Event::PauseRequested).await?);
        } else if !step.left_out_by.is_empty()
            && row.ended_at.is_none()
            && super::advance::own_cap(&row).is_some()
        {
            // Places that were meant for elements that are left out.
            aftermath
                .queued
                .extend(release_own(&mut *self.executions, &row, grace).await?);
        }
        tracing::info!(execution = %id, number, task = new.task, provider = new.provider, elements, dry_run = new.requested.dry_run, actor = new.actor, "execution accepted");
        let ended = aftermath.ended.pop();
        let accepted = ExecutionAccepted {
            execution: id,
            elements,
            dry_run: new.requested.dry_run,
            actor: new.actor.clone(),
        };
        Ok(Ok(Done {
            result: WorkResult::ExecutionAccepted(accepted),
            ended,
            rest: rest(&row, &aftermath),
            aftermath,
            started: (queued > 0).then_some((number, new.lane, queued.min(stage_elements))),
        }))
    }

    /// Why the sender may not run this execution, whose elements are stored: it runs on what the sender is not allowed to command.
    async fn outside_limits(
        &mut self,
        new: &NewExecution,
        number: u64,
    ) -> Result<Option<Rejection>, StoreError> {
        let Some(actor) = new.actor.as_deref() else {
            return Ok(None);
        };
        let limits = self.executions.access_limits(actor).await?;
        let task = new.task.as_str();
        let groups = match reach(&limits, Some(task)) {
            Reach::Everything => return Ok(None),
            Reach::Groups(groups) => groups,
            Reach::Nothing => {
                let reason = format!("{actor} is limited to other tasks than {task}");
                return Ok(Some(Rejection::new(Code::NotAllowed, "$.data.task", reason)));
            }
        };
        let outside = self.executions.elements_outside(number, &groups).await?;
        let (named, more) = outside.split_at(outside.len().min(MOST_NAMED));
        Ok((!named.is_empty()).then(|| limits::outside(actor, "$.data", named, !more.is_empty())))
    }

    /// Skips what was not done in earlier steps, before anything follows from the counts.
    async fn leave_out(&mut self, row: &mut ExecutionRow, step: &StepOf) -> Result<(), StoreError> {
        let LeftOut {
            elements,
            in_first_stage,
        } = self.executions.leave_out(row.number, &step.left_out_by).await?;
        if elements > 0 {
            row.counts.skipped += elements;
            row.stage.elements = row.stage.elements.saturating_sub(in_first_stage);
            self.executions.update(row).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, row: &mut ExecutionRow, event: Event) -> Result<Aftermath, StoreError> {
        let options = &self.context.options;
        let grace = options.overdue_after;
        advance(
            &mut *self.executions,
            self.facts,
            row,
            event,
            self.now,
            options,
            grace,
        )
        .await
    }
}

/// The answer to a request that an execution fulfils which is there and has not begun.
fn joined(row: &ExecutionRow) -> Done {
    tracing::info!(execution = %row.id, task = row.request.task, "a request joins an execution that does the same and has not begun");
    let accepted = ExecutionAccepted {
        execution: row.id,
        elements: row.counts.elements,
        dry_run: row.request.requested.dry_run,
        actor: row.request.actor.clone(),
    };
    Done::with(WorkResult::ExecutionAccepted(accepted))
}

/// The id of the execution that a message requests: a redelivery requests the same one.
pub(super) fn id(key: &MessageKey) -> Result<Uuid, StoreError> {
    let derived = key.derive(Kind::ExecutionAccepted, 0);
    derived
        .as_str()
        .parse()
        .map_err(|error: uuid::Error| StoreError::Corrupt {
            what: "the id of an execution".to_owned(),
            reason: error.to_string(),
        })
}

pub(super) fn deadline(limits: &RunLimits, now: Timestamp) -> Option<Timestamp> {
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
