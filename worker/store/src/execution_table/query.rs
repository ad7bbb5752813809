//! What the console reads, and the renewal of running elements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::ExecutionState;
use lockstep_protocol::commands::ExecuteOn;
use serde_json::Value as Json;

use super::{READ, WRITE, device_lease, element, execute, execution, finish, milliseconds, named};
use crate::sql::{Row, SqlDatabase, Value};
use crate::{
    ElementDetail, ElementOwner, ElementQuery, ElementRow, ExecutionQuery, ExecutionReference, ExecutionRow,
    Executions, Halt, NamedEntities, RenewedElements, StopRow, StoppedElement, StoreError, column,
};

/// Executions that match all filters. The last condition is that of a filter that is set, so that both databases walk its index.
macro_rules! filters {
    ($indexed:expr) => {
        concat!(
            "number < $1 AND (CAST($2 AS text) IS NULL OR state = $2) AND (CAST($3 AS text) IS NULL OR task = $3) \
                AND (CAST($4 AS bigint) IS NULL OR parent = $4)",
            $indexed
        )
    };
}

macro_rules! on_device {
    () => {
        " AND number IN (SELECT execution FROM element \
            WHERE device_id = (SELECT id FROM device WHERE hostname = $5) AND execution < $1)"
    };
}

macro_rules! list {
    ($indexed:expr, $limit:literal) => {
        execution::select!(filters!($indexed), " ORDER BY number DESC LIMIT ", $limit)
    };
}

macro_rules! count {
    ($indexed:expr) => {
        concat!("SELECT count(*) FROM execution WHERE ", filters!($indexed))
    };
}

const LIST: &str = list!("", "$5");
const LIST_IN_STATE: &str = list!(" AND state = $2", "$5");
const LIST_OF_TASK: &str = list!(" AND task = $3", "$5");
const LIST_OF_PARENT: &str = list!(" AND parent = $4", "$5");
const LIST_ON_DEVICE: &str = list!(on_device!(), "$6");

const COUNT: &str = count!("");
const COUNT_IN_STATE: &str = count!(" AND state = $2");
const COUNT_OF_TASK: &str = count!(" AND task = $3");
const COUNT_OF_PARENT: &str = count!(" AND parent = $4");
const COUNT_ON_DEVICE: &str = count!(on_device!());

const BY_NUMBER: &str = execution::select!("number = $1");
const BY_ID: &str = execution::select!("id = $1");

/// One outcome is one range of an index.
macro_rules! numbers_of {
    ($outcome:literal) => {
        concat!(
            "SELECT number FROM (SELECT number FROM element WHERE execution = $1 AND outcome = ",
            $outcome,
            " AND number > $2 ORDER BY number LIMIT $3) AS page"
        )
    };
}

/// The pages of all outcomes, merged.
const ELEMENTS: &str = concat!(
    "SELECT ",
    element::columns!(),
    " FROM element WHERE number IN (SELECT number FROM (",
    numbers_of!("'open'"),
    " UNION ALL ",
    numbers_of!("'done'"),
    " UNION ALL ",
    numbers_of!("'failed'"),
    " UNION ALL ",
    numbers_of!("'skipped'"),
    ") AS pages ORDER BY number LIMIT $3) ORDER BY number"
);

const ELEMENTS_OF_OUTCOME: &str = concat!(
    "SELECT ",
    element::columns!(),
    " FROM element WHERE execution = $1 AND outcome = $4 AND number > $2 ORDER BY number LIMIT $3"
);

const ELEMENT: &str = concat!(
    "SELECT ",
    element::columns!(),
    ", data FROM element WHERE number = $1"
);

/// An element whose time is over is lost. Rows that another transaction holds are left out: they end, or the next renewal is early
/// enough.
const RENEW: &str = "\
    UPDATE element SET until = {after $2} WHERE number IN ( \
        SELECT number FROM element WHERE owner = $1 AND state = 'RUNNING' AND until > {now} FOR UPDATE SKIP LOCKED)";

const HELD: &str = "\
    SELECT element.number, execution.halt, element.other_leases FROM element JOIN execution ON execution.number = element.execution \
    WHERE element.owner = $1 AND element.state = 'RUNNING' AND element.until > {now} ORDER BY element.number";

#[async_trait]
impl<D: SqlDatabase> Executions for D {
    async fn executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRow>, StoreError> {
        let before = query.before.unwrap_or(u64::MAX);
        let mut parameters = parameters(query, before);
        parameters.push(query.limit.into());
        let statement = indexed(
            query,
            [LIST, LIST_IN_STATE, LIST_OF_TASK, LIST_OF_PARENT, LIST_ON_DEVICE],
        );
        let rows = self.read_planned_for_now(READ, statement, parameters).await?;
        rows.iter().map(execution::read).collect()
    }

    async fn count_executions(&self, query: &ExecutionQuery) -> Result<u64, StoreError> {
        let statement = indexed(
            query,
            [
                COUNT,
                COUNT_IN_STATE,
                COUNT_OF_TASK,
                COUNT_OF_PARENT,
                COUNT_ON_DEVICE,
            ],
        );
        let rows = self
            .read_planned_for_now(READ, statement, parameters(query, u64::MAX))
            .await?;
        rows.first().map_or(Ok(0), |row| row.number("execution", 0))
    }

    async fn execution(&self, reference: &ExecutionReference) -> Result<Option<ExecutionRow>, StoreError> {
        let (statement, parameter): (_, Value) = match reference {
            ExecutionReference::Number(number) => (BY_NUMBER, (*number).into()),
            ExecutionReference::Id(id) => (BY_ID, id.to_string().into()),
        };
        let rows = self
            .read_planned_for_now(READ, statement, vec![parameter])
            .await?;
        let Some(mut found) = rows.first().map(execution::read).transpose()? else {
            return Ok(None);
        };
        let rows = self
            .read(READ, execution::SELECTION, vec![found.number.into()])
            .await?;
        if let Some(row) = rows.first() {
            let what = "execution_selection.execute_on";
            found.request.requested.execute_on = column::json(what, &row.text(what, 0)?)?;
        }
        Ok(Some(found))
    }

