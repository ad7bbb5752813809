//! Approvals of plans: who may approve one, and whether somebody may apply one.

use jiff::Timestamp;
use lockstep_protocol::Code;
use lockstep_protocol::commands::{ExecutionApproveRequested, ExecutionWithdrawApprovalRequested};
use lockstep_store::{ExecutionRow, PlanApproval};

use super::control::unknown;
use super::options::SyncOptions;
use super::persons::Persons;
use super::runner::{Command, Decided, Done};
use super::sync::check_plan;
use crate::handlers::Rejection;

const PLACE: &str = "$.data.execution";

pub(super) async fn approve(command: Command<'_>, request: &ExecutionApproveRequested) -> Decided {
    let options = &command.context.options.sync;
    let Some(plan) = command.executions.lock(request.execution).await? else {
        return Ok(Err(unknown()));
    };
    if let Err(reason) = check_plan(&plan, command.now, options) {
        return Ok(Err(Rejection::new(Code::NotAPlan, PLACE, reason)));
    }
    let by = match approver(&plan, command.attempt.key.actor.as_deref(), &options.persons) {
        Ok(by) => by,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let approval = PlanApproval {
        plan: plan.number,
        by: by.to_owned(),
        at: command.now,
        expires_at: expiry(&plan, command.now, options),
        note: request.note.clone(),
    };
    command.executions.approve(&approval).await?;
    let message = format!(
        "plan {} is approved by {by} until {:.0}; somebody else than {by} may apply it (`lockstep sync apply {}`)",
        plan.number, approval.expires_at, plan.number
    );
    Ok(Ok(Done::applied(true, message).about(plan.id)))
}

pub(super) async fn withdraw(command: Command<'_>, request: &ExecutionWithdrawApprovalRequested) -> Decided {
    let Some(plan) = command.executions.lock(request.execution).await? else {
        return Ok(Err(unknown()));
    };
    let Some(by) = command.attempt.key.actor.as_deref() else {
        return Ok(Err(anonymous()));
    };
    let changed = command.executions.withdraw_approval(plan.number, by).await?;
    let message = if changed {
        format!("the approval of plan {} by {by} is withdrawn", plan.number)
    } else {
        format!("plan {} is not approved by {by}", plan.number)
    };
    Ok(Ok(Done::applied(changed, message).about(plan.id)))
}

/// Who approves a plan, if that sender may. Pure.
fn approver<'a>(
    plan: &ExecutionRow,
    sender: Option<&'a str>,
    persons: &Persons,
) -> Result<&'a str, Rejection> {
    let Some(sender) = sender else {
        return Err(anonymous());
    };
    match &plan.request.actor {
        Some(made_by) if persons.are_same(made_by, sender) => {
            let reason = format!(
                "plan {} was requested by {}, and somebody else has to approve it",
                plan.number,
                named(made_by, persons)
            );
            Err(Rejection::new(Code::SelfApproval, PLACE, reason))
        }
        _ => Ok(sender),
    }
}

/// When an approval ceases to count: at the latest when the plan expires. Pure.
fn expiry(plan: &ExecutionRow, now: Timestamp, options: &SyncOptions) -> Timestamp {
    let approval = now + options.approval_valid;
    let plan = plan.ended_at.map(|ended_at| ended_at + options.plan_expires);
    plan.map_or(approval, |plan| plan.min(approval))
}

/// Whether `sender` may apply a plan: where approval is required, only with an approval that counts by a person who neither made the plan
/// nor applies it. `place` is what names the plan. Pure.
pub(super) fn check_approved(
    plan: &ExecutionRow,
    approvals: &[PlanApproval],
    sender: Option<&str>,
    now: Timestamp,
    options: &SyncOptions,
    place: &str,
) -> Result<(), Rejection> {
    if !options.approval_required {
        return Ok(());
    }
    let persons = &options.persons;
    let Some(sender) = sender else {
        return Err(anonymous());
    };
    let of_others = approvals.iter().filter(|approval| {
        let made_by = plan.request.actor.as_deref();
        !made_by.is_some_and(|made_by| persons.are_same(made_by, &approval.by))
    });
    let (own, others): (Vec<_>, Vec<_>) =
        of_others.partition(|approval| persons.are_same(&approval.by, sender));
    if others.iter().any(|approval| now < approval.expires_at) {
        return Ok(());
    }
    let number = plan.number;
    let found = match (others.iter().max_by_key(|approval| approval.expires_at), &own[..]) {
        (Some(expired), _) => format!(
            "its approval by {} expired at {:.0}",
            expired.by, expired.expires_at
        ),
        (None, [own, ..]) => format!("{} approved it, and so cannot apply it", own.by),
        (None, []) => "nobody has approved it".to_owned(),
    };
    let mut neither = vec![named(sender, persons)];
    if let Some(made_by) = plan.request.actor.as_deref()
        && !persons.are_same(made_by, sender)
    {
        neither.push(named(made_by, persons));
    }
    let reason = format!(
        "plan {number} is not approved: {found}; somebody other than {} has to approve it (`lockstep sync approve {number}`)",
        neither.join(" and ")
    );
    Err(Rejection::new(Code::NotApproved, place, reason))
}

/// A sender, and who that is if its name does not tell.
fn named(sender: &str, persons: &Persons) -> String {
    match persons.of(sender) {
        person if person == sender => sender.to_owned(),
        person => format!("{sender} ({person})"),
    }
}

fn anonymous() -> Rejection {
    let reason = "a message without an authenticated sender neither approves nor applies a plan: send it to the console, or set the AMQP \
                  property user_id to the name of your broker user";
    Rejection::new(Code::NotAllowed, "$.actor", reason)
}

#[cfg(test)]
mod tests;
