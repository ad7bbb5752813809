//! Cancels, pauses and resumes one execution, and stops and resumes all of them.

use lockstep_execution::Event;
use lockstep_protocol::Code;
use lockstep_protocol::commands::{ExecutionCancelRequested, ExecutionsStopRequested};
use lockstep_store::{CapScope, ExecutionRow, StopRow, StoreError};
use uuid::Uuid;

use super::advance::{Aftermath, CHUNK, advance};
use super::runner::{Command, Decided, Done, Rest};
use super::workflow::MOST_DEPTH;
use crate::handlers::Rejection;

pub(super) async fn cancel(mut command: Command<'_>, request: &ExecutionCancelRequested) -> Decided {
    let by = command.attempt.key.actor.as_deref().map(str::to_owned);
    let Some(mut row) = command.executions.lock(request.execution).await? else {
        let now = command.now;
        command
            .executions
            .cancel_unknown(request.execution, now, by.as_deref())
            .await?;
        let message = "no execution has this id yet; if one is accepted with it, it ends at once";
        return Ok(Ok(Done::applied(true, message).about(request.execution)));
    };
    let before = row.halt;
    if row.state.is_final() {
        return Ok(Ok(ended(&row)));
    }
    let event = Event::CancelRequested { by };
    let aftermath = command.follow_with_steps(&mut row, &event).await?;
    let message = if row.state.is_final() {
        "the execution was cancelled, and ended".to_owned()
    } else {
        let open = row.counts.open();
        format!("the execution is cancelled; {open} of its elements have not ended yet")
    };
    Ok(Ok(Done {
        rest: rest(&row, &aftermath),
        aftermath,
        ..Done::applied(row.halt != before || row.state.is_final(), message).about(row.id)
    }))
}

pub(super) async fn pause(mut command: Command<'_>, execution: Uuid) -> Decided {
    let Some(mut row) = command.executions.lock(execution).await? else {
        return Ok(Err(unknown()));
    };
    if row.state.is_final() {
        return Ok(Ok(ended(&row)));
    }
    let changed = !row.paused;
    let aftermath = command
        .follow_with_steps(&mut row, &Event::PauseRequested)
        .await?;
    let message = if changed {
        "no more elements of the execution begin until it is resumed"
    } else {
        "the execution is paused already"
    };
    Ok(Ok(Done {
        aftermath,
        ..Done::applied(changed, message).about(row.id)
    }))
}

pub(super) async fn resume(mut command: Command<'_>, execution: Uuid) -> Decided {
    let Some(mut row) = command.executions.lock(execution).await? else {
        return Ok(Err(unknown()));
    };
    if row.state.is_final() {
        return Ok(Ok(ended(&row)));
    }
    let changed = row.paused;
    let aftermath = command
        .follow_with_steps(&mut row, &Event::ResumeRequested)
        .await?;
    let message = if changed {
        "the execution goes on"
    } else {
        "the execution was not paused"
    };
    Ok(Ok(Done {
        aftermath,
        ..Done::applied(changed, message).about(row.id)
    }))
}

pub(super) async fn stop_all(command: Command<'_>, request: &ExecutionsStopRequested) -> Decided {
    let stop = StopRow {
        at: command.now,
        by: command.attempt.key.actor.as_deref().map(str::to_owned),
        note: request.note.clone(),
    };
    let changed = command.executions.set_stop(Some(&stop)).await?;
    let message = if changed {
        "nothing more begins until all executions are resumed; what runs finishes"
    } else {
        "all executions are stopped already"
    };
    Ok(Ok(Done::applied(changed, message)))
}

pub(super) async fn resume_all(command: Command<'_>) -> Decided {
    let changed = command.executions.set_stop(None).await?;
    let grace = command.context.options.overdue_after;
    let queued = command.executions.release(&CapScope::Stop, CHUNK, grace).await?;
    let message = if changed {
        "executions go on"
    } else {
        "executions were not stopped"
    };
    Ok(Ok(Done {
        rest: if queued.len() >= CHUNK as usize {
            Rest::Release
        } else {
            Rest::Nothing
        },
        aftermath: Aftermath {
            queued,
            ..Aftermath::default()
        },
        ..Done::applied(changed, message)
    }))
}

/// What later transactions have to do for an execution.
pub(super) fn rest(row: &ExecutionRow, aftermath: &Aftermath) -> Rest {
    if aftermath.more {
        Rest::Settle(row.number)
    } else {
        Rest::Nothing
    }
}

impl Command<'_> {
    /// Applies an event to an execution that is locked, and, if that is one of a workflow, to the step that it waits for, and to what that
    /// waits for. Steps are locked after their workflow, which has the smaller number.
    async fn follow_with_steps(
        &mut self,
        row: &mut ExecutionRow,
        event: &Event,
    ) -> Result<Aftermath, StoreError> {
        let mut aftermath = self.follow(row, event.clone()).await?;
        let mut of = row.number;
        for _ in 0..MOST_DEPTH {
            let Some(id) = self.executions.open_step(of).await? else {
                break;
            };
            let Some(mut step) = self.executions.lock(id).await? else {
                break;
            };
            of = step.number;
            aftermath.join(self.follow(&mut step, event.clone()).await?);
        }
        Ok(aftermath)
    }

    /// Applies an event to an execution that is locked.
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

fn ended(row: &ExecutionRow) -> Done {
    Done::applied(false, format!("the execution ended before: {}", row.state)).about(row.id)
}

pub(super) fn unknown() -> Rejection {
    let reason = "no execution has this id; `lockstep executions list` shows them";
    Rejection::new(Code::UnknownExecution, "$.data.execution", reason)
}
