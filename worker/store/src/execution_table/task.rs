use async_trait::async_trait;
use lockstep_protocol::commands::TaskReference;
use serde_json::Value as Json;

use super::{READ, WRITE, execute, json_text, list_text, schedule, texts};
use crate::entity_table;
use crate::error_class::ErrorClass;
use crate::sql::{Row, SqlDatabase, SqlSession, Value};
use crate::{NewTask, SavedRow, ScheduleRow, StoreError, TaskRow, Tasks, column};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT number, name, description, provider, arguments, saved_at, saved_by, pre_tasks, post_tasks, run_input_json_schema, \
             run_input_ui_schema FROM task WHERE ",
            $condition
        )
    };
}

const LIST: &str = select!("name > $1 ORDER BY name LIMIT $2");
const BY_NUMBER: &str = select!("number = $1");
const BY_NAME: &str = select!("name = $1");
const BY_NUMBERS: &str = select!("number IN (SELECT id FROM {rows $1: id bigint} AS wanted)");
const BY_NAMES: &str = select!("name IN (SELECT name FROM {rows $1: name text} AS wanted)");
const LOCK: &str = select!("name = $1 FOR UPDATE");

const INSERT: &str = "\
    INSERT INTO task (name, description, provider, arguments, saved_at, saved_by, pre_tasks, post_tasks, run_input_json_schema, \
        run_input_ui_schema) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
    ON CONFLICT (name) DO NOTHING RETURNING number";

const UPDATE: &str = "\
    UPDATE task SET description = $2, provider = $3, arguments = $4, saved_at = $5, saved_by = $6, pre_tasks = $7, post_tasks = $8, \
        run_input_json_schema = $9, run_input_ui_schema = $10 \
    WHERE name = $1";

const DELETE: &str = "DELETE FROM task WHERE name = $1";

#[async_trait]
impl<D: SqlDatabase> Tasks for D {
    async fn tasks(&self, after: Option<&str>, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        let rows = self.read(READ, LIST, page(after, limit)).await?;
        rows.iter().map(read).collect()
    }

    async fn task(&self, reference: &TaskReference) -> Result<Option<TaskRow>, StoreError> {
        let (statement, parameter) = by(reference);
        let rows = self.read(READ, statement, vec![parameter]).await?;
        rows.first().map(read).transpose()
    }

    async fn schedules(&self, after: Option<&str>, limit: u32) -> Result<Vec<ScheduleRow>, StoreError> {
        let rows = self.read(READ, schedule::LIST, page(after, limit)).await?;
        rows.iter().map(schedule::read).collect()
    }
}

/// No name is empty, so each comes after the empty text.
fn page(after: Option<&str>, limit: u32) -> Vec<Value> {
    vec![after.unwrap_or_default().into(), limit.into()]
}

fn by(reference: &TaskReference) -> (&'static str, Value) {
    match reference {
        TaskReference::Number(number) => (BY_NUMBER, (*number).into()),
        TaskReference::Name(name) => (BY_NAME, name.as_str().into()),
    }
}

pub(super) async fn find(
    session: &dyn SqlSession,
    reference: &TaskReference,
) -> Result<Option<TaskRow>, StoreError> {
    let (statement, parameter) = by(reference);
    let rows = session.query(READ, statement, vec![parameter]).await?;
    rows.first().map(read).transpose()
}

/// The tasks with these numbers.
pub(crate) async fn tasks_by_number<D: SqlDatabase>(
    database: &D,
    numbers: &[u64],
) -> Result<Vec<TaskRow>, StoreError> {
    let parameters = vec![entity_table::numbers(numbers)];
    let rows = database
        .read_planned_for_now(READ, BY_NUMBERS, parameters)
        .await?;
    rows.iter().map(read).collect()
}

/// The tasks with these names.
pub(crate) async fn tasks_by_name<D: SqlDatabase>(
    database: &D,
    names: &[String],
) -> Result<Vec<TaskRow>, StoreError> {
    let parameters = vec![texts(names.iter().cloned())];
    let rows = database.read_planned_for_now(READ, BY_NAMES, parameters).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn save(session: &dyn SqlSession, task: &NewTask) -> Result<SavedRow, StoreError> {
    let found = session.query(READ, LOCK, vec![task.name.as_str().into()]).await?;
    let Some(found) = found.first().map(read).transpose()? else {
        let inserted = session.query(WRITE, INSERT, parameters(task)).await?;
        let Some(row) = inserted.first() else {
            return Err(ErrorClass::Conflict.error(WRITE, "another transaction saved it first"));
        };
        return Ok(SavedRow {
            number: row.number("task.number", 0)?,
            created: true,
            changed: true,
        });
    };
    let changed = found.description != task.description
        || found.provider != task.provider
        || found.arguments != task.arguments
        || found.pre_tasks != task.pre_tasks
        || found.post_tasks != task.post_tasks
        || found.run_input_json_schema != task.run_input_json_schema
        || found.run_input_ui_schema != task.run_input_ui_schema;
    if changed {
        execute(session, UPDATE, parameters(task)).await?;
    }
    Ok(SavedRow {
        number: found.number,
        created: false,
        changed,
    })
}

pub(super) async fn delete(session: &dyn SqlSession, name: &str) -> Result<bool, StoreError> {
    Ok(execute(session, DELETE, vec![name.into()]).await? > 0)
}

fn parameters(task: &NewTask) -> Vec<Value> {
    vec![
        task.name.as_str().into(),
        task.description.as_deref().into(),
        task.provider.as_str().into(),
        json_text(&task.arguments),
        task.at.into(),
        task.by.as_deref().into(),
        list_text(&task.pre_tasks),
        list_text(&task.post_tasks),
        task.run_input_json_schema.as_ref().map(Json::to_string).into(),
        task.run_input_ui_schema.as_ref().map(Json::to_string).into(),
    ]
}

fn read(row: &Row) -> Result<TaskRow, StoreError> {
    let schema = |what, index| -> Result<Option<Json>, StoreError> {
        let text = row.optional_text(what, index)?;
        text.map(|text| column::json(what, &text)).transpose()
    };
    Ok(TaskRow {
        number: row.number("task.number", 0)?,
        name: row.text("task.name", 1)?,
        description: row.optional_text("task.description", 2)?,
        provider: row.text("task.provider", 3)?,
        arguments: column::json("task.arguments", &row.text("task.arguments", 4)?)?,
        saved_at: row.time("task.saved_at", 5)?,
        saved_by: row.optional_text("task.saved_by", 6)?,
        pre_tasks: column::json("task.pre_tasks", &row.text("task.pre_tasks", 7)?)?,
        post_tasks: column::json("task.post_tasks", &row.text("task.post_tasks", 8)?)?,
        run_input_json_schema: schema("task.run_input_json_schema", 9)?,
        run_input_ui_schema: schema("task.run_input_ui_schema", 10)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LIST, BY_NUMBER, BY_NAME, BY_NUMBERS, BY_NAMES, LOCK, INSERT, UPDATE, DELETE,
];
