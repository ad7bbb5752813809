use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::connection::PooledConnection;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::sql::{Dialect, Row, SqlDatabase, SqlSession, SqlTransaction, Translations, Value};
use crate::{StoreError, column};

#[async_trait]
impl SqlDatabase for SqliteStore {
    async fn read(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.read_in(operation, move |connection| query(connection, sql, &parameters))
            .await
    }

    async fn read_planned_for_now(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.read(operation, sql, parameters).await
    }

    async fn snapshot(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError> {
        let pooled = PooledConnection::from(&self.readers, operation).await?;
        pooled
            .run(operation, |connection| {
                connection.execute_batch("BEGIN")?;
                migrate::check(connection)
            })
            .await?;
        Ok(Box::new(pooled))
    }

    async fn write(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError> {
        let pooled = PooledConnection::from(&self.writer, operation).await?;
        pooled
            .run(operation, |connection| {
                connection.execute_batch("BEGIN IMMEDIATE")?;
                migrate::check(connection)
            })
            .await?;
        Ok(Box::new(pooled))
    }
}

#[async_trait]
impl SqlSession for PooledConnection {
    async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(operation, move |connection| query(connection, sql, &parameters))
            .await
    }

    /// Its plans depend on no numbers of rows.
    async fn plan_for_now(&self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError> {
        if sets.is_empty() {
            return Ok(0);
        }
        self.run(operation, move |connection| {
            let mut statement = connection.prepare_cached(&TRANSLATIONS.of(sql))?;
            let mut changed = 0;
            for set in &sets {
                changed += statement.execute(params_from_iter(set))? as u64;
            }
            Ok(changed)
        })
        .await
    }
}

#[async_trait]
impl SqlTransaction for PooledConnection {
    async fn commit(self: Box<Self>, operation: &'static str) -> Result<(), StoreError> {
        self.run(operation, |connection| Ok(connection.execute_batch("COMMIT")?))
            .await?;
        self.give_back();
        Ok(())
    }
}

fn query(connection: &Connection, sql: &'static str, parameters: &[Value]) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(&TRANSLATIONS.of(sql))?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(parameters))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|index| Ok(read(row.get_ref(index)?)));
        all.push(Row(values.collect::<Result<_, rusqlite::Error>>()?));
    }
    Ok(all)
}

static TRANSLATIONS: Translations = Translations::to::<Sqlite>();

macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}

struct Sqlite;

impl Dialect for Sqlite {
    /// Its parameter syntax, its clock, no row locks.
    fn statement(sql: &str) -> Cow<'_, str> {
        sql.replace('$', "?")
            .replace("{now}", now!())
            .replace(" FOR UPDATE SKIP LOCKED", "")
            .replace(" FOR UPDATE", "")
            .replace(" FOR NO KEY UPDATE", "")
            .replace(" FOR SHARE", "")
            .replace(" FOR KEY SHARE", "")
            .into()
    }

    fn after(milliseconds: &str) -> String {
        format!(concat!("(", now!(), " + ({}) * 1000)"), milliseconds)
    }

    fn column(index: usize, of_type: &str) -> String {
        let of_type = if of_type == "text" { "TEXT" } else { "INTEGER" };
        format!("CAST(value ->> {index} AS {of_type})")
    }

    fn rows(parameter: &str) -> String {
        format!("json_each({parameter})")
    }

    /// It has no `LATERAL`. A cross join keeps the order of the tables.
    fn pages(table: &str, key: &str, query: &str) -> String {
        format!("CROSS JOIN {table} ON {key} IN ({query})")
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
            Self::Boolean(value) => ToSqlOutput::from(*value),
            Self::Integer(number) => ToSqlOutput::from(*number),
            Self::Text(text) => ToSqlOutput::from(text.as_str()),
            Self::Bytes(bytes) => ToSqlOutput::from(&bytes[..]),
            Self::Time(time) => ToSqlOutput::from(column::microseconds(*time)),
        })
    }
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        // No column has real numbers. As a text, the value is refused where it is used.
        ValueRef::Real(number) => Value::Text(number.to_string()),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
    }
}

#[cfg(test)]
thread_local! {
    static EMPTY: Connection = empty();
}

/// A database with the schema and without rows.
#[cfg(test)]
fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../migrations/sqlite/V1__schema.sql"),
        include_str!("../migrations/sqlite/V2__senders.sql"),
        include_str!("../migrations/sqlite/V3__devices.sql"),
        include_str!("../migrations/sqlite/V4__repository_failures.sql"),
        include_str!("../migrations/sqlite/V5__executions.sql"),
        include_str!("../migrations/sqlite/V6__run_cycle.sql"),
        include_str!("../migrations/sqlite/V7__causes.sql"),
        include_str!("../migrations/sqlite/V8__rules.sql"),
        include_str!("../migrations/sqlite/V9__sync.sql"),
        include_str!("../migrations/sqlite/V10__pages.sql"),
        include_str!("../migrations/sqlite/V11__task_forms.sql"),
        include_str!("../migrations/sqlite/V12__workflow.sql"),
        include_str!("../migrations/sqlite/V13__inventory_sources.sql"),
        include_str!("../migrations/sqlite/V14__access.sql"),
        include_str!("../migrations/sqlite/V15__approvals_and_traces.sql"),
        include_str!("../migrations/sqlite/V18__audit_decisions.sql"),
    ] {
        connection.execute_batch(migration).unwrap();
    }
    connection
}

/// How SQLite executes a statement on the schema, as the lines of `EXPLAIN QUERY PLAN`.
#[cfg(test)]
pub(crate) fn query_plan(sql: &'static str) -> Vec<String> {
    EMPTY.with(|connection| {
        let explain = format!("EXPLAIN QUERY PLAN {}", TRANSLATIONS.of(sql));
        let mut explain = connection.prepare(&explain).unwrap();
        let mut rows = explain.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get(3).unwrap());
        }
        plan
    })
}
