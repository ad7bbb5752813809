//! Syncs: the message that requests them, and what their elements tell. A sync is an execution of the provider `sync` on devices.

use jiff::Timestamp;
use lockstep_execution::or_empty;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::commands::{
    ExecuteOn, SyncAction, SyncRequested, SyncTargets, TaskReference, TaskRequested,
};
use lockstep_protocol::results::ElementFinished;
use lockstep_protocol::{Code, DeviceState, SyncTarget};
use lockstep_store::{
    ElementSource, ExecutionRow, ExecutionTransaction, NewExecution, StoreError, SyncBound, SyncDevices,
    SyncSource,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::approvals::check_approved;
use super::options::SyncOptions;
use super::phase::levels;
use super::plan::{provider, stages};
use super::runner::{Command, Decided};
use crate::handlers::{Rejection, device_type};

/// The provider of syncs.
pub(super) const PROVIDER: &str = "sync";

/// Begins a sync.
pub(super) async fn sync(mut command: Command<'_>, request: &SyncRequested) -> Decided {
    let wanted = match check(request, &command.context.options.sync) {
        Ok(wanted) => wanted,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let looked_up = look_up(&mut command, request, wanted).await?;
    let (source, force) = match looked_up {
        Ok(found) => found,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let registry = &command.context.registry;
    let provider = match provider(registry, PROVIDER, "$.type") {
        Ok(provider) => provider,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let task_arguments = arguments(request, force);
    let steps = [provider.steps(&or_empty(&task_arguments))];
    let plan = stages(0, &steps);
    let levels = levels(&plan, &steps);
    let new = NewExecution {
        task: PROVIDER.to_owned(),
        provider: PROVIDER.to_owned(),
        task_arguments,
        requested: TaskRequested {
            task: TaskReference::Name(PROVIDER.to_owned()),
            execute_on: Vec::new(),
            execute_on_names: Vec::new(),
            execute_on_type: ExecuteOn::Device,
            dry_run: request.dry_run,
            arguments: Value::Null,
            limits: request.limits,
        },
        run_on: ExecuteOn::Device,
        plan,
        lane: provider.properties().lane,
        ..command.new_execution(&request.limits)
    };
    command.start(new, &ElementSource::Sync(source), levels).await
}

/// Which devices a request is about.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Targets(SyncTarget),
    Plan(Uuid),
    Rollback(Uuid),
}

/// Checks what can be checked without the store. Pure.
fn check(request: &SyncRequested, options: &SyncOptions) -> Result<Wanted, Rejection> {
    let invalid = |place: &str, reason: &str| Err(Rejection::new(Code::InvalidData, place, reason));
    let wanted = match (&request.targets, request.plan, request.rollback) {
        (Some(targets), None, None) => Wanted::Targets(target(targets)),
        (None, Some(plan), None) => Wanted::Plan(plan),
        (None, None, Some(execution)) => Wanted::Rollback(execution),
        _ => {
            return invalid(
                "$.data",
                "say which devices by exactly one of targets, plan and rollback",
            );
        }
    };
    let synchronizes = request.action == SyncAction::Synchronize;
    if !synchronizes && !matches!(wanted, Wanted::Targets(_)) {
        return invalid("$.data.action", "plan and rollback go with synchronize only");
    }
    match &wanted {
        Wanted::Targets(target) => {
            let of_one = matches!(
                request.action,
                SyncAction::AcceptDrift | SyncAction::ListSessions | SyncAction::AbortSession
            );
            if of_one && !matches!(target, SyncTarget::Hostname(_)) {
                return invalid(
                    "$.data.targets",
                    "this action is for one device; name its hostname",
                );
            }
        }
        Wanted::Plan(_) => {
            if request.dry_run {
                return invalid(
                    "$.data.dry_run",
                    "a plan is a dry run already; to apply it, set dry_run to false",
                );
            }
            if request.force || request.resync {
                let place = if request.force {
                    "$.data.force"
                } else {
                    "$.data.resync"
                };
                return invalid(
                    place,
                    "it is applied as it was planned: leave out force and resync",
                );
            }
        }
        Wanted::Rollback(_) => {
            if !request.dry_run {
                return invalid(
                    "$.data.dry_run",
                    "the way back is planned first: leave out dry_run, look at the plan, and apply it",
                );
            }
        }
    }
    if request.commit.is_some() && request.action != SyncAction::Render {
        return invalid("$.data.commit", "only render takes a commit");
    }
    match (request.action, &request.session) {
        (SyncAction::AbortSession, None) => return invalid("$.data.session", "name the session to abort"),
        (SyncAction::AbortSession, _) | (_, None) => {}
        _ => return invalid("$.data.session", "only abort-session takes a session"),
    }
    let is_planned = request.dry_run || matches!(wanted, Wanted::Plan(_));
    if options.approval_required && synchronizes && !is_planned {
        let reason = "this site changes devices only by approved plans (sync.approval): plan it (`lockstep sync plan`), let somebody \
            else approve the plan (`lockstep sync approve`), and apply it (`lockstep sync apply`)";
        return Err(Rejection::new(Code::PlanRequired, "$.data.dry_run", reason));
    }
    Ok(wanted)
}

fn target(targets: &SyncTargets) -> SyncTarget {
    match targets {
        SyncTargets::All => SyncTarget::All,
        SyncTargets::Hostname(hostname) => SyncTarget::Hostname(hostname.clone()),
        SyncTargets::DeviceType(device_type) => SyncTarget::DeviceType(device_type.clone()),
        SyncTargets::Group(group) => SyncTarget::Group(group.clone()),
    }
}

/// Looks up what a request names. Returns which devices become elements, and whether changes that were made outside are overwritten.
async fn look_up(
    command: &mut Command<'_>,
    request: &SyncRequested,
    wanted: Wanted,
) -> Result<Result<(SyncSource, bool), Rejection>, StoreError> {
    let bound_to = |bound| SyncSource {
        devices: SyncDevices::Bound,
        bound,
    };
    match wanted {
        Wanted::Targets(target) => {
            if let Err(rejection) =
                check_target(&mut *command.executions, &target, &command.context.types).await?
            {
                return Ok(Err(rejection));
            }
            let synchronized = request.resync || request.action != SyncAction::Synchronize;
            let source = SyncSource {
                devices: SyncDevices::Target { target, synchronized },
                bound: SyncBound::Accepted,
            };
            Ok(Ok((source, request.force)))
        }
        Wanted::Plan(plan) => {
            const PLACE: &str = "$.data.plan";
            let row = match plan_to_apply(command, plan, PLACE).await? {
                Ok(row) => row,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let force = row.request.task_arguments["force"] == true;
            Ok(Ok((bound_to(SyncBound::Plan(row.number)), force)))
        }
        Wanted::Rollback(execution) => {
            const PLACE: &str = "$.data.rollback";
            let Some(row) = command.executions.lock(execution).await? else {
                return Ok(Err(unknown(PLACE)));
            };
            if let Err(rejection) = check_rollback(&row, PLACE) {
                return Ok(Err(rejection));
            }
            Ok(Ok((bound_to(SyncBound::PreviousOf(row.number)), request.force)))
        }
    }
}

/// Locks a plan that the sender of the command may apply. `place` is what names it.
async fn plan_to_apply(
    command: &mut Command<'_>,
    plan: Uuid,
    place: &str,
) -> Result<Result<ExecutionRow, Rejection>, StoreError> {
    let options = &command.context.options.sync;
    let Some(row) = command.executions.lock(plan).await? else {
        return Ok(Err(unknown(place)));
    };
    if let Err(reason) = check_plan(&row, command.now, options) {
        return Ok(Err(Rejection::new(Code::NotAPlan, place, reason)));
    }
    let approvals = command.executions.approvals(row.number).await?;
    let sender = command.attempt.key.actor.as_deref();
    let approved = check_approved(&row, &approvals, sender, command.now, options, place);
    Ok(approved.map(|()| row))
}

/// Rejects targets that cannot be meant: a group or a type that does not exist, and a named device that is not MANAGED.
async fn check_target(
    executions: &mut dyn ExecutionTransaction,
    target: &SyncTarget,
    types: &DeviceTypes,
) -> Result<Result<(), Rejection>, StoreError> {
    let rejected = |code, place, reason: String| Ok(Err(Rejection::new(code, place, reason)));
    match target {
        SyncTarget::All => Ok(Ok(())),
        SyncTarget::DeviceType(device_type) => Ok(device_type::check(
            device_type,
            types,
            "$.data.targets.device_type",
        )),
        SyncTarget::Group(group) => {
            let found = executions.named(ExecuteOn::Group, &[group.to_string()]).await?;
            if found.unknown.is_empty() || group.as_str() == lockstep_store::DEFAULT_GROUP {
                return Ok(Ok(()));
            }
            let reason = format!("no group is named {group}; `lockstep groups list` shows them");
            rejected(Code::WrongEntity, "$.data.targets.group", reason)
        }
        SyncTarget::Hostname(hostname) => {
            const PLACE: &str = "$.data.targets.hostname";
            match executions.device_state(hostname).await? {
                Some(DeviceState::Managed) => Ok(Ok(())),
                Some(state) => {
                    let reason = format!(
                        "{hostname} is {state}, and only MANAGED devices are contacted; `lockstep devices set-state {hostname} MANAGED` \
                         makes it one"
                    );
                    rejected(Code::NotManaged, PLACE, reason)
                }
                None => {
                    let reason = format!(
                        "no device is named {hostname}; `lockstep devices list` shows them. Upper and lower case differ"
                    );
                    rejected(Code::UnknownDevice, PLACE, reason)
                }
            }
        }
    }
}

/// Why an execution is no plan that can be approved or applied now. Pure.
pub(super) fn check_plan(row: &ExecutionRow, now: Timestamp, options: &SyncOptions) -> Result<(), String> {
    let request = &row.request;
    let synchronizes = request.task_arguments["action"] == json!(SyncAction::Synchronize);
    if request.provider != PROVIDER || !request.requested.dry_run || !synchronizes {
        return Err(
            "the execution is no plan: only a dry run of a sync can be approved and applied".to_owned(),
        );
    }
    let Some(ended_at) = row.ended_at.filter(|_| row.state.is_final()) else {
        return Err("the plan has not ended; wait for its end (`lockstep executions watch`)".to_owned());
    };
    if now > ended_at + options.plan_expires {
        let hours = options.plan_expires.as_secs() / 3600;
        return Err(format!(
            "the plan ended at {ended_at:.0}, and plans expire after {hours} h (sync.plan_expires); plan again"
        ));
    }
    Ok(())
}

/// Why an execution cannot be taken back. Pure.
fn check_rollback(row: &ExecutionRow, place: &str) -> Result<(), Rejection> {
    let request = &row.request;
    if request.provider != PROVIDER || request.requested.dry_run {
        let reason = "the execution pushed nothing: only a sync that was no dry run can be taken back";
        return Err(Rejection::new(Code::InvalidData, place, reason));
    }
    if !row.state.is_final() {
        let reason = format!("the execution is {}; wait for its end, or cancel it", row.state);
        return Err(Rejection::new(Code::ExecutionNotEnded, place, reason));
    }
    Ok(())
}

fn unknown(place: &str) -> Rejection {
    let reason = "no execution has this id; `lockstep executions list` shows them";
    Rejection::new(Code::UnknownExecution, place, reason)
}

/// The arguments of the execution: what the provider needs, and which devices were asked for. What is not said is left out.
fn arguments(request: &SyncRequested, force: bool) -> Value {
    let mut arguments = json!({"action": request.action, "force": force});
    let optional = [
        ("plan", request.plan.map(|plan| json!(plan))),
        ("rollback", request.rollback.map(|execution| json!(execution))),
        ("commit", request.commit.as_ref().map(|commit| json!(commit))),
        ("session", request.session.as_ref().map(|session| json!(session))),
        ("targets", request.targets.as_ref().map(|targets| json!(targets))),
        ("resync", request.resync.then_some(Value::Bool(true))),
        ("note", request.note.as_ref().map(|note| json!(note))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            arguments[name] = value;
        }
    }
    arguments
}

/// The result about an element of a sync, with what its provider found: the masked difference and its score. All others stay as they are.
pub(super) fn told(execution: &ExecutionRow, finished: ElementFinished, data: &Value) -> ElementFinished {
    if execution.request.provider != PROVIDER {
        return finished;
    }
    ElementFinished {
        diff: data["diff"].as_str().map(str::to_owned),
        change_score: data["change_score"].as_f64().and_then(whole_score),
        ..finished
    }
}

/// Rounded, within 0 to 100.
fn whole_score(score: f64) -> Option<u8> {
    let scores = 0..=100_u8;
    scores
        .rev()
        .find(|whole| *whole == 0 || f64::from(*whole) <= score + 0.5)
}

/// Which devices of a sync that ended run again: those that failed, bound as it was. The same checks as of a new request apply.
pub(super) async fn again(
    command: &mut Command<'_>,
    before: &ExecutionRow,
    dry_run: bool,
) -> Result<Result<SyncSource, Rejection>, StoreError> {
    const PLACE: &str = "$.data.execution";
    let request = &before.request;
    if dry_run != request.requested.dry_run {
        let reason = "a sync runs again as it was; to apply a plan, use `lockstep sync apply`";
        return Ok(Err(Rejection::new(Code::InvalidData, "$.data.dry_run", reason)));
    }
    let arguments = &request.task_arguments;
    let id = |name: &str| arguments[name].as_str().and_then(|id| id.parse::<Uuid>().ok());
    let bound = if let Some(plan) = id("plan") {
        match plan_to_apply(command, plan, PLACE).await? {
            Ok(row) => SyncBound::Plan(row.number),
            Err(rejection) => return Ok(Err(rejection)),
        }
    } else if let Some(execution) = id("rollback") {
        let Some(row) = command.executions.lock(execution).await? else {
            return Ok(Err(unknown(PLACE)));
        };
        SyncBound::PreviousOf(row.number)
    } else {
        let synchronizes = arguments["action"] == json!(SyncAction::Synchronize);
        if command.context.options.sync.approval_required && synchronizes && !dry_run {
            let reason = "this site changes devices only by approved plans (sync.approval): plan them again (`lockstep sync plan`)";
            return Ok(Err(Rejection::new(Code::PlanRequired, PLACE, reason)));
        }
        SyncBound::Accepted
    };
    Ok(Ok(SyncSource {
        devices: SyncDevices::FailedOf(before.number),
        bound,
    }))
}

#[cfg(test)]
mod tests;
