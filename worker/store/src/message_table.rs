//! Finds processed messages by their ids, on both databases.
//!
//! The inbox has no index by id: every event would pay for it. Its key begins with the source, and there are few sources, so each of them is
//! one look at the index of the key.

use async_trait::async_trait;
use lockstep_protocol::{MessageId, MessageKey, Source};

use crate::dead_letter_table::{read_summary, summary};
use crate::message::MOST_SOURCES;
use crate::sql::{Row, SqlDatabase};
use crate::{CauseId, DeadLetterSummary, MessageRow, Messages, StoreError, column};

const READ: &str = "read messages";

macro_rules! columns {
    () => {
        "inbox.source, inbox.id, inbox.actor, inbox.kind, inbox.state, inbox.at, inbox.subject, inbox.redrive_count, inbox.trace_id, \
         inbox.result_type, inbox.result FROM inbox"
    };
}

const OF_SOURCE: &str = concat!(
    "SELECT ",
    columns!(),
    " WHERE inbox.source = $1 AND inbox.id = $2 ORDER BY inbox.actor LIMIT $3"
);

/// Walks from each source to the next one, as the key of the table is ordered.
const OF_ALL_SOURCES: &str = concat!(
    "WITH RECURSIVE known (source, number) AS ( \
        SELECT min(source), CAST(1 AS bigint) FROM inbox \
        UNION ALL \
        SELECT (SELECT min(source) FROM inbox WHERE source > known.source), known.number + 1 FROM known \
            WHERE known.source IS NOT NULL AND known.number < $1) \
     SELECT ",
    columns!(),
    " JOIN known ON inbox.source = known.source WHERE inbox.id = $2 ORDER BY inbox.source, inbox.actor LIMIT $3"
);

const DEAD_LETTERS: &str = concat!(
    "SELECT ",
    summary!(),
    " FROM dead_letter WHERE source = $1 AND id = $2 AND coalesce(actor, '') = $3 ORDER BY number DESC LIMIT $4"
);

/// Where the causes of messages are kept differs between the databases.
pub(crate) trait ReadMessageCauses: SqlDatabase {
    /// The ids of the causes of the message with the source `$1` and the id `$2` of the sender `$3` (empty for none), at most `$4`.
    const MESSAGE_CAUSES: &'static str;
}

/// The rows of `cause` about the message with the source `$1` and the id `$2` of the sender `$3`.
macro_rules! kept_causes {
    () => {
        "SELECT id FROM cause WHERE source = $1 AND message_id = $2 AND coalesce(actor, '') = $3"
    };
}
pub(crate) use kept_causes;

#[async_trait]
impl<D: ReadMessageCauses> Messages for D {
    async fn messages(
        &self,
        id: &MessageId,
        source: Option<&Source>,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let (statement, first) = match source {
            Some(source) => (OF_SOURCE, source.as_str().into()),
            None => (OF_ALL_SOURCES, MOST_SOURCES.into()),
        };
        let parameters = vec![first, id.as_str().into(), limit.into()];
        let rows = self.read_planned_for_now(READ, statement, parameters).await?;
        rows.iter().map(read).collect()
    }

    async fn dead_letters_of(
        &self,
        message: &MessageKey,
        limit: u32,
    ) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let rows = self
            .read_planned_for_now(READ, DEAD_LETTERS, key(message, limit))
            .await?;
        rows.iter().map(read_summary).collect()
    }

    async fn causes_of_message(&self, message: &MessageKey, limit: u32) -> Result<Vec<CauseId>, StoreError> {
        let rows = self
            .read_planned_for_now(READ, D::MESSAGE_CAUSES, key(message, limit))
            .await?;
        rows.iter()
            .map(|row| row.integer("cause.id", 0).map(CauseId))
            .collect()
    }
}

fn key(message: &MessageKey, limit: u32) -> Vec<crate::sql::Value> {
    let MessageKey { identity, actor } = message;
    vec![
        identity.source.as_str().into(),
        identity.id.as_str().into(),
        column::key_actor(actor.as_deref()).into(),
        limit.into(),
    ]
}

fn read(row: &Row) -> Result<MessageRow, StoreError> {
    let result = column::read_result(&row.text("inbox.result_type", 9)?, row.text("inbox.result", 10)?)?;
    let trace_id = row.optional_text("inbox.trace_id", 8)?;
    Ok(MessageRow {
        identity: column::identity(row.text("inbox.source", 0)?, row.text("inbox.id", 1)?)?,
        actor: column::read_key_actor(&row.text("inbox.actor", 2)?),
        kind: row.text("inbox.kind", 3)?,
        state: column::read_inbox_state(&row.text("inbox.state", 4)?, &result)?,
        at: row.time("inbox.at", 5)?,
        subject: row.optional_text("inbox.subject", 6)?,
        redrive_count: row.number("inbox.redrive_count", 7)?,
        trace_id: trace_id.map(Into::into),
        result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteStore;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn messages_are_found_by_indexes() {
        let tables = ["inbox", "dead_letter", "cause"];
        for statement in [
            OF_SOURCE,
            OF_ALL_SOURCES,
            DEAD_LETTERS,
            SqliteStore::MESSAGE_CAUSES,
        ] {
            let plan = query_plan(statement);
            let reads_all = |line: &String| tables.iter().any(|table| *line == format!("SCAN {table}"));
            assert!(!plan.iter().any(reads_all), "{statement}\n{plan:#?}");
        }
    }
}
