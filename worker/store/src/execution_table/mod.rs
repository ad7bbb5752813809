//! Reads and writes tasks, schedules, executions and elements, on both databases.
//!
//! Claims and ends come in batches, so each statement is about a list of rows. Locks are taken in this order: cap scopes, executions,
//! elements, leases of devices; within each by key. Where that is not possible, rows that another transaction holds are skipped.

mod announce;
mod attributes;
mod cap;
mod check;
mod claim;
mod cycle;
mod device_lease;
pub(super) mod device_name;
mod element;
mod endpoint;
mod entity_result;
mod execution;
mod fact;
mod finish;
mod found;
mod journal;
mod lift;
mod named;
mod of_many;
mod park;
mod query;
mod requeue;
mod retention;
mod schedule;
mod stage;
mod start;
mod target;
mod task;
mod unit;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::commands::{ExecuteOn, TaskReference};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{AccessLimits, DeviceState, GroupName, Hostname};
use uuid::Uuid;

pub(super) use entity_result::results_of_elements;
pub(super) use found::{checks_of, facts_of};
pub(super) use of_many::{
    data_of_elements, devices_of_elements, elements_of_devices, elements_of_executions, executions_by_number,
    executions_of_devices,
};
pub(super) use retention::expire;
pub(super) use task::{tasks_by_name, tasks_by_number};

use super::access_limits;
use super::sql::{Row, SqlSession, Value, rows};
use super::sync_table::approval;
use super::{
    BeginElement, BegunStage, Candidates, CapScope, ElementEnd, ElementLevels, ElementOwner, ElementRow,
    ElementSource, EndedElement, ExecutionRow, ExecutionTransaction, ExpiredElement, Halt, HeldBack, LeftOut,
    NamedEntities, NewExecution, NewSchedule, NewTask, OpenExecution, PlanApproval, QueuedElement, SavedRow,
    ScheduleRow, StartedExecution, StopRow, StoreError, TaskRow,
};

const READ: &str = "read executions";
const WRITE: &str = "write executions";

/// Changes executions in an open transaction.
pub(super) struct Changes<S>(pub(super) S);

#[async_trait]
impl<S: SqlSession> ExecutionTransaction for Changes<S> {
    async fn save_task(&mut self, task: &NewTask) -> Result<SavedRow, StoreError> {
        task::save(&self.0, task).await
    }

    async fn delete_task(&mut self, name: &str) -> Result<bool, StoreError> {
        task::delete(&self.0, name).await
    }

    async fn task(&mut self, reference: &TaskReference) -> Result<Option<TaskRow>, StoreError> {
        task::find(&self.0, reference).await
    }

    async fn save_schedule(&mut self, schedule: &NewSchedule) -> Result<SavedRow, StoreError> {
        schedule::save(&self.0, schedule).await
    }

    async fn delete_schedule(&mut self, name: &str) -> Result<bool, StoreError> {
        schedule::delete(&self.0, name).await
    }

