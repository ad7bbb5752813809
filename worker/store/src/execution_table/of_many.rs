//! Elements and executions of many entities.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

use super::found::{json, within_budget};
use super::{READ, element, execution, finish};
use crate::entity_table::{numbers, pages};
use crate::sql::{SqlDatabase, Value};
use crate::{
    Bounded, ByteBudget, DeviceId, ElementFilter, ElementRow, ExecutionRow, Page, Pages, StoreError,
};

/// The elements whose numbers the query returns for each wanted id, with that id.
macro_rules! elements {
    ($query:expr, $order:literal) => {
        concat!(
            "SELECT ",
            element::columns!(),
            ", wanted.id FROM {rows $1: id bigint} AS wanted {pages element.number: ",
            $query,
            "} ORDER BY ",
            $order
        )
    };
}

/// One outcome of an execution is one range of an index.
macro_rules! numbers_of {
    ($outcome:literal) => {
        concat!(
            "SELECT paged.number FROM element AS paged WHERE paged.execution = wanted.id AND paged.outcome = ",
            $outcome,
            " AND paged.number > $2 ORDER BY paged.number LIMIT $3"
        )
    };
}

macro_rules! range_of {
    ($outcome:literal) => {
        concat!("SELECT number FROM (", numbers_of!($outcome), ") AS page")
    };
}

/// The pages of all outcomes, merged.
const OF_EXECUTIONS: &str = elements!(
    concat!(
        "SELECT number FROM (",
        range_of!("'open'"),
        " UNION ALL ",
        range_of!("'done'"),
        " UNION ALL ",
        range_of!("'failed'"),
        " UNION ALL ",
        range_of!("'skipped'"),
        ") AS merged ORDER BY number LIMIT $3"
    ),
    "element.number"
);

const OF_OUTCOME: &str = elements!(numbers_of!("$4"), "element.number");

const OF_DEVICES: &str = elements!(
    "SELECT paged.number FROM element AS paged \
     WHERE paged.device_id = wanted.id AND (paged.execution, paged.number) < ($2, $3) \
     ORDER BY paged.execution DESC, paged.number DESC LIMIT $4",
    "element.execution DESC, element.number DESC"
);

const EXECUTIONS_OF_DEVICES: &str = "\
    SELECT DISTINCT wanted.id, element.execution FROM {rows $1: id bigint} AS wanted \
    {pages element.execution: SELECT DISTINCT paged.execution FROM element AS paged \
        WHERE paged.device_id = wanted.id AND paged.execution < $2 ORDER BY paged.execution DESC LIMIT $3} \
    WHERE element.device_id = wanted.id ORDER BY element.execution DESC";

const EXECUTIONS: &str =
    execution::select!("number IN (SELECT number FROM {rows $1: number bigint} AS listed) ORDER BY number");

const DEVICES: &str = "\
    SELECT number, device_id FROM element \
    WHERE number IN (SELECT id FROM {rows $1: id bigint} AS wanted) AND device_id IS NOT NULL";

/// An element without data has not ended.
const DATA: &str = concat!(
    "SELECT number, ",
    within_budget!(
        "number",
        "octet_length(coalesce(data, 'null'))",
        "coalesce(data, 'null')"
    ),
    " FROM element WHERE number IN (SELECT id FROM {rows $2: id bigint} AS wanted)"
);

pub(crate) async fn elements_of_executions<D: SqlDatabase>(
    database: &D,
    executions: &[u64],
    filter: ElementFilter,
    page: &Page<u64>,
) -> Result<Pages<ElementRow>, StoreError> {
    let outcome = match filter {
        ElementFilter::All => None,
        ElementFilter::Open => Some("open"),
        ElementFilter::Outcome(outcome) => Some(finish::outcome_text(outcome)),
    };
    let after = page.after.unwrap_or_default();
    let mut parameters = vec![numbers(executions), after.into(), page.limit.into()];
    parameters.extend(outcome.map(Value::from));
    let statement = outcome.map_or(OF_EXECUTIONS, |_| OF_OUTCOME);
    elements(database, statement, parameters).await
}

pub(crate) async fn elements_of_devices<D: SqlDatabase>(
    database: &D,
    devices: &[u64],
    page: &Page<(u64, u64)>,
) -> Result<Pages<ElementRow>, StoreError> {
    let (execution, number) = page.after.unwrap_or((u64::MAX, u64::MAX));
    let parameters = vec![
        numbers(devices),
        execution.into(),
        number.into(),
        page.limit.into(),
    ];
    elements(database, OF_DEVICES, parameters).await
}

async fn elements<D: SqlDatabase>(
    database: &D,
    statement: &'static str,
    parameters: Vec<Value>,
) -> Result<Pages<ElementRow>, StoreError> {
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    pages(&rows, |row| {
        Ok((row.number("wanted.id", 17)?, element::read(row)?))
    })
}

pub(crate) async fn executions_of_devices<D: SqlDatabase>(
    database: &D,
    devices: &[u64],
    page: &Page<u64>,
) -> Result<Pages<u64>, StoreError> {
    let before = page.after.unwrap_or(u64::MAX);
    let parameters = vec![numbers(devices), before.into(), page.limit.into()];
    let rows = database
        .read_planned_for_now(READ, EXECUTIONS_OF_DEVICES, parameters)
        .await?;
    pages(&rows, |row| {
        Ok((row.number("wanted.id", 0)?, row.number("element.execution", 1)?))
    })
}

pub(crate) async fn executions_by_number<D: SqlDatabase>(
    database: &D,
    numbers: &BTreeSet<u64>,
) -> Result<Vec<ExecutionRow>, StoreError> {
    let parameters = vec![super::numbers(numbers)];
    let rows = database
        .read_planned_for_now(READ, EXECUTIONS, parameters)
        .await?;
    rows.iter().map(execution::read).collect()
}

pub(crate) async fn devices_of_elements<D: SqlDatabase>(
    database: &D,
    elements: &[u64],
) -> Result<HashMap<u64, DeviceId>, StoreError> {
    let rows = database
        .read_planned_for_now(READ, DEVICES, vec![numbers(elements)])
        .await?;
    rows.iter()
        .map(|row| {
            let device = DeviceId(row.integer("element.device_id", 1)?);
            Ok((row.number("element.number", 0)?, device))
        })
        .collect()
}

pub(crate) async fn data_of_elements<D: SqlDatabase>(
    database: &D,
    elements: &[u64],
    budget: &mut ByteBudget,
) -> Result<HashMap<u64, Bounded<Json>>, StoreError> {
    let parameters = vec![budget.0.into(), numbers(elements)];
    let rows = database.read_planned_for_now(READ, DATA, parameters).await?;
    rows.iter()
        .map(|row| {
            let (data, is_whole) = json(row, "element.data", 1, budget)?;
            let data = Bounded { row: data, is_whole };
            Ok((row.number("element.number", 0)?, data))
        })
        .collect()
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    OF_EXECUTIONS,
    OF_OUTCOME,
    OF_DEVICES,
    EXECUTIONS_OF_DEVICES,
    EXECUTIONS,
    DEVICES,
    DATA,
];
