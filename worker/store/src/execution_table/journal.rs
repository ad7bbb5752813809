//! The steps that began and ended, of elements that may not be repeated.

use std::collections::{BTreeMap, BTreeSet};

use super::{READ, WRITE, execute, numbers};
use crate::sql::{Row, SqlDatabase, SqlSession, rows};
use crate::{ElementOwner, EntityResult, JournalEntry, StoreError, column};

/// The locks keep an element from being queued again before the entry is committed.
const ADD: &str = "\
    WITH held AS (SELECT number FROM element WHERE owner = $2 AND state = 'RUNNING' AND until > {now} \
        AND number IN (SELECT element FROM {rows $1: element bigint} AS listed) ORDER BY number FOR NO KEY UPDATE) \
    INSERT INTO step_journal (element, stage, level, entity_id, pre_run, result) \
    SELECT entry.element, entry.stage, entry.level, entry.entity_id, entry.pre_run, entry.result \
    FROM {rows $1: element bigint, stage integer, level text, entity_id bigint, pre_run boolean, result text} AS entry \
        JOIN held ON held.number = entry.element \
    WHERE true \
    ON CONFLICT (element, stage, level, entity_id, pre_run) DO UPDATE SET result = excluded.result \
    RETURNING element";

const LIST: &str = "\
    SELECT level, entity_id, pre_run, result FROM step_journal WHERE element = $1 AND stage = $2";

const DELETE: &str = "\
    DELETE FROM step_journal WHERE element IN (SELECT number FROM {rows $1: number bigint} AS listed)";

pub(super) async fn add<D: SqlDatabase>(
    database: &D,
    owner: ElementOwner,
    entries: &[JournalEntry],
) -> Result<Vec<u64>, StoreError> {
    // Of several entries about a step, the last one counts.
    let mut of_step = BTreeMap::new();
    for entry in entries {
        let step = (
            entry.element,
            entry.stage,
            entry.level,
            entry.entity,
            entry.pre_run,
        );
        let result = entry.result.as_ref().map(|result| (result, &entry.facts));
        let result = result.as_ref().map(serde_json::to_string).transpose();
        let result = result.expect("results of entities have string keys and no failing serializers");
        of_step.insert(step, result);
    }
    let mut lost: BTreeSet<u64> = of_step.keys().map(|(element, ..)| *element).collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let listed = of_step
        .into_iter()
        .map(|((element, stage, level, entity, pre_run), result)| {
            vec![
                element.into(),
                stage.into(),
                level.as_str().into(),
                entity.into(),
                pre_run.into(),
                result.into(),
            ]
        });
    let parameters = vec![rows(listed), owner.0.to_string().into()];
    let transaction = database.write(WRITE).await?;
    let written = transaction.query(WRITE, ADD, parameters).await?;
    transaction.commit(WRITE).await?;
    for row in &written {
        lost.remove(&row.number("step_journal.element", 0)?);
    }
    Ok(lost.into_iter().collect())
}

/// The steps of an element in a stage, ordered by level and entity.
pub(super) async fn list<D: SqlDatabase>(
    database: &D,
    element: u64,
    stage: u16,
) -> Result<Vec<JournalEntry>, StoreError> {
    let parameters = vec![element.into(), u32::from(stage).into()];
    let rows = database.read_planned_for_now(READ, LIST, parameters).await?;
    let read = |row: &Row| {
        let result = row.optional_text("step_journal.result", 3)?;
        let result = result.map(|result| column::json("step_journal.result", &result));
        let (result, facts): (Option<EntityResult>, _) = result.transpose()?.unzip();
        Ok(JournalEntry {
            element,
            stage,
            level: column::word("step_journal.level", &row.text("step_journal.level", 0)?)?,
            entity: row.number("step_journal.entity_id", 1)?,
            pre_run: row.boolean("step_journal.pre_run", 2)?,
            result,
            facts: facts.unwrap_or_default(),
        })
    };
    let mut entries = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    entries.sort_by_key(|entry| (entry.level, entry.entity, !entry.pre_run));
    Ok(entries)
}

/// Deletes the entries of elements.
pub(super) async fn delete(session: &dyn SqlSession, elements: &BTreeSet<u64>) -> Result<(), StoreError> {
    if !elements.is_empty() {
        execute(session, DELETE, vec![numbers(elements)]).await?;
    }
    Ok(())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ADD, LIST, DELETE];