    async fn due_schedules(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, StoreError> {
        schedule::due(&self.0, now, limit).await
    }

    async fn advance_schedule(
        &mut self,
        number: u64,
        last_at: Option<Timestamp>,
        next_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        schedule::advance(&self.0, number, last_at, next_at).await
    }

    async fn named(&mut self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError> {
        named::find(&self.0, kind, names).await
    }

    async fn device_state(&mut self, hostname: &Hostname) -> Result<Option<DeviceState>, StoreError> {
        named::device_state(&self.0, hostname).await
    }

    async fn access_limits(&mut self, principal: &str) -> Result<Vec<AccessLimits>, StoreError> {
        access_limits::of_principal(&self.0, principal).await
    }

    async fn elements_outside(
        &mut self,
        execution: u64,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Vec<String>, StoreError> {
        access_limits::elements_outside(&self.0, execution, groups).await
    }

    async fn start(
        &mut self,
        id: Uuid,
        new: &NewExecution,
        source: &ElementSource,
        levels: ElementLevels,
        queued: u64,
        waits_for: &CapScope,
        grace: Duration,
    ) -> Result<StartedExecution, StoreError> {
        start::start(&self.0, id, new, source, levels, queued, waits_for, grace).await
    }

    async fn begin_stage(
        &mut self,
        execution: u64,
        stage: u16,
        queued: u64,
        waits_for: &CapScope,
        grace: Duration,
    ) -> Result<BegunStage, StoreError> {
        stage::begin(&self.0, execution, stage, queued, waits_for, grace).await
    }

    async fn cancel_unknown(&mut self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<(), StoreError> {
        execution::cancel_unknown(&self.0, id, at, by).await
    }

    async fn was_cancelled(&mut self, id: Uuid) -> Result<bool, StoreError> {
        execution::was_cancelled(&self.0, id).await
    }

    async fn run_input_json_schema(&mut self, number: u64) -> Result<Option<serde_json::Value>, StoreError> {
        execution::run_input_json_schema(&self.0, number).await
    }

    async fn leave_out(&mut self, execution: u64, earlier: &BTreeSet<u64>) -> Result<LeftOut, StoreError> {
        workflow::leave_out(&self.0, execution, earlier).await
    }

    async fn open_step(&mut self, execution: u64) -> Result<Option<Uuid>, StoreError> {
        workflow::open_step(&self.0, execution).await
    }

    async fn any_changed(&mut self, executions: &BTreeSet<u64>) -> Result<bool, StoreError> {
        workflow::any_changed(&self.0, executions).await
    }

    async fn approve(&mut self, approval: &PlanApproval) -> Result<(), StoreError> {
        approval::approve(&self.0, approval).await
    }

    async fn withdraw_approval(&mut self, plan: u64, by: &str) -> Result<bool, StoreError> {
        approval::withdraw(&self.0, plan, by).await
    }

    async fn approvals(&mut self, plan: u64) -> Result<Vec<PlanApproval>, StoreError> {
        approval::of(&self.0, plan).await
    }

    async fn lock(&mut self, id: Uuid) -> Result<Option<ExecutionRow>, StoreError> {
        execution::lock(&self.0, id).await
    }

    async fn lock_numbers(&mut self, numbers: &BTreeSet<u64>) -> Result<Vec<ExecutionRow>, StoreError> {
        execution::lock_numbers(&self.0, numbers).await
    }

    async fn open_on_clusters(&mut self) -> Result<Vec<OpenExecution>, StoreError> {
        execution::open_on_clusters(&self.0).await
    }

    async fn update(&mut self, row: &ExecutionRow) -> Result<(), StoreError> {
        execution::update(&self.0, row).await
    }

    async fn skip_unstarted(
        &mut self,
        execution: u64,
        halt: Halt,
        message: &str,
        limit: u32,
    ) -> Result<u64, StoreError> {
        finish::skip_unstarted(&self.0, execution, halt, message, limit).await
    }

    async fn set_stop(&mut self, stop: Option<&StopRow>) -> Result<bool, StoreError> {
        execution::set_stop(&self.0, stop).await
    }

    async fn stop(&mut self) -> Result<Option<StopRow>, StoreError> {
        execution::stop(&self.0).await
    }

    async fn lock_caps(&mut self, scopes: &BTreeSet<CapScope>) -> Result<(), StoreError> {
        cap::lock(&self.0, scopes).await
    }

    async fn candidates(&mut self, elements: &BTreeSet<u64>) -> Result<Candidates, StoreError> {
        claim::candidates(&self.0, elements).await
    }

    async fn running(&mut self, scopes: &BTreeSet<CapScope>) -> Result<BTreeMap<CapScope, u32>, StoreError> {
        cap::running(&self.0, scopes).await
    }

    async fn acquire_devices(
        &mut self,
        hostnames: &BTreeSet<Hostname>,
        owner: ElementOwner,
        time: Duration,
    ) -> Result<BTreeMap<Hostname, i64>, StoreError> {
        device_lease::acquire(&self.0, hostnames, owner, time).await
    }

    async fn give_back_devices(
        &mut self,
        fences: &BTreeMap<Hostname, i64>,
        owner: ElementOwner,
    ) -> Result<(), StoreError> {
        device_lease::give_back_acquired(&self.0, fences, owner).await
    }

    async fn begin(
        &mut self,
        elements: &[BeginElement],
        owner: ElementOwner,
        worker: &str,
        time: Duration,
    ) -> Result<(), StoreError> {
        claim::begin(&self.0, elements, owner, worker, time).await
    }

    async fn hold_back(&mut self, elements: &[HeldBack]) -> Result<(), StoreError> {
        claim::hold_back(&self.0, elements).await
    }

    async fn finish(
        &mut self,
        ends: &[ElementEnd],
        owner: Option<ElementOwner>,
        groups: &BTreeSet<GroupName>,
        grace: Duration,
    ) -> Result<Vec<EndedElement>, StoreError> {
        finish::finish(&self.0, ends, owner, groups, grace).await
    }

    async fn executions_of(&mut self, elements: &BTreeSet<u64>) -> Result<BTreeSet<u64>, StoreError> {
        execution::of_elements(&self.0, elements).await
    }

    async fn release(
        &mut self,
        scope: &CapScope,
        limit: u32,
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError> {
        cap::release(&self.0, scope, limit, grace).await
    }

    async fn release_one_each(
        &mut self,
        scopes: &BTreeSet<CapScope>,
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError> {
        cap::release_one_each(&self.0, scopes, grace).await
    }

    async fn waiting(&mut self, limit: u32) -> Result<BTreeMap<CapScope, u32>, StoreError> {
        cap::waiting(&self.0, limit).await
    }

    async fn queued(&mut self, scopes: &BTreeSet<CapScope>) -> Result<BTreeMap<CapScope, u32>, StoreError> {
        cap::queued(&self.0, scopes).await
    }

    async fn expired(&mut self, limit: u32) -> Result<Vec<ExpiredElement>, StoreError> {
        requeue::expired(&self.0, limit).await
    }

    async fn requeue(
        &mut self,
        elements: &[(u64, u32)],
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError> {
        requeue::requeue(&self.0, elements, grace).await
    }

    async fn overdue(&mut self, limit: u32, grace: Duration) -> Result<Vec<QueuedElement>, StoreError> {
        requeue::overdue(&self.0, limit, grace).await
    }

    async fn resume_parked(&mut self, limit: u32, grace: Duration) -> Result<Vec<QueuedElement>, StoreError> {
        park::resume(&self.0, limit, grace).await
    }

    async fn expired_parked(&mut self, limit: u32) -> Result<BTreeSet<u64>, StoreError> {
        park::expired(&self.0, limit).await
    }

    async fn skip_parked(&mut self, elements: &BTreeSet<u64>) -> Result<Vec<EndedElement>, StoreError> {
        park::skip(&self.0, elements).await
    }

    async fn neglected(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionRow>, StoreError> {
        execution::neglected(&self.0, now, limit).await
    }

    async fn unannounced(
        &mut self,
        elements: Option<&BTreeSet<u64>>,
        limit: u32,
    ) -> Result<Vec<ElementRow>, StoreError> {
        announce::unannounced(&self.0, elements, limit).await
    }

    async fn announced(&mut self, elements: &[u64]) -> Result<(), StoreError> {
        announce::announced(&self.0, elements).await
    }
}

/// Runs a statement that returns no rows. Returns how many it changed.
async fn execute(
    session: &dyn SqlSession,
    sql: &'static str,
    parameters: Vec<Value>,
) -> Result<u64, StoreError> {
    session.execute_each(WRITE, sql, vec![parameters]).await
}

/// The parameter of `{rows …: number bigint}`.
fn numbers<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> Value {
    rows(numbers.into_iter().map(|number| vec![(*number).into()]))
}

/// The parameter of `{rows …: name text}`.
fn texts(texts: impl IntoIterator<Item = String>) -> Value {
    rows(texts.into_iter().map(|text| vec![text.into()]))
}

fn milliseconds(time: Duration) -> Value {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).into()
}

/// The elements in the columns `number` and `lane`, in ascending order: a statement that changes rows returns them in any order.
fn read_queued(rows: &[Row]) -> Result<Vec<QueuedElement>, StoreError> {
    let read = |row: &Row| {
        Ok(QueuedElement {
            number: row.number("element.number", 0)?,
            lane: lane("element.lane", &row.text("element.lane", 1)?)?,
        })
    };
    let mut elements = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    elements.sort_unstable();
    Ok(elements)
}

/// The lane with this name.
fn lane(what: &'static str, text: &str) -> Result<Lane, StoreError> {
    let found = Lane::ALL.iter().copied().find(|lane| lane.as_str() == text);
    found.ok_or_else(|| StoreError::Corrupt {
        what: what.to_owned(),
        reason: format!("{text:?} is no lane"),
    })
}

/// A list as it is stored: JSON.
fn list_text<T: serde::Serialize>(list: &[T]) -> Value {
    let text = serde_json::to_string(list);
    text.expect("lists of the store have string keys and no failing serializers")
        .into()
}

/// A JSON value as it is stored.
fn json_text(value: &serde_json::Value) -> Value {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;
    use crate::{SyncBound, SyncDevices, SyncSource, sync_table};

    /// Whether the plan reads a whole table, not only a list of the statement or a partial index.
    fn reads_whole_table(plan: &[String]) -> bool {
        let tables = [
            "cancelled_execution",
            "cap_scope",
            "client",
            "device",
            "device_group",
            "element",
            "entity_check",
            "entity_result",
            "execution",
            "execution_selection",
            "execution_target",
            "fact",
            "fact_history",
            "group_member",
            "interface",
            "lease",
            "linknet",
            "member",
            "paged",
            "schedule",
            "step_journal",
            "sync_element",
            "sync_intent",
            "task",
        ];
        plan.iter()
            .filter_map(|line| line.strip_prefix("SCAN "))
            .any(|table| tables.contains(&table))
    }

    #[test]
    fn statements_use_an_index() {
        let all = [
            announce::STATEMENTS,
            attributes::STATEMENTS,
            cap::STATEMENTS,
            check::STATEMENTS,
            claim::STATEMENTS,
            device_lease::STATEMENTS,
            device_name::STATEMENTS,
            entity_result::STATEMENTS,
            execution::STATEMENTS,
            fact::STATEMENTS,
            finish::STATEMENTS,
            found::STATEMENTS,
            journal::STATEMENTS,
            named::STATEMENTS,
            of_many::STATEMENTS,
            park::STATEMENTS,
            query::STATEMENTS,
            requeue::STATEMENTS,
            retention::STATEMENTS,
            schedule::STATEMENTS,
            stage::STATEMENTS,
            task::STATEMENTS,
            unit::STATEMENTS,
            workflow::STATEMENTS,
        ];
        for statement in all.into_iter().flatten().copied().chain(sync_table::statements()) {
            let plan = query_plan(statement);
            assert!(!reads_whole_table(&plan), "{statement}\n{plan:#?}");
        }
        let ids = || {
            ExecuteOn::ALL.map(|entity_type| ElementSource::Of {
                entity_type,
                ids: Vec::new(),
            })
        };
        let sources: Vec<ElementSource> = ids().into_iter().chain([ElementSource::FailedOf(1)]).collect();
        for (run_on, source) in ExecuteOn::ALL
            .into_iter()
            .flat_map(|run_on| sources.iter().map(move |source| (run_on, source)))
        {
            for statement in lift::statements(run_on, source) {
                let plan = query_plan(statement);
                // The whole fleet is what the groups and devices of the fleet are.
                let fleet = run_on == ExecuteOn::Global && !matches!(source, ElementSource::FailedOf(_));
                assert!(fleet || !reads_whole_table(&plan), "{statement}\n{plan:#?}");
            }
        }
        let host = SyncDevices::Target {
            target: lockstep_protocol::SyncTarget::Hostname("sw1".parse().unwrap()),
            synchronized: false,
        };
        for (devices, bound) in [
            (host, SyncBound::Accepted),
            (SyncDevices::Bound, SyncBound::Plan(1)),
            (SyncDevices::Bound, SyncBound::PreviousOf(1)),
            (SyncDevices::FailedOf(1), SyncBound::Accepted),
        ] {
            let source = ElementSource::Sync(SyncSource { devices, bound });
            for statement in lift::statements(ExecuteOn::Device, &source) {
                let plan = query_plan(statement);
                assert!(!reads_whole_table(&plan), "{statement}\n{plan:#?}");
            }
        }
        let plan = query_plan("SELECT count(*) FROM element WHERE attempts > 1");
        assert!(reads_whole_table(&plan), "{plan:?}");
    }

    #[test]
    fn pages_are_ranges_of_an_index() {
        for (statement, expected) in query::PAGES {
            let plan = query_plan(statement);
            assert_eq!(plan[0], format!("SEARCH {expected}"), "{statement}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
