//! Names the sessions that hold the locks for which a transaction waits.

use std::pin::pin;
use std::time::Duration;

use deadpool_postgres::Pool;
use lockstep_telemetry::store::{OTHER_HOLDER, waits_for_lock_of};
use tokio::time::{sleep, timeout};

use super::PostgresOptions;
use super::session::Session;
use crate::StoreError;

const OPERATION: &str = "find who holds locks";

/// A transaction that waits this long is reported, or after half the lock time-out.
const NOTICED_AFTER: Duration = Duration::from_secs(1);

/// How long the question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The sessions that block one of this program, directly or through others, and wait for nobody themselves. Every login may see
/// these columns of sessions of its own, and names and process ids of all.
const HOLDERS: &str = "\
    WITH RECURSIVE blocking (pid) AS ( \
        SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity \
        WHERE wait_event_type = 'Lock' AND datname = current_database() \
            AND application_name = current_setting('application_name') \
        UNION SELECT unnest(pg_blocking_pids(pid)) FROM blocking) \
    SELECT holder.application_name, holder.pid, coalesce(holder.state, 'unknown'), \
        coalesce(extract(epoch FROM clock_timestamp() - holder.xact_start), 0)::float8 \
    FROM blocking JOIN pg_stat_activity holder USING (pid) WHERE cardinality(pg_blocking_pids(pid)) = 0";

/// Watches transactions of one store.
#[derive(Clone)]
pub(super) struct LockWatch {
    pub(super) pool: Pool,
    pub(super) options: PostgresOptions,
}

impl LockWatch {
    /// Runs this part of a transaction. If it takes long, the log and a metric say who holds its locks.
    pub(super) async fn during<T>(&self, operation: &'static str, part: impl Future<Output = T>) -> T {
        let mut part = pin!(part);
        let report = async {
            sleep(NOTICED_AFTER.min(self.options.lock_timeout / 2)).await;
            // Without an answer, or without a session, the transaction itself has the error.
            let _ = timeout(PATIENCE, self.report(operation)).await;
        };
        tokio::select! {
            biased;
            result = part.as_mut() => return result,
            () = report => {}
        }
        part.await
    }

    async fn report(&self, operation: &'static str) -> Result<(), StoreError> {
        let session = Session::from_pool(&self.pool, &self.options, std::iter::empty(), OPERATION).await?;
        for row in session.rows_for(OPERATION, HOLDERS, &[]).await? {
            let (holder, process, state): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
            let seconds: f64 = row.get(3);
            waits_for_lock_of(label(&holder));
            tracing::warn!(
                operation,
                holder,
                database_process = process,
                state,
                transaction_seconds = seconds.round(),
                "a transaction waits for locks that another session holds"
            );
        }
        session.give_back();
        Ok(())
    }
}

/// The holder as a label: a Lockstep without its process id, so that there are as many values as machines.
fn label(application_name: &str) -> &str {
    if !application_name.starts_with("lockstep") {
        return OTHER_HOLDER;
    }
    match application_name.rsplit_once(':') {
        Some((name, process)) if process.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => application_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_few_values() {
        for (name, expected) in [
            ("lockstep host-1:4711", "lockstep host-1"),
            ("lockstep", "lockstep"),
            ("lockstep host:a", "lockstep host:a"),
            ("psql", "other"),
            ("", "other"),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
    }
}
