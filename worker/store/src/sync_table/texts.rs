//! Removes the large texts of older syncs, which contain secrets. What they found stays: the masked difference, its hash and its score.

use jiff::Timestamp;

use crate::sql::SqlDatabase;
use crate::{Expired, StoreError};

const OPERATION: &str = "remove texts of older syncs";

const REMOVE: &str = "\
    UPDATE sync_element SET diff = NULL, rendered = NULL, previous = NULL WHERE element IN ( \
        SELECT sync_element.element FROM sync_element JOIN execution ON execution.number = sync_element.execution \
        WHERE (diff IS NOT NULL OR rendered IS NOT NULL OR previous IS NOT NULL) AND execution.ended_at < $1 LIMIT $2)";

/// Removes the texts of at most `limit` elements whose executions ended before this time.
pub(crate) async fn expire_texts<D: SqlDatabase>(
    database: &D,
    before: Timestamp,
    limit: u32,
) -> Result<Expired, StoreError> {
    let transaction = database.write(OPERATION).await?;
    transaction.plan_for_now(OPERATION).await?;
    let parameters = vec![before.into(), limit.into()];
    let deleted = transaction
        .execute_each(OPERATION, REMOVE, vec![parameters])
        .await?;
    transaction.commit(OPERATION).await?;
    Ok(Expired {
        deleted,
        next: (deleted > 0).then_some(0),
    })
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[REMOVE];
