//! Sweeps of CloudVision: the messages that request them, and their results. A sweep is an execution of the provider `cvp_sweep`.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep_protocol::commands::{CvpSweepRequested, ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::internal::{CvpElementQueued, CvpLookDue};
use lockstep_protocol::results::{CvpSweepFinished, CvpTaskAction, CvpTaskSettled};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{EntityType, Level, Message, WorkResult};
use lockstep_store::{
    EntityResult, EntityResultQuery, ExecutionReference, ExecutionRow, FollowUpRequest, FollowUpTarget,
    NewExecution, TaskRow,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::plan::{Plan, check_task, plan, provider};
use super::runner::{Command, Decided, Done};
use crate::handlers::Rejection;

/// The provider of sweeps.
const PROVIDER: &str = "cvp_sweep";
/// How long after the end of a sweep the devices of its cancelled tasks are checked once more.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(10);
/// The most devices that are checked once more.
const MOST_LOOKS: usize = 10_000;
/// The most results of tasks that are read at a time.
const PAGE: u32 = 1000;

/// Begins a sweep, or joins one that has not begun.
pub(super) async fn sweep(command: Command<'_>, request: &CvpSweepRequested) -> Decided {
    let mut arguments = json!({"cluster": request.cluster});
    for (name, names) in [("devices", &request.devices), ("tasks", &request.tasks)] {
        if !names.is_empty() {
            arguments[name] = json!(names);
        }
    }
    command.sweep(arguments, request.dry_run).await
}

/// Checks the devices of cancelled tasks once more.
pub(super) async fn look_again(command: Command<'_>, due: &CvpLookDue) -> Decided {
    let reference = ExecutionReference::Id(due.execution);
    let nothing = |what: &str| Ok(Ok(Done::applied(false, what).about(due.execution)));
    let Some(row) = command.context.executions.execution(&reference).await? else {
        return nothing("the sweep was deleted; nothing is checked again");
    };
    let mut devices = Vec::new();
    let mut after = None;
    loop {
        let query = EntityResultQuery {
            execution: row.number,
            phase: u8::try_from(row.request.pre_tasks.len()).unwrap_or(u8::MAX),
            level: Level::Item,
            of: None,
            after,
            limit: PAGE,
        };
        let page = command.context.cycle.entity_results(&query).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.entity);
        devices.extend(page.iter().filter_map(cancelled));
        if devices.len() >= MOST_LOOKS {
            devices.truncate(MOST_LOOKS);
            break;
        }
    }
    if devices.is_empty() {
        return nothing("no task was cancelled; nothing is checked again");
    }
    let arguments = json!({"cluster": row.request.task_arguments["cluster"], "look_again": devices});
    command.sweep(arguments, true).await
}

/// The device of a task that was cancelled.
fn cancelled(result: &EntityResult) -> Option<Value> {
    let data = &result.data;
    (data["action"] == "cancelled").then(|| {
        json!({"task_id": data["task_id"], "net_element_id": data["net_element_id"], "hostname": data["hostname"]})
    })
}

impl Command<'_> {
    async fn sweep(self, arguments: Value, dry_run: bool) -> Decided {
        let task = TaskRow {
            number: 0,
            name: PROVIDER.to_owned(),
            description: None,
            provider: PROVIDER.to_owned(),
            arguments,
            saved_at: self.now,
            saved_by: None,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            run_input_ui_schema: None,
        };
        let requested = TaskRequested {
            task: TaskReference::Name(PROVIDER.to_owned()),
            execute_on: Vec::new(),
            execute_on_names: Vec::new(),
            execute_on_type: ExecuteOn::Global,
            dry_run,
            arguments: Value::Null,
            limits: RunLimits::default(),
        };
        let registry = &self.context.registry;
        let checked = provider(registry, PROVIDER, "$.type");
        let checked = checked.and_then(|provider| check_task(&**provider, &task.arguments, "$.data"));
        // What the schema accepts and the provider does not is the cluster.
        if let Err(rejection) = checked {
            let place = match rejection.place.as_str() {
                "$.data" => "$.data.cluster".to_owned(),
                _ => rejection.place,
            };
            return Ok(Err(Rejection { place, ..rejection }));
        }
        let planned = plan(registry, &task, &BTreeMap::new(), &requested, "$.data");
        let Plan {
            run_on,
            source,
            stages,
            levels,
            lane,
            ..
        } = match planned {
            Ok(plan) => plan,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let new = NewExecution {
            task: task.name,
            provider: task.provider,
            task_arguments: task.arguments,
            run_on,
            plan: stages,
            lane,
            ..self.new_execution(&requested.limits)
        };
        let new = NewExecution { requested, ..new };
        self.start(new, &source, levels).await
    }
}

/// The message about a queued element of a lane.
pub(super) fn queued(lane: Lane, element: u64) -> Message {
    match lane {
        Lane::Cvp => CvpElementQueued { element }.into(),
        _ => lockstep_protocol::internal::ElementQueued { element }.into(),
    }
}

/// What follows from the end of a sweep some time later: devices are checked once more. A sweep that is this check has no such end.
pub(super) fn after_end(row: &ExecutionRow) -> Option<FollowUpRequest> {
    let request = &row.request;
    let is_sweep = request.provider == PROVIDER && request.task_arguments["look_again"].is_null();
    let may_have_cancelled = is_sweep && !request.requested.dry_run && row.started_at.is_some();
    may_have_cancelled.then(|| FollowUpRequest {
        message: CvpLookDue { execution: row.id }.into(),
        subject: None,
        target: FollowUpTarget::Lane(Lane::Executions),
        delay: Some(LOOK_AGAIN_AFTER),
        lease: None,
    })
}

