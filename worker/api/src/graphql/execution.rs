use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use lockstep_http::ReadScope;
use lockstep_protocol as protocol;
use lockstep_store::{ElementFilter, ExecutionRow, Page, PhaseTask, Relation, StoreError};
use serde_json::Value;

use super::approval::Approval;
use super::connection::{Arguments, List, Total, cost, nested_with};
use super::date_time::DateTime;
use super::element::{Element, ElementsOfExecution};
use super::field::{invalid, load, may_read};
use super::loads::{ApprovalsKey, Counted, Loads, PageOf, ProviderKey};
use super::provider::ProviderType;
use super::run_on::RunOn;
use super::stage::Stage;
use super::state::{ElementOutcome, ExecutionState};
use super::task::NeopsTask;
use crate::rest::approvals::is_plan;

/// One run of a task.
#[derive(Debug)]
pub(crate) struct Execution(pub(super) ExecutionRow);

/// What an execution does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "ExecutionTypeEnum")]
pub(crate) enum ExecutionType {
    /// A dry run, whatever the provider does.
    #[graphql(name = "DRYRUN")]
    DryRun,
    /// It changes configurations.
    Apply,
    /// It performs checks.
    Check,
    /// It collects facts.
    Facts,
    /// It does something else.
    Execute,
    /// Nothing of these, or a provider that this version does not know.
    Other,
}

/// How many elements an execution has, and how many ended.
#[derive(Debug, SimpleObject)]
pub(crate) struct Counts {
    /// How many elements it has.
    elements: u64,
    /// How many were done.
    done: u64,
    /// How many failed.
    failed: u64,
    /// How many did not run.
    skipped: u64,
    /// How many are parked. They have not ended.
    parked: u64,
}

/// The executions on devices.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ExecutionsOnDevice;

/// An execution on a device; without the row, if it was deleted meanwhile.
pub(super) struct Run {
    number: u64,
    row: Option<Arc<ExecutionRow>>,
}

impl PageOf for ExecutionsOnDevice {
    const SCOPE: ReadScope = ReadScope::Executions;
    type Position = u64;
    type Row = Run;
    type Node = Execution;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<HashMap<u64, Vec<Run>>, StoreError> {
        let store = &loads.context().entities;
        let pages = store.executions_of_devices(ids, page).await?;
        let numbers: BTreeSet<u64> = pages.values().flatten().copied().collect();
        let rows = store.executions_by_number(&numbers).await?;
        let rows: HashMap<u64, Arc<ExecutionRow>> =
            rows.into_iter().map(|row| (row.number, Arc::new(row))).collect();
        let run = |number: u64| Run {
            number,
            row: rows.get(&number).cloned(),
        };
        let pages = pages.into_iter();
        Ok(pages
            .map(|(device, numbers)| (device, numbers.into_iter().map(run).collect()))
            .collect())
    }

    fn position(run: &Run) -> u64 {
        run.number
    }

    fn node(run: Arc<Run>) -> Option<Execution> {
        run.row.as_deref().cloned().map(Execution)
    }
}

impl Counted for ExecutionsOnDevice {
    fn relation(&self) -> Relation {
        Relation::ExecutionsOfDevices
    }
}

impl ExecutionType {
    fn of(dry_run: bool, provider: Option<ProviderType>) -> Self {
        match provider {
            _ if dry_run => Self::DryRun,
            Some(ProviderType::Configure) => Self::Apply,
            Some(ProviderType::Check) => Self::Check,
            Some(ProviderType::Facts) => Self::Facts,
            Some(ProviderType::Execute) => Self::Execute,
            Some(ProviderType::None) | None => Self::Other,
        }
    }
}

#[Object]
impl Execution {
    /// Its stable number, which grows.
    async fn id(&self) -> ID {
        self.0.number.into()
    }

    /// Its id, as messages name it: a UUID.
    async fn task_id(&self) -> String {
        self.0.id.to_string()
    }

    /// The name that its task had.
    async fn name(&self) -> &str {
        &self.0.request.task
    }

    /// Its state.
    async fn state(&self) -> ExecutionState {
        self.0.state.into()
    }

    /// What it does.
    async fn execution_type(&self, context: &Context<'_>) -> Option<Result<ExecutionType>> {
        Some(self.load_type(context).await)
    }

    /// The task, as it was when the execution was accepted.
    async fn neops_task(&self) -> NeopsTask {
        NeopsTask::of_execution(&self.0)
    }

    /// Why it ended so, where the counts do not say it.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The arguments of the run.
    async fn args(&self) -> &Value {
        &self.0.request.requested.arguments
    }

    /// Whether it changes nothing on devices.
    async fn dry_run(&self) -> bool {
        self.0.request.requested.dry_run
    }

    /// The kind of entity that was named in the request.
    async fn execute_on_type(&self) -> RunOn {
        self.0.request.requested.execute_on_type.into()
    }

    /// The kind of entity that its elements are.
    async fn run_on(&self) -> RunOn {
        self.0.request.run_on.into()
    }

    /// How many elements it has.
    #[graphql(name = "do")]
    async fn to_do(&self) -> u64 {
        self.0.counts.elements
    }

    /// How many of these have ended.
    async fn done(&self) -> u64 {
        let counts = self.0.counts;
        counts.done + counts.failed + counts.skipped
    }

    /// How many elements it has, and how many ended, by what became of them.
    async fn counts(&self) -> Counts {
        let counts = self.0.counts;
        Counts {
            elements: counts.elements,
            done: counts.done,
            failed: counts.failed,
            skipped: counts.skipped,
            parked: self.0.parked,
        }
    }

