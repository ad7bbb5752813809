//! Deletes expired records whose statements both databases share.

use jiff::Timestamp;

use super::sql::{SqlDatabase, SqlTransaction};
use super::{Expired, Records, SampleInterval, StoreError, execution_table, sync_table};

const OPERATION: &str = "delete expired records";

/// How many entries of the history of a device stay at most.
const MOST_HISTORY: u64 = 1000;
/// Devices whose history one chunk counts.
const DEVICES: u64 = 500;

/// Rows that a transaction holds are left out: they change, or the next pass finds them.
const FORMER_HOSTNAMES: &str = "\
    DELETE FROM former_hostname WHERE folded IN ( \
        SELECT folded FROM former_hostname WHERE at < $1 ORDER BY folded LIMIT $2 FOR UPDATE SKIP LOCKED)";

const REMOVED_LINKS: &str = "\
    DELETE FROM linknet WHERE id IN ( \
        SELECT id FROM linknet WHERE NOT present AND removed_at < $1 ORDER BY removed_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

const REMOVED_MANAGEMENT_DOMAINS: &str = "\
    DELETE FROM management_domain WHERE id IN ( \
        SELECT id FROM management_domain WHERE NOT present AND removed_at < $1 ORDER BY removed_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Entries are written nearly in the order of their time: a few expired ones behind younger ones wait for a later pass.
const OLD_HISTORY: &str = "\
    DELETE FROM device_history WHERE number IN ( \
        SELECT number FROM (SELECT number, at FROM device_history ORDER BY number LIMIT $2) AS oldest WHERE at < $1)";

const LOGIN_SESSIONS: &str = "\
    DELETE FROM session WHERE digest IN ( \
        SELECT digest FROM session WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

/// Entries are written nearly in the order of their time, as the history is.
const AUDIT: &str = "\
    DELETE FROM audit WHERE number IN ( \
        SELECT number FROM (SELECT number, at FROM audit ORDER BY number LIMIT $2) AS oldest WHERE at < $1)";

const MINUTE_SAMPLES: &str = "\
    DELETE FROM fleet_sample WHERE seconds = 60 AND at IN ( \
        SELECT at FROM fleet_sample WHERE seconds = 60 AND at < $1 ORDER BY at LIMIT $2)";

const HOUR_SAMPLES: &str = "\
    DELETE FROM fleet_sample WHERE seconds = 3600 AND at IN ( \
        SELECT at FROM fleet_sample WHERE seconds = 3600 AND at < $1 ORDER BY at LIMIT $2)";

/// The newest entry that is one too many, of each device.
const EXCESS: &str = "\
    SELECT device.id, (SELECT entry.number FROM device_history AS entry WHERE entry.device_id = device.id \
        ORDER BY entry.number DESC LIMIT 1 OFFSET $3) \
    FROM device WHERE device.id > $1 ORDER BY device.id LIMIT $2";

const DELETE_EXCESS: &str = "\
    DELETE FROM device_history WHERE number IN ( \
        SELECT number FROM device_history WHERE device_id = $1 AND number <= $2 ORDER BY number LIMIT $3)";

/// Deletes a chunk. `None` for records that each database deletes in its own way.
pub(super) async fn expire<D: SqlDatabase>(
    database: &D,
    records: &Records,
    before: Timestamp,
    from: u64,
    limit: u32,
) -> Result<Option<Expired>, StoreError> {
    let expired = match records {
        Records::Executions => execution_table::expire(database, before, limit).await,
        Records::FormerHostnames => delete(database, FORMER_HOSTNAMES, before, limit).await,
        Records::RemovedLinks => delete(database, REMOVED_LINKS, before, limit).await,
        Records::RemovedManagementDomains => {
            delete(database, REMOVED_MANAGEMENT_DOMAINS, before, limit).await
        }
        Records::DeviceHistory => device_history(database, before, from, limit).await,
        Records::SyncTexts => sync_table::expire_texts(database, before, limit).await,
        Records::LoginSessions => delete(database, LOGIN_SESSIONS, before, limit).await,
        Records::Audit => delete(database, AUDIT, before, limit).await,
        Records::FleetSamples(SampleInterval::Minute) => {
            delete(database, MINUTE_SAMPLES, before, limit).await
        }
        Records::FleetSamples(SampleInterval::Hour) => delete(database, HOUR_SAMPLES, before, limit).await,
        Records::Inbox(_) | Records::Causes(_) | Records::DeadLetters | Records::DeliveryAttempts => {
            return Ok(None);
        }
    };
    expired.map(Some)
}

/// First what is older, from 0 on; then what is too much, from the number of a device plus 1 on.
async fn device_history<D: SqlDatabase>(
    database: &D,
    before: Timestamp,
    from: u64,
    limit: u32,
) -> Result<Expired, StoreError> {
    let Some(after) = from.checked_sub(1) else {
        let expired = delete(database, OLD_HISTORY, before, limit).await?;
        return Ok(Expired {
            next: Some(expired.next.unwrap_or(1)),
            ..expired
        });
    };
    let transaction = begin(database).await?;
    let parameters = vec![after.into(), DEVICES.into(), MOST_HISTORY.into()];
    let page = transaction.query(OPERATION, EXCESS, parameters).await?;
    let (mut last, mut deleted) = (None, 0);
    for row in &page {
        let id: u64 = row.number("device.id", 0)?;
        if let Some(newest) = row.optional_number::<u64>("device_history.number", 1)? {
            let rest = u64::from(limit) - deleted;
            let set = vec![id.into(), newest.into(), rest.into()];
            deleted += transaction
                .execute_each(OPERATION, DELETE_EXCESS, vec![set])
                .await?;
            if deleted >= u64::from(limit) {
                // The device may have more of them.
                transaction.commit(OPERATION).await?;
                return Ok(Expired {
                    deleted,
                    next: Some(id),
                });
            }
        }
        last = Some(id);
    }
    transaction.commit(OPERATION).await?;
    Ok(Expired {
        deleted,
        next: last.map(|id| id + 1),
    })
}

async fn delete<D: SqlDatabase>(
    database: &D,
    statement: &'static str,
    before: Timestamp,
    limit: u32,
) -> Result<Expired, StoreError> {
    let transaction = begin(database).await?;
    let bounded = vec![before.into(), limit.into()];
    let deleted = transaction
        .execute_each(OPERATION, statement, vec![bounded])
        .await?;
    transaction.commit(OPERATION).await?;
    Ok(Expired {
        deleted,
        next: (deleted == u64::from(limit)).then_some(0),
    })
}

async fn begin<D: SqlDatabase>(database: &D) -> Result<Box<dyn SqlTransaction>, StoreError> {
    let transaction = database.write(OPERATION).await?;
    transaction.plan_for_now(OPERATION).await?;
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index_and_do_not_sort() {
        for (statement, expected) in [
            (REMOVED_LINKS, "INDEX linknet_removed (removed_at<?)"),
            (
                REMOVED_MANAGEMENT_DOMAINS,
                "INDEX management_domain_removed (removed_at<?)",
            ),
            (LOGIN_SESSIONS, "INDEX session_expires (expires_at<?)"),
            (MINUTE_SAMPLES, "PRIMARY KEY (seconds=? AND at<?)"),
            (HOUR_SAMPLES, "PRIMARY KEY (seconds=? AND at<?)"),
            (EXCESS, "INDEX device_history_device (device_id=?)"),
            (
                DELETE_EXCESS,
                "INDEX device_history_device (device_id=? AND number<?)",
            ),
        ] {
            let plan = query_plan(statement);
            assert!(plan.iter().any(|line| line.contains(expected)), "{plan:?}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