/// The result about an element of a sweep that has a result of its provider: a task, or the whole. `None` for all others.
pub(super) fn result(execution: &ExecutionRow, kind: EntityType, data: &Value) -> Option<WorkResult> {
    if execution.request.provider != PROVIDER {
        return None;
    }
    let cluster = data["cluster"].as_str()?.to_owned();
    match kind {
        EntityType::Item => {
            let report = Report::deserialize(data).ok()?;
            Some(WorkResult::CvpTaskSettled(CvpTaskSettled {
                execution: execution.id,
                cluster,
                task_id: report.task_id,
                net_element_id: report.net_element_id,
                hostname: Some(report.hostname).filter(|hostname| !hostname.is_empty()),
                compliance_code: report.code,
                action: report.action,
                reasons: report.reasons,
                answer: report.answer,
            }))
        }
        EntityType::Global => {
            let counts = Counts::deserialize(&data["counts"]).ok()?;
            let actions = [
                (CvpTaskAction::Cancelled, counts.cancelled),
                (CvpTaskAction::Kept, counts.kept),
                (CvpTaskAction::Failed, counts.failed),
                (CvpTaskAction::Gone, counts.gone),
            ];
            Some(WorkResult::CvpSweepFinished(CvpSweepFinished {
                execution: execution.id,
                cluster,
                dry_run: execution.request.requested.dry_run,
                actions: actions.into_iter().filter(|(_, count)| *count > 0).collect(),
                kept: counts.reasons,
                alerts: counts.alerts,
            }))
        }
        _ => None,
    }
}

/// The result of a task, as the provider returns it.
#[derive(Deserialize)]
struct Report {
    task_id: String,
    net_element_id: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    code: Option<String>,
    action: CvpTaskAction,
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(default)]
    answer: Option<String>,
}

/// The counts of a sweep, as the provider returns them.
#[derive(Deserialize)]
struct Counts {
    cancelled: u64,
    kept: u64,
    failed: u64,
    gone: u64,
    alerts: u64,
    reasons: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn execution(provider: &str, arguments: Value, dry_run: bool) -> ExecutionRow {
        let mut row = fixtures::execution(provider, arguments, RunLimits::default());
        row.request.requested.dry_run = dry_run;
        row
    }

    #[test]
    fn elements_of_sweeps_have_results_of_their_own() {
        let row = execution(PROVIDER, json!({"cluster": "oslo"}), false);
        let task = json!({"cluster": "oslo", "task_id": "1811", "net_element_id": "aa", "hostname": "leaf1", "serial": "S", "code": "0000",
            "meaning": "in sync", "action": "cancelled", "answer": "triggered", "reasons": ["last-look-failed"]});
        let Some(WorkResult::CvpTaskSettled(settled)) = result(&row, EntityType::Item, &task) else {
            panic!("no result of a task");
        };
        assert_eq!(
            (settled.task_id.as_str(), settled.action),
            ("1811", CvpTaskAction::Cancelled)
        );
        assert_eq!(settled.reasons, ["last-look-failed"]);
        assert_eq!(settled.compliance_code.as_deref(), Some("0000"));
        let whole = json!({"cluster": "oslo", "counts": {"listed": 3, "cancelled": 1, "kept": 2, "failed": 0, "gone": 0, "alerts": 0,
            "reasons": {"too-young": 2}}});
        let Some(WorkResult::CvpSweepFinished(finished)) = result(&row, EntityType::Global, &whole) else {
            panic!("no result of the sweep");
        };
        let actions = [(CvpTaskAction::Cancelled, 1), (CvpTaskAction::Kept, 2)];
        assert_eq!(finished.actions, actions.into());
        assert_eq!(finished.kept["too-young"], 2);
        let others = [
            (EntityType::Item, Value::Null),
            (
                EntityType::Item,
                json!({"cluster": "oslo", "task_id": "1", "net_element_id": "aa", "action": "looked"}),
            ),
            (EntityType::Global, json!({"cluster": "oslo"})),
            (EntityType::Device, task.clone()),
        ];
        for (kind, data) in others {
            assert_eq!(result(&row, kind, &data), None, "{kind} {data}");
        }
        let other = execution("ping", Value::Null, false);
        assert_eq!(result(&other, EntityType::Item, &task), None);
    }

    #[test]
    fn devices_are_checked_once_more_after_a_sweep_that_may_have_cancelled_tasks() {
        let sweep = json!({"cluster": "oslo"});
        let look = json!({"cluster": "oslo", "look_again": [{"task_id": "1", "net_element_id": "aa"}]});
        let table = [
            (execution(PROVIDER, sweep.clone(), false), true),
            (execution(PROVIDER, sweep.clone(), true), false),
            (execution(PROVIDER, look, false), false),
            (execution("ping", sweep.clone(), false), false),
        ];
        for (row, expected) in table {
            let follow_up = after_end(&row);
            let delay = follow_up.and_then(|follow_up| follow_up.delay);
            assert_eq!(delay, expected.then_some(LOOK_AGAIN_AFTER), "{:?}", row.request);
        }
        let unstarted = ExecutionRow {
            started_at: None,
            ..execution(PROVIDER, sweep, false)
        };
        assert_eq!(after_end(&unstarted), None);
    }

    #[test]
    fn a_queued_element_is_told_on_its_lane() {
        for lane in [Lane::Devices, Lane::Cvp] {
            assert_eq!(queued(lane, 7).kind().lane(), Some(lane));
        }
    }
}
