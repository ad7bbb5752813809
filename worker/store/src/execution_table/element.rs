use crate::sql::Row;
use crate::{ElementRow, ParkedElement, StoreError, column};

/// The columns that [`read`] expects.
macro_rules! columns {
    () => {
        "number, execution, entity_type, entity_id, name, hostname, state, waits_for, reason, message, changed, attempts, started_at, \
         ended_at, stage, resume_at, expires_at"
    };
}
pub(super) use columns;

pub(super) fn read(row: &Row) -> Result<ElementRow, StoreError> {
    let waits_for = row.optional_text("element.waits_for", 7)?;
    Ok(ElementRow {
        number: row.number("element.number", 0)?,
        execution: row.number("element.execution", 1)?,
        entity_type: column::word("element.entity_type", &row.text("element.entity_type", 2)?)?,
        entity: row.number("element.entity_id", 3)?,
        name: row.text("element.name", 4)?,
        hostname: column::optional_name("element.hostname", row.optional_text("element.hostname", 5)?)?,
        state: column::word("element.state", &row.text("element.state", 6)?)?,
        waits_for: waits_for
            .map(|scope| column::word("element.waits_for", &scope))
            .transpose()?,
        reason: row.optional_text("element.reason", 8)?,
        message: row.optional_text("element.message", 9)?,
        changed: row.boolean("element.changed", 10)?,
        attempts: row.number("element.attempts", 11)?,
        started_at: row.optional_time("element.started_at", 12)?,
        ended_at: row.optional_time("element.ended_at", 13)?,
        stage: row.number("element.stage", 14)?,
        parked: match row.optional_time("element.resume_at", 15)? {
            Some(resume_at) => Some(ParkedElement {
                resume_at,
                expires_at: row.time("element.expires_at", 16)?,
            }),
            None => None,
        },
    })
}
