//! The guard of all writes of a run.

use super::WRITE;
use crate::sql::{SqlDatabase, SqlTransaction, Value};
use crate::{RunningElement, StoreError};

/// A running element of a sync. The state is compared as an expression, so that the element is found by its number.
macro_rules! running {
    ($lock:literal) => {
        concat!(
            "SELECT number FROM element WHERE number = $1 AND attempts = $2 AND owner = $3 AND state || '' = 'RUNNING' AND until > {now} \
                AND EXISTS (SELECT 1 FROM sync_element WHERE sync_element.element = element.number)",
            $lock
        )
    };
}

const RUNNING: &str = running!("");

/// The lock keeps the element from ending or from being queued again until the transaction ends.
const HOLD: &str = running!(" FOR NO KEY UPDATE");

/// Whether the attempt still runs the element.
pub(super) async fn is_running<D: SqlDatabase>(
    database: &D,
    run: &RunningElement,
) -> Result<bool, StoreError> {
    let found = database.read(super::READ, RUNNING, parameters(run)).await?;
    Ok(!found.is_empty())
}

/// Begins a transaction in which the attempt runs the element until its end. `None` if it does not run it any more.
pub(super) async fn hold<D: SqlDatabase>(
    database: &D,
    run: &RunningElement,
) -> Result<Option<Box<dyn SqlTransaction>>, StoreError> {
    let transaction = database.write(WRITE).await?;
    let held = transaction.query(WRITE, HOLD, parameters(run)).await?;
    if held.is_empty() {
        // Nothing is written; the session stays in use.
        transaction.commit(WRITE).await?;
        return Ok(None);
    }
    Ok(Some(transaction))
}

pub(super) fn parameters(run: &RunningElement) -> Vec<Value> {
    vec![
        run.element.into(),
        run.attempt.into(),
        run.owner.0.to_string().into(),
    ]
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[RUNNING, HOLD];
