use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::commands::{ExecuteOn, TaskReference};
use lockstep_protocol::{AccessLimits, DeviceState, GroupName, Hostname};
use uuid::Uuid;

use super::{
    BeginElement, BegunStage, Candidates, CapScope, ElementEnd, ElementLevels, ElementOwner, ElementRow,
    ElementSource, EndedElement, ExecutionRow, ExpiredElement, Halt, HeldBack, LeftOut, NamedEntities,
    NewExecution, NewSchedule, NewTask, OpenExecution, QueuedElement, SavedRow, ScheduleRow,
    StartedExecution, StopRow, TaskRow,
};
use crate::{PlanApproval, StoreError};

/// Changes tasks, schedules, executions and elements within a unit of work. Each method runs statements at once; they take effect with
/// the commit.
///
/// Locks are taken in this order, by all callers: cap scopes, executions, elements, leases of devices; within each by key.
///
/// The states of an element on the way: *waiting* (PENDING, with `waits_for`), *queued* (PENDING; a message for it is published or
/// due), *running*, and a final state.
///
/// # Errors
/// All methods: see [`StoreError`]; the transaction is to be dropped.
#[async_trait]
pub trait ExecutionTransaction: Send {
    /// Saves a task.
    async fn save_task(&mut self, task: &NewTask) -> Result<SavedRow, StoreError>;

    /// Deletes a task. False if there is none with this name.
    async fn delete_task(&mut self, name: &str) -> Result<bool, StoreError>;

    /// The task with this number or name.
    async fn task(&mut self, reference: &TaskReference) -> Result<Option<TaskRow>, StoreError>;

    /// Saves a schedule.
    async fn save_schedule(&mut self, schedule: &NewSchedule) -> Result<SavedRow, StoreError>;

    /// Deletes a schedule. False if there is none with this name.
    async fn delete_schedule(&mut self, name: &str) -> Result<bool, StoreError>;

