//! The newest facts and checks of many entities.

use lockstep_protocol::EntityType;
use serde_json::Value as Json;

use super::READ;
use crate::entity_table::{numbers, pages};
use crate::sql::{Row, SqlDatabase, Value};
use crate::{Bounded, ByteBudget, CheckRow, FactRow, Page, Pages, StoreError, column};

/// The JSON in `$json`, if that of all rows up to this one, in the order of `$order`, has at most `$1` bytes. A row has `$bytes`.
macro_rules! within_budget {
    ($order:literal, $bytes:literal, $json:literal) => {
        concat!(
            "CASE WHEN sum(",
            $bytes,
            ") OVER (ORDER BY ",
            $order,
            ") <= CAST($1 AS bigint) THEN ",
            $json,
            " END"
        )
    };
}
pub(super) use within_budget;

const FACTS: &str = concat!(
    "SELECT fact.key, ",
    within_budget!("wanted.id, fact.key", "octet_length(fact.value)", "fact.value"),
    ", fact.at, fact.element, wanted.id FROM {rows $2: id bigint} AS wanted \
     {pages fact.key: SELECT paged.key FROM fact AS paged \
        WHERE paged.entity_type = $3 AND paged.entity_id = wanted.id AND paged.key > $4 ORDER BY paged.key LIMIT $5} \
     WHERE fact.entity_type = $3 AND fact.entity_id = wanted.id ORDER BY fact.key"
);

const CHECKS: &str = concat!(
    "SELECT entity_check.key, entity_check.result, entity_check.reason, ",
    within_budget!(
        "wanted.id, entity_check.key",
        "octet_length(entity_check.metrics)",
        "entity_check.metrics"
    ),
    ", entity_check.at, entity_check.element, wanted.id FROM {rows $2: id bigint} AS wanted \
     {pages entity_check.number: SELECT paged.number FROM entity_check AS paged \
        WHERE paged.entity_type = $3 AND paged.entity_id = wanted.id AND paged.newest AND paged.key > $4 \
        ORDER BY paged.key LIMIT $5} \
     ORDER BY entity_check.key"
);

pub(crate) async fn facts_of<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    ids: &[u64],
    page: &Page<String>,
    budget: &mut ByteBudget,
) -> Result<Pages<Bounded<FactRow>>, StoreError> {
    let parameters = parameters(entity_type, ids, page, *budget);
    let rows = database.read_planned_for_now(READ, FACTS, parameters).await?;
    pages(&rows, |row| {
        let (value, is_whole) = json(row, "fact.value", 1, budget)?;
        let fact = FactRow {
            key: row.text("fact.key", 0)?,
            value,
            at: row.time("fact.at", 2)?,
            element: row.number("fact.element", 3)?,
        };
        let fact = Bounded { row: fact, is_whole };
        Ok((row.number("wanted.id", 4)?, fact))
    })
}

pub(crate) async fn checks_of<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    ids: &[u64],
    page: &Page<String>,
    budget: &mut ByteBudget,
) -> Result<Pages<Bounded<CheckRow>>, StoreError> {
    let parameters = parameters(entity_type, ids, page, *budget);
    let rows = database.read_planned_for_now(READ, CHECKS, parameters).await?;
    pages(&rows, |row| {
        let (metrics, is_whole) = json(row, "entity_check.metrics", 3, budget)?;
        let check = CheckRow {
            key: row.text("entity_check.key", 0)?,
            result: row.text("entity_check.result", 1)?,
            reason: row.optional_text("entity_check.reason", 2)?,
            metrics,
            at: row.time("entity_check.at", 4)?,
            element: row.number("entity_check.element", 5)?,
        };
        let check = Bounded { row: check, is_whole };
        Ok((row.number("wanted.id", 6)?, check))
    })
}

fn parameters(entity_type: EntityType, ids: &[u64], page: &Page<String>, budget: ByteBudget) -> Vec<Value> {
    vec![
        budget.0.into(),
        numbers(ids),
        entity_type.as_str().into(),
        // No key is empty.
        page.after.as_deref().unwrap_or_default().into(),
        page.limit.into(),
    ]
}

/// JSON that was [`within_budget!`]. Null, and not whole, for JSON that was not.
pub(super) fn json(
    row: &Row,
    what: &str,
    index: usize,
    budget: &mut ByteBudget,
) -> Result<(Json, bool), StoreError> {
    let Some(text) = row.optional_text(what, index)? else {
        return Ok((Json::Null, false));
    };
    budget.0 = budget.0.saturating_sub(text.len() as u64);
    Ok((column::json(what, &text)?, true))
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[FACTS, CHECKS];
