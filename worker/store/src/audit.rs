//! The audit: what people did or tried, and what workers decided about it, on both databases. Entries are added, never changed.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{AuditKind, AuditOutcome, Identity, InboxState, SmolStr};
use serde_json::Value as Json;

use super::sql::{Row, SqlDatabase, SqlSession, Value, rows};
use super::{Facts, StoreError, column};

const READ: &str = "read the audit";
const WRITE: &str = "write the audit";

/// The most characters of a text in an entry.
const MOST_CHARACTERS: usize = 1000;

macro_rules! list {
    ($condition:literal) => {
        concat!(
            "SELECT number, at, kind, principal, token, address, agent, message_source, message_id, message_type, subject, reason, detail, \
                outcome, code, broker_user, trace_id \
             FROM audit WHERE number < $1 AND at >= $2 AND at < $3 AND (CAST($5 AS text) IS NULL OR \
                coalesce(outcome, CASE WHEN message_id IS NULL THEN '' ELSE 'asked' END) = $5)",
            $condition,
            " ORDER BY number DESC LIMIT $4"
        )
    };
}

/// One for each set of filters, so that both databases walk the index that fits: 1 for the principal, 2 for the kind, 4 for the subject.
const LISTS: [&str; 8] = [
    list!(""),
    list!(" AND principal = $6"),
    list!(" AND kind = $6"),
    list!(" AND principal = $6 AND kind = $7"),
    list!(" AND subject = $6"),
    list!(" AND principal = $6 AND subject = $7"),
    list!(" AND kind = $6 AND subject = $7"),
    list!(" AND principal = $6 AND kind = $7 AND subject = $8"),
];
/// Few entries are about one message, so the other filters need no index.
const LIST_OF_MESSAGE: &str = list!(
    " AND message_id = $6 AND (CAST($7 AS text) IS NULL OR principal = $7) AND (CAST($8 AS text) IS NULL OR kind = $8) \
        AND (CAST($9 AS text) IS NULL OR subject = $9)"
);

const INSERT: &str = "\
    INSERT INTO audit (at, kind, principal, token, address, agent, message_source, message_id, message_type, subject, reason, detail) \
    VALUES ({now}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const INSERT_DECISIONS: &str = "\
    INSERT INTO audit (at, kind, principal, token, address, agent, message_source, message_id, message_type, subject, reason, detail, \
        outcome, code, broker_user, trace_id) \
    SELECT {now}, kind, principal, token, address, agent, message_source, message_id, message_type, subject, reason, detail, \
        outcome, code, broker_user, trace_id \
    FROM {rows $1: kind text, principal text, token text, address text, agent text, message_source text, message_id text, \
        message_type text, subject text, reason text, detail text, outcome text, code text, broker_user text, trace_id text} AS decided";

/// Who did something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditActor {
    /// The person or the service.
    pub principal: Option<String>,
    /// The name of the token.
    pub token: Option<String>,
    /// The address of the client.
    pub address: Option<String>,
    /// What the client calls itself.
    pub agent: Option<String>,
}

/// An entry to add. Long texts are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// What it records.
    pub kind: AuditKind,
    /// Who did it.
    pub actor: AuditActor,
    /// The message, if there is one.
    pub message: Option<Identity>,
    /// The type of the message.
    pub message_type: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Why, as the person says.
    pub reason: Option<String>,
    /// More, in one line.
    pub detail: Option<String>,
}

/// What a worker decided about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDecision {
    /// What became of it.
    pub state: InboxState,
    /// The code of its rejection, which an older program may not know; `None` if it is applied.
    pub code: Option<SmolStr>,
    /// The user as which it was published at the broker; `None` if a worker published it.
    pub broker_user: Option<SmolStr>,
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: Option<SmolStr>,
}

/// An entry that a worker adds about a command, in the transaction of the command's inbox row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditDecision {
    /// Who sent which command, and why. Its token, address and agent are not known to workers.
    pub entry: NewAuditEntry,
    /// What was decided.
    pub decision: AuditDecision,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, which only grows.
    pub number: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What it records.
    pub entry: NewAuditEntry,
    /// What a worker decided; `None` if the entry is of a console.
    pub decision: Option<AuditDecision>,
}

/// Which entries are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only entries with smaller numbers.
    pub before: Option<u64>,
    /// Only entries from this time on.
    pub since: Option<Timestamp>,
    /// Only entries before this time.
    pub until: Option<Timestamp>,
    /// Only entries about this person or service.
    pub principal: Option<String>,
    /// Only entries of this kind.
    pub kind: Option<AuditKind>,
    /// Only entries about this device, task or token.
    pub subject: Option<String>,
    /// Only entries about messages with this id.
    pub message: Option<String>,
    /// Only entries with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// The most entries.
    pub limit: u32,
}

