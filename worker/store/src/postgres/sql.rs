use std::borrow::Cow;
use std::error::Error;

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::PostgresStore;
use super::microseconds::Microseconds;
use super::session::Session;
use crate::StoreError;
use crate::column::without_nul;
use crate::sql::{Dialect, Row, SqlDatabase, SqlSession, SqlTransaction, Translations, Value};

const PLAN_FOR_NOW: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

#[async_trait]
impl SqlDatabase for PostgresStore {
    async fn read(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(operation).await?;
        let rows = session.query(operation, sql, parameters).await?;
        session.give_back();
        Ok(rows)
    }

    async fn read_planned_for_now(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(operation).await?;
        let begin = session.batch_execute("BEGIN READ ONLY");
        session.answer(operation, begin).await?;
        let rows = Planned::new(&session).query(operation, sql, parameters).await?;
        let commit = session.batch_execute("COMMIT");
        session.answer(operation, commit).await?;
        session.give_back();
        Ok(rows)
    }

    async fn snapshot(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError> {
        let session = self.session(operation).await?;
        let begin = session.batch_execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ");
        session.answer(operation, begin).await?;
        Ok(Box::new(session))
    }

    async fn write(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError> {
        let session = self.session(operation).await?;
        let begin = session.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED");
        session.answer(operation, begin).await?;
        Ok(Box::new(session))
    }
}

#[async_trait]
impl SqlSession for Session {
    async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = TRANSLATIONS.of(sql);
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let rows = self.rows_for(operation, &sql, &parameters).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn plan_for_now(&self, operation: &'static str) -> Result<(), StoreError> {
        self.answer(operation, self.batch_execute(PLAN_FOR_NOW)).await
    }

    /// Sends all sets at once: one round trip for any number.
    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError> {
        if sets.is_empty() {
            return Ok(0);
        }
        let sql = TRANSLATIONS.of(sql);
        let changed = self.answer(operation, async {
            let statement = self.prepare_cached(&sql).await?;
            let executions = sets.iter().map(|set| self.execute_raw(&statement, set));
            try_join_all(executions).await
        });
        Ok(changed.await?.into_iter().sum())
    }
}

/// An open transaction whose statements are [planned for now](SqlSession::plan_for_now).
pub(super) struct Planned<'a> {
    session: &'a Session,
    is_set: AtomicBool,
}

impl<'a> Planned<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self {
            session,
            is_set: AtomicBool::new(false),
        }
    }

    /// Sent together with the first statement, so it costs no round trip.
    async fn before<T>(
        &self,
        operation: &'static str,
        statement: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.is_set.swap(true, Ordering::Relaxed) {
            return statement.await;
        }
        let plan = self.session.plan_for_now(operation);
        let ((), result) = tokio::try_join!(biased; plan, statement)?;
        Ok(result)
    }
}

#[async_trait]
impl SqlSession for Planned<'_> {
    async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let query = self.session.query(operation, sql, parameters);
        self.before(operation, query).await
    }

    async fn plan_for_now(&self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError> {
        let execution = self.session.execute_each(operation, sql, sets);
        self.before(operation, execution).await
    }
}

#[async_trait]
impl SqlTransaction for Session {
    async fn commit(self: Box<Self>, operation: &'static str) -> Result<(), StoreError> {
        self.answer(operation, self.batch_execute("COMMIT")).await?;
        self.give_back();
        Ok(())
    }
}

static TRANSLATIONS: Translations = Translations::to::<Postgres>();

struct Postgres;

impl Dialect for Postgres {
    fn statement(sql: &str) -> Cow<'_, str> {
        sql.replace("{now}", "clock_timestamp()").into()
    }

    fn after(milliseconds: &str) -> String {
        format!("clock_timestamp() + CAST({milliseconds} AS bigint) * interval '1 millisecond'")
    }

    fn column(index: usize, of_type: &str) -> String {
        format!("CAST(value ->> {index} AS {of_type})")
    }

    fn rows(parameter: &str) -> String {
        format!("jsonb_array_elements(CAST(CAST({parameter} AS text) AS jsonb))")
    }

    fn pages(table: &str, key: &str, query: &str) -> String {
        format!("CROSS JOIN LATERAL ({query}) AS page (key) JOIN {table} ON {key} = page.key")
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Boolean(value) => value.to_sql(ty, out),
            Self::Integer(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Self::Integer(number) => number.to_sql(ty, out),
            Self::Text(text) => without_nul(text).to_sql(ty, out),
            Self::Bytes(bytes) => (&bytes[..]).to_sql(ty, out),
            Self::Time(time) => Microseconds(*time).to_sql(ty, out),
        }
    }

    /// Accepts all types; `to_sql` fails if the value does not fit.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn read(row: &tokio_postgres::Row) -> Row {
    let column = |(index, column): (usize, &tokio_postgres::Column)| match *column.type_() {
        Type::BOOL => optional(row.get::<_, Option<bool>>(index)),
        Type::INT4 => optional(row.get::<_, Option<i32>>(index).map(i64::from)),
        Type::INT8 => optional(row.get::<_, Option<i64>>(index)),
        Type::BYTEA => optional(row.get::<_, Option<Vec<u8>>>(index).map(Bytes::from)),
        Type::TIMESTAMPTZ => optional(row.get::<_, Option<Microseconds>>(index).map(|time| time.0)),
        _ => optional(row.get::<_, Option<String>>(index)),
    };
    Row(row.columns().iter().enumerate().map(column).collect())
}

fn optional(value: Option<impl Into<Value>>) -> Value {
    value.into()
}
