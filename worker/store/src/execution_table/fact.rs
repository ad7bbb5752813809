//! Facts about entities, and the values that they had before.

use std::collections::BTreeMap;

use lockstep_protocol::EntityType;

use super::{READ, execute};
use crate::sql::{Row, SqlDatabase, SqlSession, Value, rows};
use crate::{ElementEnd, FactRow, StoreError, column};

/// What was found, in the order of the keys.
macro_rules! found {
    () => {
        "{rows $1: entity_type text, entity_id bigint, key text, fact text, element bigint} AS found"
    };
}

/// Adds keys that are new. Waits for a transaction that is adding the same one, so that what it adds gets into the history.
const ADD: &str = concat!(
    "INSERT INTO fact (entity_type, entity_id, key, value, at, element) \
     SELECT entity_type, entity_id, key, fact, {now}, element FROM ",
    found!(),
    " WHERE true ON CONFLICT (entity_type, entity_id, key) DO NOTHING"
);

/// Keeps the values that change.
const KEEP: &str = concat!(
    "INSERT INTO fact_history (entity_type, entity_id, key, value, at, element) \
     SELECT fact.entity_type, fact.entity_id, fact.key, fact.value, fact.at, fact.element FROM ",
    found!(),
    " JOIN fact ON fact.entity_type = found.entity_type AND fact.entity_id = found.entity_id AND fact.key = found.key \
     WHERE fact.value <> found.fact ORDER BY fact.entity_type, fact.entity_id, fact.key FOR UPDATE"
);

/// An insert that finds all rows, because it locks them in the order of the list, as an update does not. Facts that were just added stay.
const CHANGE: &str = concat!(
    "INSERT INTO fact (entity_type, entity_id, key, value, at, element) \
     SELECT entity_type, entity_id, key, fact, {now}, element FROM ",
    found!(),
    " WHERE true ON CONFLICT (entity_type, entity_id, key) \
     DO UPDATE SET value = excluded.value, at = excluded.at, element = excluded.element \
     WHERE fact.element <> excluded.element OR fact.value <> excluded.value"
);

const NEWEST: &str = "\
    SELECT key, value, at, element FROM fact WHERE entity_type = $1 AND entity_id = $2 ORDER BY key LIMIT $3";

const HISTORY: &str = "\
    SELECT key, value, at, element FROM ( \
        SELECT key, value, at, element, 9223372036854775807 AS number FROM fact \
        WHERE entity_type = $1 AND entity_id = $2 AND key = $3 \
        UNION ALL \
        SELECT key, value, at, element, number FROM ( \
            SELECT key, value, at, element, number FROM fact_history \
            WHERE entity_type = $1 AND entity_id = $2 AND key = $3 ORDER BY number DESC LIMIT $4) AS former \
    ) AS known ORDER BY number DESC LIMIT $4";

/// Writes the facts of elements that ended. If several elements found the same key of the same entity, the last one counts.
pub(super) async fn write(session: &dyn SqlSession, ends: &[&ElementEnd]) -> Result<(), StoreError> {
    let mut facts = BTreeMap::new();
    for end in ends {
        for fact in &end.facts {
            let key = (fact.entity_type.as_str(), fact.entity, fact.key.as_str());
            facts.insert(key, (fact.value.as_str(), end.number));
        }
    }
    if facts.is_empty() {
        return Ok(());
    }
    let listed = facts
        .into_iter()
        .map(|((entity_type, entity, key), (value, element))| {
            vec![
                entity_type.into(),
                entity.into(),
                key.into(),
                value.into(),
                element.into(),
            ]
        });
    let found = rows(listed);
    for statement in [ADD, KEEP, CHANGE] {
        execute(session, statement, vec![found.clone()]).await?;
    }
    Ok(())
}

pub(super) async fn read<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    entity: u64,
    key: Option<&str>,
    limit: u32,
) -> Result<Vec<FactRow>, StoreError> {
    let mut parameters: Vec<Value> = vec![entity_type.as_str().into(), entity.into()];
    parameters.extend(key.map(Value::from));
    parameters.push(limit.into());
    let statement = if key.is_some() { HISTORY } else { NEWEST };
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    rows.iter().map(read_fact).collect()
}

fn read_fact(row: &Row) -> Result<FactRow, StoreError> {
    Ok(FactRow {
        key: row.text("fact.key", 0)?,
        value: column::json("fact.value", &row.text("fact.value", 1)?)?,
        at: row.time("fact.at", 2)?,
        element: row.number("fact.element", 3)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ADD, KEEP, CHANGE, NEWEST, HISTORY];
