//! What the steps came to for entities.

use std::collections::BTreeMap;

use lockstep_protocol::Level;
use serde_json::Value as Json;

use super::finish::in_parts;
use super::found::{json, within_budget};
use super::{READ, execute};
use crate::entity_table::{numbers, pages};
use crate::sql::{Row, SqlDatabase, SqlSession, Value, rows};
use crate::{
    Bounded, ByteBudget, ElementEnd, EntityResult, EntityResultQuery, Page, Pages, ResultPosition,
    StoreError, column,
};

const WRITE_RESULTS: &str = "\
    INSERT INTO entity_result (execution, phase, level, entity_id, element, name, parent_id, state, reason, message, changed, pre_run, data) \
    SELECT execution, phase, level, entity_id, element, name, parent_id, state, reason, message, changed, pre_run, data \
    FROM {rows $1: execution bigint, phase integer, level text, entity_id bigint, element bigint, name text, parent_id bigint, \
        state text, reason text, message text, changed boolean, pre_run text, data text} AS found \
    WHERE true \
    ON CONFLICT (execution, phase, level, entity_id) DO UPDATE SET element = excluded.element, name = excluded.name, \
        parent_id = excluded.parent_id, state = excluded.state, reason = excluded.reason, message = excluded.message, \
        changed = excluded.changed, pre_run = excluded.pre_run, data = excluded.data";

/// The columns that [`read`] expects.
macro_rules! columns {
    () => {
        "phase, level, entity_id, name, parent_id, state, reason, message, changed, pre_run, data"
    };
}

macro_rules! page {
    ($of:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM entity_result WHERE execution = $1 AND phase = $2 AND level = $3 AND entity_id > $4",
            $of,
            " ORDER BY entity_id LIMIT $5"
        )
    };
}

const PAGE: &str = page!("");
const BELOW: &str = page!(" AND parent_id = $6");
const DEVICES_OF_GROUP: &str = page!(
    " AND entity_id IN (SELECT member.device_id FROM group_member AS member WHERE member.group_id = $6)"
);
const CONNECTIONS_OF_GROUP: &str = page!(
    " AND entity_id IN (SELECT coalesce(device.controller_id, device.id) FROM group_member AS member \
        JOIN device ON device.id = member.device_id WHERE member.group_id = $6)"
);

/// Those of an element are sorted, without their JSON: they are no range of an index.
const OF_ELEMENTS: &str = concat!(
    "SELECT phase, level, entity_id, name, parent_id, state, reason, message, changed, ",
    within_budget!(
        "element, phase, level, entity_id",
        "octet_length(pre_run) + octet_length(data)",
        "pre_run"
    ),
    ", ",
    within_budget!(
        "element, phase, level, entity_id",
        "octet_length(pre_run) + octet_length(data)",
        "data"
    ),
    ", element FROM (SELECT entity_result.*, row_number() OVER (PARTITION BY element ORDER BY phase, level, entity_id) AS place \
        FROM entity_result WHERE element IN (SELECT id FROM {rows $2: id bigint} AS wanted) \
            AND (phase, level, entity_id) > ($3, $4, $5)) AS placed \
     WHERE place <= $6 ORDER BY phase, level, entity_id"
);

const OF_ELEMENT: &str = concat!("SELECT ", columns!(), " FROM entity_result WHERE element = $1");

/// Writes the results of the entities of elements that ended, with their executions. If two elements ran on one entity, the result of the
/// last one counts.
pub(super) async fn write(session: &dyn SqlSession, ends: &[(&ElementEnd, u64)]) -> Result<(), StoreError> {
    let mut of_key = BTreeMap::new();
    for (end, execution) in ends {
        for result in &end.results {
            let key = (*execution, result.phase, result.level.as_str(), result.entity);
            of_key.insert(key, (end.number, result));
        }
    }
    let listed = of_key
        .into_iter()
        .map(|((execution, ..), (element, result))| listed(execution, element, result));
    for part in in_parts(listed.collect()) {
        execute(session, WRITE_RESULTS, vec![rows(part)]).await?;
    }
    Ok(())
}

