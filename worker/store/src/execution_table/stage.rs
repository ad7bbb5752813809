//! The stages of an execution after the first: which elements take part in them, and when they begin.

use std::time::Duration;

use serde_json::Value as Json;

use super::finish::in_parts;
use super::{WRITE, execute, lane, milliseconds};
use crate::sql::{SqlSession, rows};
use crate::{BegunStage, CapScope, ElementEnd, QueuedElement, StoreError};

/// The elements that wait for the stage `$1`. The first `$2` of them are queued, the others wait for `$3`.
const BEGIN: &str = "\
    WITH waiting AS (SELECT number FROM element WHERE waits_for = $1 ORDER BY number FOR UPDATE), \
        placed AS (SELECT number, row_number() OVER (ORDER BY number) AS place FROM waiting) \
    UPDATE element SET waits_for = CASE WHEN placed.place > $2 THEN CAST($3 AS text) END, \
        due_at = CASE WHEN placed.place <= $2 THEN {after $4} END, repeats = 0 \
    FROM placed WHERE element.number = placed.number \
    RETURNING element.number, element.lane, element.waits_for IS NULL";

/// The stage after the one that their execution is in, which has a row lock: that of the element that found them.
const ADD_ITEMS: &str = "\
    INSERT INTO element (execution, entity_type, entity_id, name, item, stage, lane, waits_for) \
    SELECT execution.number, 'ITEM', found.id, found.name, found.item, execution.stage + 1, execution.lane, \
        'stage/' || CAST(execution.number AS text) || '/' || CAST(execution.stage + 1 AS text) \
    FROM {rows $1: execution bigint, id bigint, name text, item text} AS found JOIN execution ON execution.number = found.execution \
    ORDER BY found.execution, found.id";

const COUNT_ITEMS: &str = "UPDATE execution SET elements = elements + $2 WHERE number = $1";

pub(super) async fn begin(
    session: &dyn SqlSession,
    execution: u64,
    stage: u16,
    queued: u64,
    waits_for: &CapScope,
    grace: Duration,
) -> Result<BegunStage, StoreError> {
    let parameters = vec![
        CapScope::Stage(execution, stage).to_string().into(),
        queued.into(),
        waits_for.to_string().into(),
        milliseconds(grace),
    ];
    let found = session.query(WRITE, BEGIN, parameters).await?;
    let mut begun = BegunStage {
        elements: found.len() as u64,
        queued: Vec::new(),
    };
    for row in &found {
        if row.boolean("element.waits_for", 2)? {
            begun.queued.push(QueuedElement {
                number: row.number("element.number", 0)?,
                lane: lane("element.lane", &row.text("element.lane", 1)?)?,
            });
        }
    }
    begun.queued.sort_unstable();
    Ok(begun)
}

/// Inserts the items that elements of these executions found. Their ids count from 1 within the element that found them.
pub(super) async fn add_items(
    session: &dyn SqlSession,
    ends: &[(&ElementEnd, u64)],
) -> Result<(), StoreError> {
    for (end, execution) in ends.iter().filter(|(end, _)| !end.items.is_empty()) {
        let listed = end
            .items
            .iter()
            .zip(1_u64..)
            .map(|((name, item), id)| -> Vec<Json> {
                vec![
                    (*execution).into(),
                    id.into(),
                    name.as_str().into(),
                    item.to_string().into(),
                ]
            });
        for part in in_parts(listed.collect()) {
            execute(session, ADD_ITEMS, vec![rows(part)]).await?;
        }
        let added = end.items.len() as u64;
        execute(session, COUNT_ITEMS, vec![(*execution).into(), added.into()]).await?;
    }
    Ok(())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[BEGIN, ADD_ITEMS, COUNT_ITEMS];
