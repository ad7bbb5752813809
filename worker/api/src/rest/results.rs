use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::Level;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::rest::{EntityResultPage, EntityResultView};
use lockstep_store::{
    ElementDetail, ElementQuery, ElementRow, EntityResult, EntityResultQuery, ExecutionRow, PlannedStage,
    StoreError,
};

use super::parameters::{self, Parameters, invalid};
use super::{executions, problem, stages};
use crate::context::Shared;

/// The most bytes of data in a page of several results: one element may have 16 MiB.
const MOST_BYTES: usize = 8 << 20;

/// `GET /v1/executions/{execution}/results`: one page of the results of entities, of one phase and level.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<EntityResultPage>, ProblemResponse> {
    operator.may_read(ReadScope::DeviceOutput)?;
    let text = parameters::segment(execution)?;
    let phase = parameters.value::<u8>("phase")?;
    let level = parameters.value::<Level>("level")?;
    let of = parameters.text("of")?;
    let after = parameters.value("after")?;
    let limit = parameters.limit()?;
    parameters.finish("phase, level, of, after, limit")?;
    let execution = executions::find(&shared, &text).await?;
    let phase = phase.unwrap_or_else(|| stages::main_phase(&execution.request));
    let level = level.unwrap_or_else(|| of_kind(execution.request.run_on));
    let task = task_of(&execution, phase)?;
    let query = EntityResultQuery {
        execution: execution.number,
        phase,
        level,
        of: match of {
            Some(of) => Some(above(&shared, level, &of).await?),
            None => None,
        },
        after,
        // One more than requested shows whether there is a next page.
        limit: limit + 1,
    };
    let page = if are_elements(&shared, &execution, &query).await? {
        if query.of.is_some() {
            let reason =
                "the results of this execution are its elements, which are below nothing; leave it out";
            return Err(invalid(format!("parameter \"of\": {reason}")));
        }
        of_elements(&shared, &query, &task, limit).await
    } else {
        of_entities(&shared, &query, &task, limit).await
    };
    Ok(Json(page.map_err(problem::store_error)?))
}

/// The level that a task runs on, by the kind of its targets.
fn of_kind(kind: ExecuteOn) -> Level {
    match kind {
        ExecuteOn::Global => Level::Global,
        ExecuteOn::Group => Level::Group,
        ExecuteOn::Device => Level::Device,
        ExecuteOn::Interface => Level::Interface,
        ExecuteOn::Client => Level::InterfaceClient,
    }
}

/// The name of the task of a phase.
fn task_of(execution: &ExecutionRow, phase: u8) -> Result<String, ProblemResponse> {
    let mut tasks = stages::tasks(&execution.request);
    tasks.nth(phase.into()).map(str::to_owned).ok_or_else(|| {
        let phases = stages::tasks(&execution.request).count();
        invalid(format!(
            "parameter \"phase\": execution {} has no phase {phase}; its phases are 0 to {}",
            execution.number,
            phases - 1
        ))
    })
}

/// The id of the entity above those of the level, by its id or its name.
async fn above(shared: &Shared, level: Level, text: &str) -> Result<u64, ProblemResponse> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let kind = match level {
        Level::NornirDevice | Level::Device => Some(ExecuteOn::Group),
        other => kind_above(other),
    };
    let kind = kind.ok_or_else(|| {
        invalid(format!(
            "parameter \"of\": level {level} is below nothing; leave it out"
        ))
    })?;
    let found = shared.context.executions.named(kind, &[text.to_owned()]).await;
    let found = found.map_err(problem::store_error)?;
    found.ids.first().copied().ok_or_else(|| {
        let detail = format!("no {kind} is named {text:?}, above the level {level}");
        ProblemResponse::not_found("unknown-entity", "the entity does not exist", detail)
    })
}

/// The kind of the entities above those of the level.
fn kind_above(level: Level) -> Option<ExecuteOn> {
    match level {
        Level::GroupClient => Some(ExecuteOn::Group),
        Level::Device | Level::Interface => Some(ExecuteOn::Device),
        Level::InterfaceClient => Some(ExecuteOn::Interface),
        Level::Global | Level::Item | Level::Group | Level::NornirDevice => None,
    }
}

/// Whether the elements are the results themselves: the execution has one stage, no entity has a result, and the level is theirs.
async fn are_elements(
    shared: &Shared,
    execution: &ExecutionRow,
    query: &EntityResultQuery,
) -> Result<bool, ProblemResponse> {
    let [PlannedStage { stage, .. }] = execution.request.plan[..] else {
        return Ok(false);
    };
    if query.level.entity_type() != stage.entity_type() {
        return Ok(false);
    }
    let any = EntityResultQuery {
        of: None,
        after: None,
        limit: 1,
        ..query.clone()
    };
    let first = shared.context.cycle.entity_results(&any).await;
    Ok(first.map_err(problem::store_error)?.is_empty())
}