fn listed(execution: u64, element: u64, result: &EntityResult) -> Vec<Json> {
    vec![
        execution.into(),
        result.phase.into(),
        result.level.as_str().into(),
        result.entity.into(),
        element.into(),
        result.name.as_str().into(),
        result.parent.into(),
        result.state.as_str().into(),
        result.reason.as_deref().into(),
        result.message.as_deref().into(),
        result.changed.into(),
        result.pre_run.to_string().into(),
        result.data.to_string().into(),
    ]
}

pub(super) async fn page<D: SqlDatabase>(
    database: &D,
    query: &EntityResultQuery,
) -> Result<Vec<EntityResult>, StoreError> {
    let mut parameters: Vec<Value> = vec![
        query.execution.into(),
        u32::from(query.phase).into(),
        query.level.as_str().into(),
        query
            .after
            .map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX))
            .into(),
        query.limit.into(),
    ];
    let statement = match (query.of, query.level) {
        (None, _) => PAGE,
        (Some(_), Level::Device) => DEVICES_OF_GROUP,
        (Some(_), Level::NornirDevice) => CONNECTIONS_OF_GROUP,
        (Some(_), _) => BELOW,
    };
    parameters.extend(query.of.map(Value::from));
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    rows.iter().map(read).collect()
}

/// The results of the entities of an element, ordered by phase, level and entity.
pub(super) async fn of_element<D: SqlDatabase>(
    database: &D,
    element: u64,
) -> Result<Vec<EntityResult>, StoreError> {
    let rows = database
        .read_planned_for_now(READ, OF_ELEMENT, vec![element.into()])
        .await?;
    let mut results = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    results.sort_by_key(|result| (result.phase, result.level, result.entity));
    Ok(results)
}

/// A page of the results of the entities of each element.
pub(crate) async fn results_of_elements<D: SqlDatabase>(
    database: &D,
    elements: &[u64],
    page: &Page<ResultPosition>,
    budget: &mut ByteBudget,
) -> Result<Pages<Bounded<EntityResult>>, StoreError> {
    let (phase, level, entity) = page.after.map_or((-1, "", -1), |after| {
        let entity = i64::try_from(after.entity).unwrap_or(i64::MAX);
        (i64::from(after.phase), after.level.as_str(), entity)
    });
    let parameters = vec![
        budget.0.into(),
        numbers(elements),
        phase.into(),
        level.into(),
        entity.into(),
        page.limit.into(),
    ];
    let rows = database
        .read_planned_for_now(READ, OF_ELEMENTS, parameters)
        .await?;
    pages(&rows, |row| {
        let (pre_run, _) = json(row, "entity_result.pre_run", 9, budget)?;
        let (data, is_whole) = json(row, "entity_result.data", 10, budget)?;
        let result = Bounded {
            row: read_with(row, pre_run, data)?,
            is_whole,
        };
        Ok((row.number("entity_result.element", 11)?, result))
    })
}

fn read(row: &Row) -> Result<EntityResult, StoreError> {
    let json = |what, index| column::json(what, &row.text(what, index)?);
    let pre_run = json("entity_result.pre_run", 9)?;
    read_with(row, pre_run, json("entity_result.data", 10)?)
}

fn read_with(row: &Row, pre_run: Json, data: Json) -> Result<EntityResult, StoreError> {
    Ok(EntityResult {
        phase: row.number("entity_result.phase", 0)?,
        level: column::word("entity_result.level", &row.text("entity_result.level", 1)?)?,
        entity: row.number("entity_result.entity_id", 2)?,
        name: row.text("entity_result.name", 3)?,
        parent: row.optional_number("entity_result.parent_id", 4)?,
        state: column::word("entity_result.state", &row.text("entity_result.state", 5)?)?,
        reason: row.optional_text("entity_result.reason", 6)?,
        message: row.optional_text("entity_result.message", 7)?,
        changed: row.boolean("entity_result.changed", 8)?,
        pre_run,
        data,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    WRITE_RESULTS,
    PAGE,
    BELOW,
    DEVICES_OF_GROUP,
    CONNECTIONS_OF_GROUP,
    OF_ELEMENT,
    OF_ELEMENTS,
];
