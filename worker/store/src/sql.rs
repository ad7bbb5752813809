//! Runs the same SQL text on PostgreSQL and on SQLite, so that a table needs only one implementation.
//!
//! Statements follow these rules:
//! - Parameters are numbered `$1`, `$2`, … A type is given by `CAST($1 AS text)`, not by `::`.
//! - A time is a [`Value::Time`]. The clock of the store is written `{now}`, and `(SELECT {now})` in a condition that an index is to
//!   answer. A time that is `$1` milliseconds later is written `{after $1}`, with any expression for the milliseconds.
//! - A list of rows is one parameter, made by [`rows`] and written `{rows $1: number bigint, name text}`: a table with these columns,
//!   and its rows in the order of the list.
//! - `{pages fact.key: SELECT …}` after such a list joins, for each of its rows, the rows of the table whose key the query returns. The query
//!   names the row of the list, and has a limit: the list is read row by row, each by a range of an index.
//! - Row locks are written ` FOR UPDATE`, ` FOR UPDATE SKIP LOCKED`, ` FOR NO KEY UPDATE`, ` FOR SHARE` or ` FOR KEY SHARE`: SQLite,
//!   which has one writer, runs without. A statement that locks several rows locks them in the order of their keys, or skips those that are locked.
//!
//! A table whose locks need more has statements of its own in `postgres` and `sqlite`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use serde_json::Value as Json;

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

    /// Plans each statement of the open transaction for the rows that its tables have now. Otherwise a database may keep a plan that
    /// it made when they were small, until it analyzes them again.
    async fn plan_for_now(&self, operation: &'static str) -> Result<(), StoreError>;

    /// Runs a statement once with each set of parameters, in order, and returns how many rows that changed.
    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError>;
}