async fn of_entities(
    shared: &Shared,
    query: &EntityResultQuery,
    task: &str,
    limit: u32,
) -> Result<EntityResultPage, StoreError> {
    let mut rows = shared.context.cycle.entity_results(query).await?;
    let next = parameters::cut(&mut rows, limit, |result| result.entity);
    let above: BTreeSet<u64> = rows.iter().filter_map(|row| row.parent).collect();
    let above = match kind_above(query.level) {
        Some(kind) if !above.is_empty() => shared.context.executions.names(kind, &above).await?,
        _ => BTreeMap::new(),
    };
    let mut page = Page::new(next);
    for row in rows {
        let end = row.entity;
        let of = row.parent.and_then(|parent| above.get(&parent)).cloned();
        if !page.add(of_entity(row, of, task), end) {
            break;
        }
    }
    Ok(page.answer)
}

async fn of_elements(
    shared: &Shared,
    query: &EntityResultQuery,
    task: &str,
    limit: u32,
) -> Result<EntityResultPage, StoreError> {
    let store = &shared.context.executions;
    let elements = ElementQuery {
        execution: query.execution,
        after: query.after,
        limit: query.limit,
        ..ElementQuery::default()
    };
    let mut rows = store.elements(&elements).await?;
    let next = parameters::cut(&mut rows, limit, |element| element.number);
    let mut page = Page::new(next);
    for row in rows {
        // One at a time, so that no more than the page is in memory.
        let end = row.number;
        let ElementDetail { row, data } = store.element(end).await?.unwrap_or(ElementDetail {
            row,
            data: serde_json::Value::Null,
        });
        if !page.add(of_element(row, data, query, task), end) {
            break;
        }
    }
    Ok(page.answer)
}

/// A page that takes results until it is full.
struct Page {
    answer: EntityResultPage,
    bytes: usize,
    last: Option<u64>,
}

impl Page {
    fn new(next: Option<u64>) -> Self {
        let results = Vec::new();
        Self {
            answer: EntityResultPage { results, next },
            bytes: 0,
            last: None,
        }
    }

    /// Adds a result, after which the next page begins at `end`. `false` if it does not fit: the page ends before it.
    fn add(&mut self, result: EntityResultView, end: u64) -> bool {
        self.bytes += result.data.to_string().len() + result.pre_run.to_string().len();
        if self.bytes > MOST_BYTES && !self.answer.results.is_empty() {
            self.answer.next = self.last;
            return false;
        }
        self.answer.results.push(result);
        self.last = Some(end);
        true
    }
}

fn of_entity(row: EntityResult, of: Option<String>, task: &str) -> EntityResultView {
    EntityResultView {
        phase: row.phase,
        task: task.to_owned(),
        level: row.level,
        entity: row.entity,
        name: row.name,
        parent: row.parent,
        of,
        state: row.state,
        outcome: row.state.outcome(),
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        pre_run: row.pre_run,
        data: row.data,
    }
}

fn of_element(
    row: ElementRow,
    data: serde_json::Value,
    query: &EntityResultQuery,
    task: &str,
) -> EntityResultView {
    EntityResultView {
        phase: query.phase,
        task: task.to_owned(),
        level: query.level,
        entity: row.entity,
        name: row.name,
        parent: None,
        of: None,
        state: row.state,
        outcome: row.state.outcome(),
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        pre_run: serde_json::Value::Null,
        data,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::ElementState;
    use serde_json::{Value, json};

    use super::*;

    fn result(entity: u64, bytes: usize) -> EntityResultView {
        let row = EntityResult {
            phase: 0,
            level: Level::Device,
            entity,
            name: "sw1".to_owned(),
            parent: None,
            state: ElementState::Successful,
            reason: None,
            message: None,
            changed: false,
            pre_run: Value::Null,
            data: json!("x".repeat(bytes)),
        };
        of_entity(row, None, "versions")
    }

    #[test]
    fn a_page_takes_the_first_result_whatever_its_size_and_ends_when_it_is_full() {
        let mut page = Page::new(None);
        assert!(page.add(result(1, 9 << 20), 1));
        assert!(!page.add(result(2, 10), 2));
        assert_eq!((page.answer.results.len(), page.answer.next), (1, Some(1)));
        let mut page = Page::new(Some(9));
        for entity in 1..=3 {
            assert!(page.add(result(entity, 1 << 20), entity));
        }
        assert_eq!((page.answer.results.len(), page.answer.next), (3, Some(9)));
    }
}
