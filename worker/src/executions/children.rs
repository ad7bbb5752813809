//! The executions that a running element begins, and what became of them: the steps of a workflow.
//!
//! A step begins in a transaction of its own, under the lock of the execution of the workflow, and its identity is derived from that and the
//! step. So it begins once, however often the element runs, and not after a cancel.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_execution::{Child, ChildError, ChildExecutions, ChildTargets, NewChild};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Identity, Kind, Level, MessageKey, Source};
use lockstep_store::{
    ElementQuery, EntityResultQuery, ExecutionQuery, ExecutionReference, ExecutionRow, Keys, NewExecution,
    ParentStep, ReplyAddress, StoreError, TaskRow,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ExecutionContext;
use super::announce::Announcer;
use super::element::level;
use super::phase::main;
use super::runner::Done;
use super::start::{Starting, StepOf, deadline, id, planned};
use super::step_data::read;
use super::tasks::unknown;
use super::workflow::MOST_DEPTH;
use crate::handlers::Rejection;
use crate::runtime::chain;

/// The rows of a page.
const PAGE: u32 = 500;
/// The most results of a step that the texts of a workflow see.
const MOST_RESULTS: usize = 1000;
/// The most bytes of these.
const MOST_BYTES: usize = 8 << 20;

/// What one element begins and reads.
#[derive(Debug)]
pub(super) struct Children<'a> {
    pub(super) context: &'a ExecutionContext,
    /// The execution of the workflow.
    pub(super) execution: &'a ExecutionRow,
    pub(super) element: u64,
    pub(super) phase: u8,
    /// Fires when the element is told to stop.
    pub(super) cancel: &'a CancellationToken,
}

#[async_trait]
impl ChildExecutions for Children<'_> {
    async fn written(&self) -> Result<Value, String> {
        let element = read(self.cancel, || self.context.executions.element(self.element)).await;
        Ok(element
            .map_err(|error| text(&error))?
            .map_or(Value::Null, |element| element.data))
    }

    async fn begun(&self) -> Result<Vec<Child>, String> {
        let mut query = ExecutionQuery {
            parent: Some(self.execution.number),
            limit: PAGE,
            ..ExecutionQuery::default()
        };
        let mut begun = Vec::new();
        loop {
            let page = read(self.cancel, || self.context.executions.executions(&query)).await;
            let page = page.map_err(|error| text(&error))?;
            query.before = page.last().map(|row| row.number);
            let is_last = page.len() < PAGE as usize;
            begun.extend(page.into_iter().filter_map(|row| self.child(row)));
            if is_last {
                return Ok(begun);
            }
        }
    }

    async fn begin(&self, new: &NewChild) -> Result<u64, ChildError> {
        let unavailable = |error: StoreError| ChildError::Unavailable(text(&error));
        let ancestors = read(self.cancel, || self.ancestors())
            .await
            .map_err(unavailable)?;
        let begin = read(self.cancel, || self.begin_once(new, &ancestors));
        let (number, done) = begin.await.map_err(unavailable)??;
        if let Some(mut done) = done {
            let announcer = Announcer::new(self.context);
            done.aftermath.ended.extend(done.ended);
            let mut announcement = announcer.of(done.aftermath);
            announcement.started.extend(done.started);
            announcer.announce_soon(announcement);
        }
        Ok(number)
    }

    async fn results(&self, child: u64) -> Result<Vec<Value>, String> {
        let row = self.row(child).await.map_err(|error| text(&error))?;
        let row = row.ok_or_else(|| format!("execution {child} is not there any more"))?;
        let mut results = Results::default();
        for level in levels(row.request.run_on) {
            self.of_entities(&row, level, &mut results).await?;
        }
        if results.0.is_empty() {
            self.of_elements(&row, &mut results).await?;
        }
        Ok(results.0)
    }

    async fn changed(&self, children: &[u64]) -> Result<bool, String> {
        let children: BTreeSet<u64> = children.iter().copied().collect();
        let once = async || {
            let (_, mut transaction) = self.context.store.begin(&[], &Keys::default()).await?;
            transaction.executions().any_changed(&children).await
        };
        read(self.cancel, once).await.map_err(|error| text(&error))
    }
}