    /// Whether it is paused.
    async fn paused(&self) -> bool {
        self.0.paused
    }

    /// Why none of its elements begins any more: `cancelled`, `deadline`, `canary-failed` or `too-many-failed`.
    async fn halt(&self) -> Option<&str> {
        self.0.halt.map(lockstep_store::Halt::as_str)
    }

    /// Whether only its canary elements may begin.
    async fn in_canary(&self) -> bool {
        self.0.in_canary
    }

    /// The names that its pre-tasks had, in the order in which they run: theirs included.
    async fn pre_run_tasks(&self) -> Vec<&str> {
        names(&self.0.request.pre_tasks)
    }

    /// The names that its post-tasks had, likewise.
    async fn post_run_tasks(&self) -> Vec<&str> {
        names(&self.0.request.post_tasks)
    }

    /// The stages that it goes through, in their order.
    async fn stages(&self) -> Vec<Stage> {
        Stage::all(&self.0.request)
    }

    /// The stage that it is in, or ended in.
    async fn stage(&self) -> Option<Stage> {
        Stage::at(&self.0.request, self.0.stage.index)
    }

    /// When it was accepted.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.request.at)
    }

    /// When its first element began.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }

    /// When nothing more of it begins, and what runs is told to stop.
    async fn deadline_at(&self) -> Option<DateTime> {
        self.0.request.deadline_at.map(DateTime)
    }

    /// The authenticated sender who requested it.
    async fn by(&self) -> Option<&str> {
        self.0.request.actor.as_deref()
    }

    /// The id of the execution whose workflow it is a step of.
    async fn parent_id(&self) -> Option<ID> {
        let parent = self.0.request.parent?;
        Some(parent.execution.into())
    }

    /// The UUID of the execution whose failed elements it runs again.
    async fn relaunch_of(&self) -> Option<String> {
        self.0.request.relaunch_of.map(|id| id.to_string())
    }

    /// The approvals of a plan, the oldest first; empty for other executions.
    async fn approvals(&self, context: &Context<'_>) -> Option<Result<Vec<Approval>>> {
        Some(self.load_approvals(context).await)
    }

    /// Its elements, ordered by number: all, those that have not ended (`open`), or those of which this became.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn elements(
        &self,
        context: &Context<'_>,
        outcome: Option<ElementOutcome>,
        open: Option<bool>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Element>>> {
        let arguments = Arguments { first, after };
        Some(self.list_elements(context, outcome, open, arguments).await)
    }
}

impl Execution {
    async fn load_approvals(&self, context: &Context<'_>) -> Result<Vec<Approval>> {
        may_read(context, ReadScope::Executions)?;
        if !is_plan(&self.0) {
            return Ok(Vec::new());
        }
        let found = load(context, ApprovalsKey(self.0.number)).await?;
        Ok(found.unwrap_or_default().into_iter().map(Approval).collect())
    }

    async fn load_type(&self, context: &Context<'_>) -> Result<ExecutionType> {
        may_read(context, ReadScope::Executions)?;
        let provider = load(context, ProviderKey(self.0.request.provider.clone())).await?;
        let provider = provider.map(|view| ProviderType::of(&view.provider_type));
        Ok(ExecutionType::of(self.0.request.requested.dry_run, provider))
    }

    async fn list_elements(
        &self,
        context: &Context<'_>,
        outcome: Option<ElementOutcome>,
        open: Option<bool>,
        arguments: Arguments,
    ) -> Result<List<Element>> {
        let filter = filter(outcome, open)?;
        let counts = self.0.counts;
        let total = match filter {
            ElementFilter::All => counts.elements,
            ElementFilter::Open => {
                let ended = counts.done + counts.failed + counts.skipped;
                counts.elements.saturating_sub(ended)
            }
            ElementFilter::Outcome(protocol::ElementOutcome::Done) => counts.done,
            ElementFilter::Outcome(protocol::ElementOutcome::Failed) => counts.failed,
            ElementFilter::Outcome(protocol::ElementOutcome::Skipped) => counts.skipped,
        };
        let elements = ElementsOfExecution(filter);
        nested_with(context, elements, self.0.number, arguments, Total::Known(total)).await
    }
}

fn filter(outcome: Option<ElementOutcome>, open: Option<bool>) -> Result<ElementFilter> {
    match (outcome, open.unwrap_or(false)) {
        (None, false) => Ok(ElementFilter::All),
        (None, true) => Ok(ElementFilter::Open),
        (Some(outcome), false) => Ok(ElementFilter::Outcome(outcome.into())),
        (Some(_), true) => Err(invalid(
            "arguments \"outcome\" and \"open\": an element that is open has no outcome; leave one out",
        )),
    }
}

fn names(tasks: &[PhaseTask]) -> Vec<&str> {
    tasks.iter().map(|phase| phase.task.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_of_the_type_of_its_provider_unless_it_is_a_dry_run() {
        let apply = Some(ProviderType::Configure);
        for (dry_run, provider, expected) in [
            (true, apply, ExecutionType::DryRun),
            (false, apply, ExecutionType::Apply),
            (true, None, ExecutionType::DryRun),
            (false, None, ExecutionType::Other),
            (false, Some(ProviderType::Check), ExecutionType::Check),
            (false, Some(ProviderType::None), ExecutionType::Other),
        ] {
            assert_eq!(
                ExecutionType::of(dry_run, provider),
                expected,
                "{dry_run} {provider:?}"
            );
        }
    }
}
