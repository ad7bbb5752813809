use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresStore;
use super::broad;
use super::microseconds::Microseconds;
use crate::{DevicesInState, RepositoryState, Sessions, Stats, StoreError, Summary, column};

const OPERATION: &str = "summarize the fleet";

/// A sequential scan: all devices are read. An index on the flags would make every event more expensive; without one,
/// flagging a device is a heap-only update. One core is enough for 100,000 devices.
pub(super) const READ_ALL: &str =
    "BEGIN READ ONLY; SET LOCAL enable_seqscan = on; SET LOCAL max_parallel_workers_per_gather = 0";

/// Whether broad causes may be open for a device.
macro_rules! may_be_open {
    () => {
        concat!(
            "synced_generation <> desired_generation AND broad_seen < ",
            broad::newest!()
        )
    };
}

/// Devices for which the same broad causes are open are counted together first, so that the causes are read once for all of them.
const DEVICES: &str = concat!(
    "SELECT state, sum(devices)::bigint, sum(unsynchronized)::bigint, min(",
    broad::since!(),
    "), min(in_state_since), sum(expired)::bigint, min(checked_since) FROM (SELECT state, CASE WHEN ",
    may_be_open!(),
    " THEN device_type END AS device_type, CASE WHEN ",
    may_be_open!(),
    " THEN platform END AS platform, CASE WHEN ",
    may_be_open!(),
    " THEN greatest(broad_seen, (SELECT min(number) - 1 FROM broad_cause)) END AS broad_seen, \
            count(*) AS devices, count(*) FILTER (WHERE synced_generation <> desired_generation) AS unsynchronized, \
            min(unsynchronized_since) FILTER (WHERE synced_generation <> desired_generation) AS unsynchronized_since, \
            min(coalesce(state_since, (SELECT min(applied_on)::timestamptz FROM refinery_schema_history WHERE version = 8))) \
                AS in_state_since, \
            count(*) FILTER (WHERE until <= now()) AS expired, \
            min(coalesce(checked_at, state_since, (SELECT min(applied_on)::timestamptz FROM refinery_schema_history WHERE version = 8))) \
                FILTER (WHERE synced_generation = desired_generation) AS checked_since \
        FROM device GROUP BY 1, 2, 3, 4) AS device \
    GROUP BY state"
);

/// Reads the partial index of unsettled dead letters.
const DEAD_LETTERS: &str = "SELECT count(*), clock_timestamp() FROM dead_letter WHERE state = 'dead'";

#[async_trait]
impl Stats for PostgresStore {
    async fn summary(&self) -> Result<Summary, StoreError> {
        let session = self.session(OPERATION).await?;
        let (devices, dead_letters, due_work, repositories) = session
            .answer(OPERATION, async {
                session.batch_execute(READ_ALL).await?;
                let devices = session.query(DEVICES, &[]).await?;
                let dead_letters = session.query_one(DEAD_LETTERS, &[]).await?;
                let due_work = session.query_one(Summary::DUE_WORK, &[]).await?;
                let repositories = session.query(Summary::REPOSITORIES, &[]).await?;
                session.batch_execute("COMMIT").await?;
                Ok((devices, dead_letters, due_work, repositories))
            })
            .await?;
        session.give_back();
        let devices = devices.iter().map(in_state).collect::<Result<_, _>>()?;
        let repositories = repositories.iter().map(repository).collect::<Result<_, _>>()?;
        let at = dead_letters.get::<_, Microseconds>(1).0;
        let dead_letters = column::count(dead_letters.get(0));
        let due_work = column::count(due_work.get(0));
        Ok(Summary::new(devices, dead_letters, due_work, repositories, at))
    }

    fn sessions(&self) -> Sessions {
        let status = self.pool.status();
        Sessions {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }
}

fn in_state(row: &Row) -> Result<DevicesInState, StoreError> {
    Ok(DevicesInState {
        state: column::word("device.state", row.get(0))?,
        all: column::count(row.get(1)),
        unsynchronized: column::count(row.get(2)),
        since: row.get::<_, Option<Microseconds>>(3).map(|time| time.0),
        state_since: row.get::<_, Option<Microseconds>>(4).map(|time| time.0),
        expired: column::count(row.get(5)),
        checked_since: row.get::<_, Option<Microseconds>>(6).map(|time| time.0),
    })
}

fn repository(row: &Row) -> Result<RepositoryState, StoreError> {
    Ok(RepositoryState {
        name: column::name("repository.name", row.get(0))?,
        failing_since: row.get::<_, Option<Microseconds>>(1).map(|time| time.0),
        asked_at: row.get::<_, Option<Microseconds>>(2).map(|time| time.0),
    })
}