    async fn elements(&self, query: &ElementQuery) -> Result<Vec<ElementRow>, StoreError> {
        let mut parameters = vec![
            query.execution.into(),
            query.after.unwrap_or_default().into(),
            query.limit.into(),
        ];
        let outcome = match (query.outcome, query.open) {
            (Some(_), true) => return Ok(Vec::new()),
            (Some(outcome), false) => Some(finish::outcome_text(outcome)),
            (None, true) => Some("open"),
            (None, false) => None,
        };
        let statement = match outcome {
            None => ELEMENTS,
            Some(outcome) => {
                parameters.push(outcome.into());
                ELEMENTS_OF_OUTCOME
            }
        };
        let rows = self.read_planned_for_now(READ, statement, parameters).await?;
        rows.iter().map(element::read).collect()
    }

    async fn element(&self, number: u64) -> Result<Option<ElementDetail>, StoreError> {
        let rows = self
            .read_planned_for_now(READ, ELEMENT, vec![number.into()])
            .await?;
        rows.first().map(read_detail).transpose()
    }

    async fn named(&self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError> {
        named::read(self, kind, names).await
    }

    async fn names(&self, kind: ExecuteOn, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, StoreError> {
        named::names(self, kind, ids).await
    }

    async fn stopped(&self) -> Result<Option<StopRow>, StoreError> {
        let rows = self.read(READ, execution::STOPPED, Vec::new()).await?;
        Ok(rows.first().map(execution::read_stop).transpose()?.flatten())
    }

    async fn renew_elements(
        &self,
        owner: ElementOwner,
        time: Duration,
    ) -> Result<RenewedElements, StoreError> {
        let transaction = self.write(WRITE).await?;
        transaction.plan_for_now(WRITE).await?;
        let owner: Value = owner.0.to_string().into();
        let parameters = || vec![owner.clone(), milliseconds(time)];
        execute(&*transaction, RENEW, parameters()).await?;
        execute(&*transaction, device_lease::RENEW, parameters()).await?;
        let rows = transaction.query(READ, HELD, vec![owner.clone()]).await?;
        let mut others = Vec::new();
        for row in &rows {
            others.extend(device_lease::read_others(row, 2)?);
        }
        if !others.is_empty() {
            let mut parameters = parameters();
            parameters.push(device_lease::names(others.iter().map(|(hostname, _)| hostname)));
            execute(&*transaction, device_lease::RENEW_OTHERS, parameters).await?;
        }
        transaction.commit(WRITE).await?;
        let mut renewed = RenewedElements::default();
        for row in &rows {
            let number = row.number("element.number", 0)?;
            renewed.held.push(number);
            let halt = row.optional_text("execution.halt", 1)?;
            let halt: Option<Halt> = halt
                .map(|halt| column::word("execution.halt", &halt))
                .transpose()?;
            if let Some(halt) = halt.filter(|halt| halt.stops_running()) {
                renewed.stop.push(StoppedElement { number, halt });
            }
        }
        Ok(renewed)
    }
}

/// The parameters of the filters.
fn parameters(query: &ExecutionQuery, before: u64) -> Vec<Value> {
    let mut parameters = vec![
        before.into(),
        query.state.map(ExecutionState::as_str).into(),
        query.task.as_deref().into(),
        query.parent.into(),
    ];
    parameters.extend(query.hostname.as_ref().map(|hostname| hostname.as_str().into()));
    parameters
}

/// Among the statements without a filter, for a state, for a task, for a workflow and for a device, the one whose index leads to the fewest
/// rows.
fn indexed(query: &ExecutionQuery, statements: [&'static str; 5]) -> &'static str {
    let [all, in_state, of_task, of_parent, on_device] = statements;
    if query.hostname.is_some() {
        on_device
    } else if query.parent.is_some() {
        of_parent
    } else if query.task.is_some() {
        of_task
    } else if query.state.is_some() {
        in_state
    } else {
        all
    }
}

fn read_detail(row: &Row) -> Result<ElementDetail, StoreError> {
    let data = row.optional_text("element.data", 17)?;
    Ok(ElementDetail {
        row: element::read(row)?,
        data: data.map_or(Ok(Json::Null), |data| column::json("element.data", &data))?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LIST,
    LIST_IN_STATE,
    LIST_OF_TASK,
    LIST_OF_PARENT,
    LIST_ON_DEVICE,
    COUNT,
    COUNT_IN_STATE,
    COUNT_OF_TASK,
    COUNT_OF_PARENT,
    COUNT_ON_DEVICE,
    BY_NUMBER,
    BY_ID,
    ELEMENTS,
    ELEMENTS_OF_OUTCOME,
    ELEMENT,
    RENEW,
    HELD,
];

/// The pages that are one range of an index, and how they are read.
#[cfg(test)]
pub(super) const PAGES: &[(&str, &str)] = &[
    (LIST, "execution USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        LIST_IN_STATE,
        "execution USING INDEX execution_state (state=? AND number<?)",
    ),
    (
        LIST_OF_TASK,
        "execution USING INDEX execution_task (task=? AND number<?)",
    ),
    (
        LIST_OF_PARENT,
        "execution USING INDEX execution_parent (parent=? AND number<?)",
    ),
    (
        ELEMENTS_OF_OUTCOME,
        "element USING INDEX element_execution (execution=? AND outcome=? AND number>?)",
    ),
];
