//! Saves and deletes schedules, and fires those that are due.

use jiff::Timestamp;
use lockstep_execution::{Due, Schedule, ScheduleError};
use lockstep_protocol::commands::{ScheduleDeleteRequested, ScheduleSaveRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Identity, Kind, MessageKey, Source};
use lockstep_store::{
    Effects, ExecutionTransaction, Facts, FollowUpRequest, FollowUpTarget, NewSchedule, Origin, ScheduleRow,
    StoreError,
};
use uuid::Uuid;

use super::plan::plan;
use super::runner::{Command, Decided, Done};
use super::sequence::{Related, load};
use super::tasks;
use crate::handlers::Rejection;

/// The time zone of a schedule without one.
const UTC: &str = "UTC";
/// The most schedules that fire in one transaction.
pub(super) const MOST_DUE: u32 = 100;

pub(super) async fn save(command: Command<'_>, request: &ScheduleSaveRequested) -> Decided {
    let time_zone = request.time_zone.clone().unwrap_or_else(|| UTC.to_owned());
    let schedule = match Schedule::new(&request.cron, &time_zone, command.now) {
        Ok(schedule) => schedule,
        Err(error) => return Ok(Err(invalid(&error))),
    };
    let Some(task) = command.executions.task(&request.task.task).await? else {
        return Ok(Err(tasks::unknown(&request.task.task, "$.data.task.task")));
    };
    let tasks = load(&mut *command.executions, Related::from(&task)).await?;
    if let Err(rejection) = plan(
        &command.context.registry,
        &task,
        &tasks,
        &request.task,
        "$.data.task",
    ) {
        return Ok(Err(rejection));
    }
    let saved = command
        .executions
        .save_schedule(&NewSchedule {
            name: request.name.clone(),
            cron: request.cron.clone(),
            time_zone,
            request: request.task.clone(),
            enabled: request.enabled,
            next_at: schedule.next(command.now),
            at: command.now,
            by: command.attempt.key.actor.as_deref().map(str::to_owned),
        })
        .await?;
    let what = match (saved.created, saved.changed) {
        (true, _) => "created",
        (false, true) => "replaced",
        (false, false) => "unchanged",
    };
    let next = schedule.next(command.now).filter(|_| request.enabled);
    let next = next.map_or_else(
        || "it is not active".to_owned(),
        |next| format!("it fires at {next}"),
    );
    let message = format!("schedule {} {what}; {next}", request.name);
    Ok(Ok(Done::applied(saved.changed, message).numbered(saved.number)))
}

pub(super) async fn delete(command: Command<'_>, request: &ScheduleDeleteRequested) -> Decided {
    if command.executions.delete_schedule(&request.name).await? {
        return Ok(Ok(Done::applied(
            true,
            format!("schedule {} deleted", request.name),
        )));
    }
    let reason = format!("no schedule is named {}", request.name);
    Ok(Err(Rejection::new(Code::UnknownSchedule, "$.data.name", reason)))
}

fn invalid(error: &ScheduleError) -> Rejection {
    let place = match error {
        ScheduleError::UnknownTimeZone(_) => "$.data.time_zone",
        ScheduleError::Fields { .. } | ScheduleError::Expression { .. } | ScheduleError::NeverFires(_) => {
            "$.data.cron"
        }
    };
    Rejection::new(Code::InvalidSchedule, place, error.to_string())
}

/// Fires the schedules that are due: each requests its task by a follow-up whose identity is derived from its name and the instant, so
/// that it is one message whoever fires it. Returns the causes of these follow-ups, and whether more schedules may be due.
pub(super) async fn fire(
    executions: &mut (dyn ExecutionTransaction + '_),
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(Vec<MessageKey>, bool), StoreError> {
    let due = executions.due_schedules(now, MOST_DUE).await?;
    let more = due.len() == MOST_DUE as usize;
    let mut causes = Vec::new();
    for row in due {
        let due = due_at(&row, now);
        if let Some(missed) = due.missed {
            tracing::warn!(schedule = row.name, %missed, "a schedule missed an instant, because no worker ran or it is too old; it is skipped");
        }
        if let Some(instant) = due.fires {
            tracing::info!(schedule = row.name, %instant, "schedule fires");
            let cause = MessageKey {
                identity: fired(&row.name, instant),
                actor: row.saved_by.as_deref().map(Into::into),
            };
            facts.absorb(request(&row), &origin(&cause, now));
            causes.push(cause);
        }
        executions
            .advance_schedule(row.number, due.fires, due.next_at)
            .await?;
    }
    Ok((causes, more))
}

/// What a schedule does now. One that cannot be read any more never fires again, until it is saved.
fn due_at(row: &ScheduleRow, now: Timestamp) -> Due {
    match Schedule::new(&row.cron, &row.time_zone, now) {
        Ok(schedule) => schedule.due(row.next_at.unwrap_or(now), now),
        Err(error) => {
            tracing::error!(schedule = row.name, %error, "a schedule cannot be read, and does not fire; save it again");
            Due {
                fires: None,
                missed: None,
                next_at: None,
            }
        }
    }
}

/// The identity of what a schedule does at an instant.
fn fired(schedule: &str, instant: Timestamp) -> Identity {
    let name = format!("schedule\0{schedule}\0{instant}");
    Identity {
        source: Source::worker(),
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).into(),
    }
}

fn origin(cause: &MessageKey, now: Timestamp) -> Origin<'_> {
    Origin {
        identity: &cause.identity,
        kind: Kind::TaskRequested,
        actor: cause.actor.as_deref(),
        at: now,
        reply: None,
    }
}

fn request(row: &ScheduleRow) -> Effects {
    let follow_up = FollowUpRequest {
        message: row.request.clone().into(),
        subject: None,
        target: FollowUpTarget::Lane(Lane::Executions),
        delay: None,
        lease: None,
    };
    Effects {
        follow_ups: vec![follow_up],
        ..Effects::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_of_a_schedule_is_one_message_whoever_fires_it() {
        let at = Timestamp::UNIX_EPOCH;
        let later = at + std::time::Duration::from_mins(1);
        assert_eq!(fired("nightly", at), fired("nightly", at));
        assert_ne!(fired("nightly", at), fired("nightly", later));
        assert_ne!(fired("nightly", at), fired("weekly", at));
    }
}