    /// Active schedules that are due at this time, locked; those that another transaction holds are left out.
    async fn due_schedules(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, StoreError>;

    /// Writes down that a schedule fired for `last_at` (`None`: it did not), and when it fires next.
    async fn advance_schedule(
        &mut self,
        number: u64,
        last_at: Option<Timestamp>,
        next_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// The entities of a kind with these names.
    async fn named(&mut self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError>;

    /// The state of the device with this hostname. `None` if there is none.
    async fn device_state(&mut self, hostname: &Hostname) -> Result<Option<DeviceState>, StoreError>;

    /// What a principal is limited to; see [`AccessTokens::access_limits`](crate::AccessTokens::access_limits).
    async fn access_limits(&mut self, principal: &str) -> Result<Vec<AccessLimits>, StoreError>;

    /// The names of elements of an execution that these groups do not include, at most 20: those on other groups, on the fleet, or on
    /// devices that are members of none of the groups. With a controller, the devices behind it count, too.
    async fn elements_outside(
        &mut self,
        execution: u64,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Vec<String>, StoreError>;

    /// Stores an execution with its elements, ordered by the names of the entities within each kind. Of those that take part in the first
    /// stage, the first `queued` are queued, due after `grace`; the others wait for `waits_for`: `Execution(0)` is the new execution itself.
    /// Elements of later stages wait for their stage. If an id has no entity, nothing is stored. A client below nothing that takes part is
    /// an element that was skipped.
    #[expect(clippy::too_many_arguments, reason = "each is another part of one statement")]
    async fn start(
        &mut self,
        id: Uuid,
        new: &NewExecution,
        source: &ElementSource,
        levels: ElementLevels,
        queued: u64,
        waits_for: &CapScope,
        grace: Duration,
    ) -> Result<StartedExecution, StoreError>;

    /// Begins a stage of an execution that is locked: of the elements that wait for it, the first `queued` ones are queued, due after
    /// `grace`, and the others wait for `waits_for`.
    async fn begin_stage(
        &mut self,
        execution: u64,
        stage: u16,
        queued: u64,
        waits_for: &CapScope,
        grace: Duration,
    ) -> Result<BegunStage, StoreError>;

    /// Remembers that an execution was cancelled that does not exist yet.
    async fn cancel_unknown(&mut self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<(), StoreError>;

    /// Whether an execution was cancelled before it existed, or the one was of which it is a step.
    async fn was_cancelled(&mut self, id: Uuid) -> Result<bool, StoreError>;

    /// Skips the elements of an execution that has not begun on entities whose element of one of these earlier executions was not done.
    async fn leave_out(&mut self, execution: u64, earlier: &BTreeSet<u64>) -> Result<LeftOut, StoreError>;

    /// The open execution that this one began as a step of a workflow, and waits for.
    async fn open_step(&mut self, execution: u64) -> Result<Option<Uuid>, StoreError>;

    /// Whether an element of these executions changed something, or would have in a dry run.
    async fn any_changed(&mut self, executions: &BTreeSet<u64>) -> Result<bool, StoreError>;

    /// Writes an approval of a plan that is locked, in the place of an earlier one of the same sender.
    async fn approve(&mut self, approval: &PlanApproval) -> Result<(), StoreError>;

    /// Deletes the approval of a plan by this sender. False if there is none.
    async fn withdraw_approval(&mut self, plan: u64, by: &str) -> Result<bool, StoreError>;

    /// The approvals of a plan, the oldest first. Under the lock of the plan they stay as they are.
    async fn approvals(&mut self, plan: u64) -> Result<Vec<PlanApproval>, StoreError>;

    /// Locks an execution and returns it.
    async fn lock(&mut self, id: Uuid) -> Result<Option<ExecutionRow>, StoreError>;

    /// The schema of the task's own arguments of a run, as it was when the execution with this number was requested.
    async fn run_input_json_schema(&mut self, number: u64) -> Result<Option<serde_json::Value>, StoreError>;

    /// Locks executions by their numbers and returns them, ordered by number: against all that change them, not against claims.
    async fn lock_numbers(&mut self, numbers: &BTreeSet<u64>) -> Result<Vec<ExecutionRow>, StoreError>;

    /// The executions on the lane `cvp` that have not ended, ordered by number. Under the lock of the scope of a cluster, those of it stay.
    async fn open_on_clusters(&mut self) -> Result<Vec<OpenExecution>, StoreError>;

    /// Writes what changes of an execution that is locked: state, reason, times, pause, halt, canary, counts.
    async fn update(&mut self, row: &ExecutionRow) -> Result<(), StoreError>;

    /// Skips at most `limit` elements of an execution that are waiting or queued, for this reason. Returns how many; the counts of the
    /// execution do not change by that. The state is ABORTED if it was cancelled, else FILTERED.
    async fn skip_unstarted(
        &mut self,
        execution: u64,
        halt: Halt,
        message: &str,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Stops all executions, or lets them go on (`None`). Returns whether that is a change.
    async fn set_stop(&mut self, stop: Option<&StopRow>) -> Result<bool, StoreError>;

    /// The stop of all executions, locked for reading: it does not change meanwhile.
    async fn stop(&mut self) -> Result<Option<StopRow>, StoreError>;

    /// Locks one row for each of these scopes, in the order of their names, so that only one transaction at a time counts and begins
    /// their elements.
    async fn lock_caps(&mut self, scopes: &BTreeSet<CapScope>) -> Result<(), StoreError>;

    /// Locks the executions of these elements for reading, and those of the elements that are waiting or queued. Elements that
    /// run, ended or do not exist are left out. Until one of these executions has begun, they are locked for writing, because
    /// [`begin`](Self::begin) changes their state.
    async fn candidates(&mut self, elements: &BTreeSet<u64>) -> Result<Candidates, StoreError>;

    /// How many elements run in each of these scopes, under a time that is not over.
    async fn running(&mut self, scopes: &BTreeSet<CapScope>) -> Result<BTreeMap<CapScope, u32>, StoreError>;

    /// Acquires the leases of devices for `time`. Returns the fences of those that were free.
    async fn acquire_devices(
        &mut self,
        hostnames: &BTreeSet<Hostname>,
        owner: ElementOwner,
        time: Duration,
    ) -> Result<BTreeMap<Hostname, i64>, StoreError>;

    /// Gives back leases of devices that this transaction acquired, by their fences: an element begins with all of its devices or with none.
    async fn give_back_devices(
        &mut self,
        fences: &BTreeMap<Hostname, i64>,
        owner: ElementOwner,
    ) -> Result<(), StoreError>;

    /// Elements begin: their attempt is counted, and they belong to this worker for `time`. `worker` names it, for people. Executions
    /// that are PENDING become RUNNING.
    async fn begin(
        &mut self,
        elements: &[BeginElement],
        owner: ElementOwner,
        worker: &str,
        time: Duration,
    ) -> Result<(), StoreError>;

    /// Elements wait.
    async fn hold_back(&mut self, elements: &[HeldBack]) -> Result<(), StoreError>;

    /// Ends the running elements whose attempt is the given one, or lets them wait for a later stage; writes their results, facts and checks,
    /// inserts the items that they found as elements of the next stage, and gives back the leases of their devices. Returns those that ended
    /// by this, ordered by number. Their executions are to be locked before, and
    /// [`update`](Self::update)d after. An ended element is due for its announcement after `grace`.
    async fn finish(
        &mut self,
        ends: &[ElementEnd],
        owner: Option<ElementOwner>,
        groups: &BTreeSet<GroupName>,
        grace: Duration,
    ) -> Result<Vec<EndedElement>, StoreError>;

    /// The executions of these elements: what to lock before [`finish`](Self::finish).
    async fn executions_of(&mut self, elements: &BTreeSet<u64>) -> Result<BTreeSet<u64>, StoreError>;

    /// Queues at most `limit` elements that wait for this scope, the oldest first, due after `grace`. Returns their numbers. Elements
    /// of paused and halted executions stay.
    async fn release(
        &mut self,
        scope: &CapScope,
        limit: u32,
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError>;

    /// Queues the oldest element that waits for each of these scopes, as [`release`](Self::release) does, in one statement: many devices
    /// become free at once, and few of them are waited for.
    async fn release_one_each(
        &mut self,
        scopes: &BTreeSet<CapScope>,
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError>;

    /// What elements wait for, and how many, up to 1,000 of each: at most `limit` scopes.
    async fn waiting(&mut self, limit: u32) -> Result<BTreeMap<CapScope, u32>, StoreError>;

    /// How many elements in each of these scopes are queued: they will run as soon as a worker takes them.
    async fn queued(&mut self, scopes: &BTreeSet<CapScope>) -> Result<BTreeMap<CapScope, u32>, StoreError>;

    /// Running elements whose time is over, at most `limit`.
    async fn expired(&mut self, limit: u32) -> Result<Vec<ExpiredElement>, StoreError>;

    /// Running elements whose time is over are queued again, due after `grace`, if their attempt is the given one. The leases of their
    /// devices are given back. Returns the numbers of those.
    async fn requeue(
        &mut self,
        elements: &[(u64, u32)],
        grace: Duration,
    ) -> Result<Vec<QueuedElement>, StoreError>;

    /// Queued elements whose message is overdue, at most `limit`; each is due again after `grace`, doubled with each time, up to
    /// sixteen times as long.
    async fn overdue(&mut self, limit: u32, grace: Duration) -> Result<Vec<QueuedElement>, StoreError>;

    /// Queues parked elements whose time has come, at most `limit`, due after `grace`. Elements of paused and halted executions stay.
    async fn resume_parked(&mut self, limit: u32, grace: Duration) -> Result<Vec<QueuedElement>, StoreError>;

    /// The numbers of parked elements that are to be skipped, at most `limit`.
    async fn expired_parked(&mut self, limit: u32) -> Result<BTreeSet<u64>, StoreError>;

    /// Skips those of these elements that are still parked and whose time is over, with the reason for which they were. Returns them. Their
    /// executions are to be locked before.
    async fn skip_parked(&mut self, elements: &BTreeSet<u64>) -> Result<Vec<EndedElement>, StoreError>;

    /// Executions that have not ended and need a look: their deadline is over, they are halted with unstarted elements, all their
    /// elements ended, or all those of their stage, and it did not begin the next one, they were cancelled by a transaction that did not see them yet, or
    /// the workflow was of which they are a step; locked, and those that another transaction holds are left out.
    async fn neglected(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionRow>, StoreError>;

    /// Ended elements that are to be announced and are overdue, or these ones, at most `limit`; with their executions.
    async fn unannounced(
        &mut self,
        elements: Option<&BTreeSet<u64>>,
        limit: u32,
    ) -> Result<Vec<ElementRow>, StoreError>;

    /// Writes down that these elements were announced.
    async fn announced(&mut self, elements: &[u64]) -> Result<(), StoreError>;
}