#[async_trait]
impl<S: SqlSession> SqlSession for &S {
    async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        (**self).query(operation, sql, parameters).await
    }

    async fn plan_for_now(&self, operation: &'static str) -> Result<(), StoreError> {
        (**self).plan_for_now(operation).await
    }

    async fn execute_each(
        &self,
        operation: &'static str,
        sql: &'static str,
        sets: Vec<Vec<Value>>,
    ) -> Result<u64, StoreError> {
        (**self).execute_each(operation, sql, sets).await
    }
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

    /// The same, [planned for now](SqlSession::plan_for_now).
    async fn read_planned_for_now(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError>;

    /// Begins a transaction that only reads, and sees one state.
    async fn snapshot(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError>;

    /// Begins a transaction that writes.
    async fn write(&self, operation: &'static str) -> Result<Box<dyn SqlTransaction>, StoreError>;
}

/// How a database writes what differs between the two.
pub(crate) trait Dialect {
    /// The whole statement, apart from what the other methods write.
    fn statement(sql: &str) -> Cow<'_, str>;

    /// A time, this number of milliseconds from now.
    fn after(milliseconds: &str) -> String;

    /// A column of the rows in a JSON array, of which `value` is one row.
    fn column(index: usize, of_type: &str) -> String;

    /// The table with a column `value` for each row in the JSON array.
    fn rows(parameter: &str) -> String;

    /// Joins the rows of `table` whose `key` (with the name of the table) the query returns for the row before.
    fn pages(table: &str, key: &str, query: &str) -> String;
}

/// Translates statements to one dialect, each once.
pub(crate) struct Translations {
    translate: fn(&str) -> String,
    known: LazyLock<RwLock<HashMap<&'static str, Arc<str>>>>,
}

impl Translations {
    pub(crate) const fn to<D: Dialect>() -> Self {
        Self {
            translate: translate::<D>,
            known: LazyLock::new(RwLock::default),
        }
    }

    pub(crate) fn of(&self, sql: &'static str) -> Arc<str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(translated) = known.get(sql) {
            return translated.clone();
        }
        drop(known);
        let translated: Arc<str> = (self.translate)(sql).into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(sql).or_insert(translated).clone()
    }
}

fn translate<D: Dialect>(sql: &str) -> String {
    let mut translated = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some((before, inside, after)) = next_placeholder(rest) {
        translated.push_str(before);
        match inside.split_once(' ') {
            Some(("rows", rows)) => translated.push_str(&rows_table::<D>(rows)),
            Some(("after", milliseconds)) => translated.push_str(&D::after(milliseconds)),
            Some(("pages", pages)) => translated.push_str(&pages_of::<D>(pages)),
            _ => {
                translated.push('{');
                translated.push_str(inside);
                translated.push('}');
            }
        }
        rest = after;
    }
    translated.push_str(rest);
    D::statement(&translated).into_owned()
}

/// The text before the next `{…}`, the text in it, and the text after it.
fn next_placeholder(sql: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = sql.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    Some((before, inside, after))
}

/// The table for `$1: number bigint, name text`.
fn rows_table<D: Dialect>(rows: &str) -> String {
    let (parameter, columns) = rows.split_once(':').unwrap_or((rows, ""));
    let columns = columns.split(',').enumerate().map(|(index, column)| {
        let (name, of_type) = column.trim().split_once(' ').unwrap_or((column, "text"));
        format!("{} AS {name}", D::column(index, of_type))
    });
    let columns: Vec<String> = columns.collect();
    format!(
        "(SELECT {} FROM {})",
        columns.join(", "),
        D::rows(parameter.trim())
    )
}

/// The join for `fact.key: SELECT …`.
fn pages_of<D: Dialect>(pages: &str) -> String {
    let (key, query) = pages.split_once(": ").unwrap_or((pages, ""));
    let table = key.split('.').next().unwrap_or(key);
    D::pages(table, key, query)
}

/// The parameter of `{rows …}`. U+FFFD replaces U+0000 in texts, because PostgreSQL supports it neither in texts nor in jsonb.
pub(crate) fn rows(rows: impl IntoIterator<Item = Vec<Json>>) -> Value {
    let rows = rows
        .into_iter()
        .map(|columns| columns.into_iter().map(storable).collect());
    Value::Text(Json::Array(rows.collect()).to_string())
}

fn storable(value: Json) -> Json {
    match value {
        Json::String(text) if text.contains('\0') => column::without_nul(&text).into(),
        // Larger than any number in a column.
        Json::Number(number) if number.is_u64() && !number.is_i64() => i64::MAX.into(),
        other => other,
    }
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

    /// SQLite keeps 0 and 1.
    pub(crate) fn boolean(&self, what: &str, index: usize) -> Result<bool, StoreError> {
        match self.value(index) {
            Value::Boolean(value) => Ok(*value),
            Value::Integer(number @ (0 | 1)) => Ok(*number == 1),
            other => Err(unexpected(what, "a boolean", other)),
        }
    }

    pub(crate) fn optional_boolean(&self, what: &str, index: usize) -> Result<Option<bool>, StoreError> {
        match self.value(index) {
            Value::Null => Ok(None),
            _ => self.boolean(what, index).map(Some),
        }
    }

    pub(crate) fn optional_number<T>(&self, what: &str, index: usize) -> Result<Option<T>, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: std::fmt::Display,
    {
        match self.value(index) {
            Value::Null => Ok(None),
            _ => self.number(what, index).map(Some),
        }
    }

    /// PostgreSQL writes the length of the prefix behind the text of an address.
    pub(crate) fn optional_address(&self, what: &str, index: usize) -> Result<Option<IpAddr>, StoreError> {
        let text = self.optional_text(what, index)?;
        let address = text.as_deref().map(|text| text.split('/').next().unwrap_or(text));
        address.map(|address| column::word(what, address)).transpose()
    }

    pub(crate) fn bytes(&self, what: &str, index: usize) -> Result<Bytes, StoreError> {
        match self.value(index) {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            other => Err(unexpected(what, "bytes", other)),
        }
    }

    pub(crate) fn optional_bytes(&self, what: &str, index: usize) -> Result<Option<Bytes>, StoreError> {
        match self.value(index) {
            Value::Null => Ok(None),
            _ => self.bytes(what, index).map(Some),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Plain;

    impl Dialect for Plain {
        fn statement(sql: &str) -> Cow<'_, str> {
            sql.replace("{now}", "now").into()
        }

        fn after(milliseconds: &str) -> String {
            format!("now + {milliseconds}")
        }

        fn column(index: usize, of_type: &str) -> String {
            format!("{of_type}({index})")
        }

        fn rows(parameter: &str) -> String {
            format!("list({parameter})")
        }

        fn pages(table: &str, key: &str, query: &str) -> String {
            format!("JOIN {table} ON {key} IN ({query})")
        }
    }

    #[test]
    fn placeholders_are_translated() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT {now}, {after $1 * 2}", "SELECT now, now + $1 * 2"),
            (
                "SELECT 1 FROM r {pages a.k: SELECT b.k FROM a AS b WHERE b.r = r.n LIMIT $1} WHERE {now} < 1",
                "SELECT 1 FROM r JOIN a ON a.k IN (SELECT b.k FROM a AS b WHERE b.r = r.n LIMIT $1) WHERE now < 1",
            ),
            (
                "DELETE FROM a WHERE b IN (SELECT n FROM {rows $2: n bigint, t text} AS r) AND c < {now}",
                "DELETE FROM a WHERE b IN (SELECT n FROM (SELECT bigint(0) AS n, text(1) AS t FROM list($2)) AS r) AND c < now",
            ),
        ] {
            assert_eq!(translate::<Plain>(sql), expected);
        }
    }

    #[test]
    fn rows_are_an_array_of_arrays_without_nul() {
        let list = rows([
            vec![json!(1), json!("a\0b"), json!(null)],
            vec![json!(u64::MAX), json!("\\u0000"), json!(true)],
        ]);
        let expected = r#"[[1,"a�b",null],[9223372036854775807,"\\u0000",true]]"#;
        assert_eq!(list, Value::Text(expected.to_owned()));
    }
}
