//! Runs the same SQL text on PostgreSQL and on SQLite, so that a table needs only one implementation.
//!
//! Statements follow four rules. Parameters are numbered `$1`, `$2`, … in the order of their first use. A type is given by
//! `CAST($1 AS text)`, not by `::`. A time is a [`Value::Time`], the clock of the store is written `{now}`. Row locks are
//! written ` FOR UPDATE` or ` FOR UPDATE SKIP LOCKED` at the end of a statement: SQLite, which has one writer, runs without.
//!
//! A table that is a hot path, or whose locks need more, has statements of its own in `postgres` and `sqlite`.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::{StoreError, column};

/// A parameter, or a column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(String),
    Bytes(Bytes),
    /// Stored rounded down to the microsecond.
    Time(Timestamp),
}

/// A row of the result of a statement.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Value>);

/// Runs statements, in an open transaction or outside of one.
#[async_trait]
pub(crate) trait SqlSession: Send + Sync {
    /// Runs a statement and returns its rows.
    async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError>;

    /// Runs a statement once with each set of parameters, in order, and returns how many rows that changed.
    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError>;
}

/// An open transaction. Dropping it rolls back.
#[async_trait]
pub(crate) trait SqlTransaction: SqlSession {
    async fn commit(self: Box<Self>, operation: &'static str) -> Result<(), StoreError>;
}

/// A database that runs these statements.
#[async_trait]
pub(crate) trait SqlDatabase: std::fmt::Debug + Send + Sync + 'static {
    /// Runs one statement that only reads.
    async fn read(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError>;

    /// Begins a transaction that writes.
    async fn write(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError>;
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// Converts a number for a column. A larger number becomes the largest one, which no row has.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Reads columns by their index; `what` names the column in errors.
impl Row {
    fn value(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Null)
    }

    pub(crate) fn integer(&self, what: &str, index: usize) -> Result<i64, StoreError> {
        match self.value(index) {
            Value::Integer(number) => Ok(*number),
            other => Err(unexpected(what, "an integer", other)),
        }
    }

    pub(crate) fn number<T>(&self, what: &str, index: usize) -> Result<T, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: std::fmt::Display,
    {
        column::number(what, self.integer(what, index)?)
    }

    pub(crate) fn optional_text(&self, what: &str, index: usize) -> Result<Option<String>, StoreError> {
        match self.value(index) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            other => Err(unexpected(what, "a text", other)),
        }
    }

    pub(crate) fn text(&self, what: &str, index: usize) -> Result<String, StoreError> {
        self.optional_text(what, index)?
            .ok_or_else(|| unexpected(what, "a text", &Value::Null))
    }

    pub(crate) fn bytes(&self, what: &str, index: usize) -> Result<Bytes, StoreError> {
        match self.value(index) {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            other => Err(unexpected(what, "bytes", other)),
        }
    }

    /// SQLite keeps microseconds since 1970.
    pub(crate) fn optional_time(&self, what: &str, index: usize) -> Result<Option<Timestamp>, StoreError> {
        match self.value(index) {
            Value::Null => Ok(None),
            Value::Time(time) => Ok(Some(*time)),
            Value::Integer(microseconds) => column::read_microseconds(what, *microseconds).map(Some),
            other => Err(unexpected(what, "a time", other)),
        }
    }

    pub(crate) fn time(&self, what: &str, index: usize) -> Result<Timestamp, StoreError> {
        self.optional_time(what, index)?
            .ok_or_else(|| unexpected(what, "a time", &Value::Null))
    }
}

fn unexpected(what: &str, expected: &str, found: &Value) -> StoreError {
    let found = match found {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Time(_) => "a time",
    };
    StoreError::Corrupt {
        what: what.to_owned(),
        reason: format!("{found} where {expected} is expected"),
    }
}