impl Children<'_> {
    fn child(&self, row: ExecutionRow) -> Option<Child> {
        let parent = row.request.parent.filter(|parent| parent.phase == self.phase)?;
        Some(Child {
            step: parent.step,
            execution: row.number,
            task: row.request.task,
            state: row.state,
            reason: row.reason,
            halted: row.halt.is_some(),
            elements: row.counts.elements,
            done: row.counts.done,
            failed: row.counts.failed,
            skipped: row.counts.skipped,
        })
    }

    async fn row(&self, number: u64) -> Result<Option<ExecutionRow>, StoreError> {
        let reference = ExecutionReference::Number(number);
        read(self.cancel, || self.context.executions.execution(&reference)).await
    }

    /// The execution of the workflow, with what it was requested for, and those of the workflows around it.
    async fn ancestors(&self) -> Result<Vec<ExecutionRow>, StoreError> {
        let mut ancestors: Vec<ExecutionRow> = Vec::new();
        let mut next = Some(self.execution.number);
        while let Some(number) = next {
            let Some(row) = self.row(number).await? else { break };
            next = row.request.parent.map(|parent| parent.execution);
            ancestors.push(row);
            if ancestors.len() >= MOST_DEPTH {
                break;
            }
        }
        Ok(ancestors)
    }

    /// The number of the execution of a step; what is to be announced about it, unless it was there.
    async fn begin_once(
        &self,
        new: &NewChild,
        ancestors: &[ExecutionRow],
    ) -> Result<Result<(u64, Option<Done>), ChildError>, StoreError> {
        let (mut facts, mut transaction) = self.context.store.begin(&[], &Keys::default()).await?;
        let now = self.context.now(&facts);
        let begun = {
            let mut tx = transaction.executions();
            // Who cancels or pauses the workflow does so before, or finds the step.
            let parents = tx.lock_numbers(&BTreeSet::from([self.execution.number])).await?;
            let Some(parent) = parents
                .first()
                .filter(|row| row.ended_at.is_none() && row.halt.is_none())
            else {
                return Ok(Err(ChildError::Halted));
            };
            let blank = self.blank(new, now);
            let key = MessageKey {
                identity: blank.identity.clone(),
                actor: blank.actor.as_deref().map(Into::into),
            };
            let id = id(&key)?;
            if let Some(row) = tx.lock(id).await? {
                return Ok(Ok((row.number, None)));
            }
            let Some(task) = tx.task(&new.task).await? else {
                return Ok(Err(refused(&unknown(&new.task, ""))));
            };
            if let Err(error) = self.nested(&task, ancestors) {
                return Ok(Err(error));
            }
            let request = self.request(new, ancestors);
            let registry = &self.context.registry;
            let (new_execution, source, levels) =
                match planned(&mut *tx, registry, task, &request, blank).await? {
                    Ok(planned) => planned,
                    Err(rejection) => return Ok(Err(refused(&rejection))),
                };
            let step = StepOf {
                left_out_by: match &new.on {
                    ChildTargets::Inherited { left_out_by } => left_out_by.clone(),
                    ChildTargets::Named { .. } => BTreeSet::new(),
                },
                paused: parent.paused,
            };
            let starting = Starting {
                context: self.context,
                executions: &mut *tx,
                facts: &mut facts,
                now,
            };
            match starting.start(id, new_execution, &source, levels, &step).await? {
                Ok(done) => (tx.lock(id).await?, done),
                Err(rejection) => return Ok(Err(refused(&rejection))),
            }
        };
        transaction.commit(&facts).await?;
        let (row, done) = begun;
        let row = row.ok_or_else(|| StoreError::Corrupt {
            what: "execution.id".to_owned(),
            reason: "an execution that was stored is not there".to_owned(),
        })?;
        Ok(Ok((row.number, Some(done))))
    }

    /// Checks a task that is about to run within these workflows, the innermost first.
    fn nested(&self, task: &TaskRow, ancestors: &[ExecutionRow]) -> Result<(), ChildError> {
        let error = |reason: &'static str, message: String| ChildError::Refused {
            reason: reason.into(),
            message,
        };
        if ancestors.iter().any(|row| row.request.task_number == task.number) {
            let message = format!(
                "task {} would run itself, because it was changed since; save it without this step",
                task.name
            );
            return Err(error("workflow-cycle", message));
        }
        let provider = self.context.registry.get(&task.provider);
        let steps = provider.and_then(|provider| provider.tasks(&task.arguments).ok());
        if steps.is_some_and(|steps| !steps.is_empty()) && ancestors.len() >= MOST_DEPTH {
            let message = format!(
                "workflow {} would be nested deeper than {MOST_DEPTH}; let the workflow around it have its steps",
                task.name
            );
            return Err(error("workflow-too-deep", message));
        }
        Ok(())
    }

    fn request(&self, new: &NewChild, ancestors: &[ExecutionRow]) -> TaskRequested {
        // Only this row has the entities.
        let of_workflow = ancestors.first().unwrap_or(self.execution);
        let (execute_on_type, execute_on, execute_on_names) = match &new.on {
            ChildTargets::Inherited { .. } => {
                let requested = &of_workflow.request.requested;
                (
                    requested.execute_on_type,
                    requested.execute_on.clone(),
                    Vec::new(),
                )
            }
            ChildTargets::Named { kind, ids, names } => (*kind, ids.clone(), names.clone()),
        };
        TaskRequested {
            task: new.task.clone(),
            execute_on,
            execute_on_names,
            execute_on_type,
            dry_run: self.execution.request.requested.dry_run,
            arguments: new.arguments.clone(),
            limits: self.limits(new),
        }
    }

    fn limits(&self, new: &NewChild) -> RunLimits {
        new.limits.unwrap_or(*self.execution.request.limits())
    }

    /// What the workflow says about the execution of a step, apart from its task.
    fn blank(&self, new: &NewChild, now: Timestamp) -> NewExecution {
        let of_workflow = &self.execution.request;
        let own = deadline(&self.limits(new), now);
        NewExecution {
            task_number: 0,
            task: String::new(),
            provider: String::new(),
            task_arguments: Value::Null,
            requested: of_workflow.requested.clone(),
            run_on: ExecuteOn::Global,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            plan: Vec::new(),
            lane: Lane::Devices,
            relaunch_of: None,
            parent: Some(ParentStep {
                execution: self.execution.number,
                phase: self.phase,
                step: new.step,
            }),
            identity: identity(self.execution.id, self.phase, new.step),
            kind: Kind::TaskRequested,
            actor: of_workflow.actor.clone(),
            reply: ReplyAddress::default(),
            at: now,
            deadline_at: own.into_iter().chain(of_workflow.deadline_at).min(),
        }
    }

    async fn of_entities(
        &self,
        row: &ExecutionRow,
        level: Level,
        results: &mut Results,
    ) -> Result<(), String> {
        let mut query = EntityResultQuery {
            execution: row.number,
            phase: main(&row.request),
            level,
            of: None,
            after: None,
            limit: PAGE,
        };
        loop {
            let page = read(self.cancel, || self.context.cycle.entity_results(&query)).await;
            let page = page.map_err(|error| text(&error))?;
            query.after = page.last().map(|result| result.entity);
            let is_last = page.len() < PAGE as usize;
            for result in page {
                let data = if result.data.is_null() {
                    result.pre_run
                } else {
                    result.data
                };
                results.push(json!({
                    "name": result.name,
                    "entity_type": level.entity_type(),
                    "state": result.state,
                    "reason": result.reason,
                    "changed": result.changed,
                    "data": data,
                }))?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The elements are the results if they ran one step on themselves alone.
    async fn of_elements(&self, row: &ExecutionRow, results: &mut Results) -> Result<(), String> {
        let mut query = ElementQuery {
            execution: row.number,
            limit: PAGE,
            ..ElementQuery::default()
        };
        loop {
            let page = read(self.cancel, || self.context.executions.elements(&query)).await;
            let page = page.map_err(|error| text(&error))?;
            query.after = page.last().map(|element| element.number);
            let is_last = page.len() < PAGE as usize;
            for element in page {
                let number = element.number;
                let detail = read(self.cancel, || self.context.executions.element(number)).await;
                let detail = detail.map_err(|error| text(&error))?;
                results.push(json!({
                    "name": element.name,
                    "entity_type": element.entity_type,
                    "state": element.state,
                    "reason": element.reason,
                    "changed": element.changed,
                    "data": detail.map(|detail| detail.data),
                }))?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Results up to a number and a size.
#[derive(Default)]
struct Results(Vec<Value>, usize);

impl Results {
    fn push(&mut self, result: Value) -> Result<(), String> {
        self.1 += result.to_string().len();
        if self.0.len() >= MOST_RESULTS || self.1 > MOST_BYTES {
            return Err(format!(
                "the step has more than {MOST_RESULTS} results, or they have more than {MOST_BYTES} bytes; use its counts only"
            ));
        }
        self.0.push(result);
        Ok(())
    }
}

/// The identity of the request of a step: the same one whoever makes it, and however often.
fn identity(workflow: Uuid, phase: u8, step: u32) -> Identity {
    let name = format!("workflow\0{workflow}\0{phase}\0{step}");
    Identity {
        source: Source::worker(),
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).into(),
    }
}

/// The levels that a task runs on.
fn levels(run_on: ExecuteOn) -> Vec<Level> {
    match run_on {
        ExecuteOn::Client => vec![Level::GroupClient, Level::InterfaceClient],
        other => vec![level(other)],
    }
}

fn refused(rejection: &Rejection) -> ChildError {
    // The place is one of a message that nobody wrote.
    let place = rejection.place.strip_prefix("$.data.arguments");
    let place = place.filter(|place| !place.is_empty());
    let message = match place {
        Some(place) => format!("arguments{place}: {}", rejection.reason),
        None => rejection.reason.clone(),
    };
    ChildError::Refused {
        reason: rejection.code.as_str().to_owned().into(),
        message,
    }
}

fn text(error: &StoreError) -> String {
    format!("the store cannot be used: {}", chain(error))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Code;

    use super::*;

    #[test]
    fn a_step_is_one_request_whoever_makes_it() {
        let workflow = Uuid::from_u128(7);
        assert_eq!(identity(workflow, 0, 1), identity(workflow, 0, 1));
        let others = [
            identity(workflow, 0, 2),
            identity(workflow, 1, 1),
            identity(Uuid::from_u128(8), 0, 1),
        ];
        assert!(!others.contains(&identity(workflow, 0, 1)));
    }

    #[test]
    fn a_refusal_tells_where_the_arguments_of_the_step_are_wrong() {
        for (place, expected) in [
            ("$.data.arguments.count", "arguments.count: it is negative"),
            ("$.data.arguments", "it is negative"),
            ("$.data.task", "it is negative"),
        ] {
            let rejection = Rejection::new(Code::InvalidArguments, place, "it is negative");
            let ChildError::Refused { reason, message } = refused(&rejection) else {
                panic!("{rejection:?}");
            };
            assert_eq!((&*reason, &*message), ("invalid-arguments", expected));
        }
    }

    #[test]
    fn results_are_bounded() {
        let mut results = Results::default();
        for number in 0..MOST_RESULTS {
            results.push(json!(number)).unwrap();
        }
        assert!(results.push(json!(0)).is_err());
        assert!(Results::default().push(json!("x".repeat(MOST_BYTES))).is_err());
    }
}