/// Keeps the audit.
#[async_trait]
pub trait AuditLog: Debug + Send + Sync + 'static {
    /// Adds entries, all or none.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn audit(&self, entries: &[NewAuditEntry]) -> Result<(), StoreError>;

    /// Entries, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn audit_entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> AuditLog for D {
    async fn audit(&self, entries: &[NewAuditEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let transaction = self.write(WRITE).await?;
        let entries = entries.iter().map(row).collect();
        transaction.execute_each(WRITE, INSERT, entries).await?;
        transaction.commit(WRITE).await
    }

    async fn audit_entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        let mut parameters = vec![
            query.before.unwrap_or(u64::MAX).into(),
            query.since.unwrap_or(Timestamp::UNIX_EPOCH).into(),
            query.until.unwrap_or(Timestamp::MAX).into(),
            query.limit.into(),
            query.outcome.map(AuditOutcome::as_str).into(),
        ];
        let filters = [
            query.principal.as_deref(),
            query.kind.map(AuditKind::as_str),
            query.subject.as_deref(),
        ];
        let statement = if let Some(message) = query.message.as_deref() {
            parameters.push(message.into());
            parameters.extend(filters.map(Value::from));
            LIST_OF_MESSAGE
        } else {
            let mut set = 0;
            for (bit, filter) in filters.into_iter().enumerate() {
                if let Some(text) = filter {
                    set |= 1 << bit;
                    parameters.push(text.into());
                }
            }
            LISTS[set]
        };
        let found = self.read(READ, statement, parameters).await?;
        found.iter().map(read).collect()
    }
}

/// Adds what the facts say about commands, as a part of their transaction.
pub(super) async fn write(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    let decisions = rows(facts.new_audit().iter().map(decision_row));
    session
        .execute_each(WRITE, INSERT_DECISIONS, vec![vec![decisions]])
        .await?;
    Ok(())
}

fn decision_row(new: &NewAuditDecision) -> Vec<Json> {
    let decision = &new.decision;
    let outcome = AuditOutcome::from(decision.state).as_str();
    let of_worker = [
        Some(outcome),
        decision.code.as_deref(),
        decision.broker_user.as_deref(),
        decision.trace_id.as_deref(),
    ];
    let texts = texts(&new.entry).into_iter().chain(of_worker.map(cut));
    texts.map(Json::from).collect()
}

fn row(entry: &NewAuditEntry) -> Vec<Value> {
    texts(entry).map(Value::from).into()
}

/// The columns from `kind` to `detail`.
fn texts(entry: &NewAuditEntry) -> [Option<String>; 11] {
    let message = entry.message.as_ref();
    [
        Some(entry.kind.as_str()),
        entry.actor.principal.as_deref(),
        entry.actor.token.as_deref(),
        entry.actor.address.as_deref(),
        entry.actor.agent.as_deref(),
        message.map(|message| message.source.as_str()),
        message.map(|message| message.id.as_str()),
        entry.message_type.as_deref(),
        entry.subject.as_deref(),
        entry.reason.as_deref(),
        entry.detail.as_deref(),
    ]
    .map(cut)
}

fn cut(text: Option<&str>) -> Option<String> {
    text.map(|text| column::without_nul(text).chars().take(MOST_CHARACTERS).collect())
}

fn read(row: &Row) -> Result<AuditEntry, StoreError> {
    let source = row.optional_text("audit.message_source", 7)?;
    let id = row.optional_text("audit.message_id", 8)?;
    let message = source.zip(id);
    Ok(AuditEntry {
        number: row.number("audit.number", 0)?,
        at: row.time("audit.at", 1)?,
        entry: NewAuditEntry {
            kind: column::word("audit.kind", &row.text("audit.kind", 2)?)?,
            actor: AuditActor {
                principal: row.optional_text("audit.principal", 3)?,
                token: row.optional_text("audit.token", 4)?,
                address: row.optional_text("audit.address", 5)?,
                agent: row.optional_text("audit.agent", 6)?,
            },
            message: message
                .map(|(source, id)| column::identity(source, id))
                .transpose()?,
            message_type: row.optional_text("audit.message_type", 9)?,
            subject: row.optional_text("audit.subject", 10)?,
            reason: row.optional_text("audit.reason", 11)?,
            detail: row.optional_text("audit.detail", 12)?,
        },
        decision: read_decision(row)?,
    })
}

fn read_decision(row: &Row) -> Result<Option<AuditDecision>, StoreError> {
    let Some(outcome) = row.optional_text("audit.outcome", 13)? else {
        return Ok(None);
    };
    let state = match column::word("audit.outcome", &outcome)? {
        AuditOutcome::Asked => return Ok(None),
        AuditOutcome::Applied => InboxState::Applied,
        AuditOutcome::Refused => InboxState::Refused,
        AuditOutcome::Dead => InboxState::Dead,
    };
    Ok(Some(AuditDecision {
        state,
        code: row.optional_text("audit.code", 14)?.map(Into::into),
        broker_user: row.optional_text("audit.broker_user", 15)?.map(Into::into),
        trace_id: row.optional_text("audit.trace_id", 16)?.map(Into::into),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn pages_walk_an_index_and_do_not_sort() {
        for statement in LISTS.into_iter().chain([LIST_OF_MESSAGE]) {
            let plan = query_plan(statement);
            assert!(plan[0].contains("SEARCH audit USING"), "{plan:?}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
