use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::error::Failure;
use super::{SqliteStore, age, migrate};
use crate::{DevicesInState, RepositoryState, Sessions, Stats, StoreError, Summary, column};

const DEVICES: &str = "\
    SELECT state, count(*), count(*) FILTER (WHERE synced_generation <> desired_generation), \
        min(unsynchronized_since) FILTER (WHERE synced_generation <> desired_generation), \
        min(coalesce(state_since, ?1)), count(*) FILTER (WHERE until <= ?2), \
        min(coalesce(checked_at, state_since, ?1)) FILTER (WHERE synced_generation = desired_generation) \
    FROM device GROUP BY state";

const DEAD_LETTERS: &str = "SELECT count(*) FROM dead_letter WHERE state = 'dead'";

#[async_trait]
impl Stats for SqliteStore {
    async fn summary(&self) -> Result<Summary, StoreError> {
        self.read_in("read stats", |connection| {
            let now = migrate::now(connection)?;
            let devices = devices(connection, now)?;
            let (dead_letters, due_work) = (
                count(connection, DEAD_LETTERS)?,
                count(connection, Summary::DUE_WORK)?,
            );
            let repositories = repositories(connection)?;
            Ok(Summary::new(devices, dead_letters, due_work, repositories, now))
        })
        .await
    }

    /// Counts the readers, without the one connection that writes.
    fn sessions(&self) -> Sessions {
        let status = self.readers.status();
        Sessions {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }
}

fn devices(connection: &Connection, now: Timestamp) -> Result<Vec<DevicesInState>, Failure> {
    let mut select = connection.prepare_cached(DEVICES)?;
    let mut rows = select.query(params![age::records(connection)?, column::microseconds(now)])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push(in_state(row)?);
    }
    Ok(devices)
}

fn count(connection: &Connection, statement: &str) -> Result<u64, Failure> {
    let mut select = connection.prepare_cached(statement)?;
    Ok(column::count(select.query_row([], |row| row.get(0))?))
}

fn repositories(connection: &Connection) -> Result<Vec<RepositoryState>, Failure> {
    let mut select = connection.prepare_cached(Summary::REPOSITORIES)?;
    let mut rows = select.query([])?;
    let mut repositories = Vec::new();
    while let Some(row) = rows.next()? {
        let since: Option<i64> = row.get(1)?;
        let since = since.map(|time| column::read_microseconds("repository.problem_since", time));
        let asked: Option<i64> = row.get(2)?;
        let asked = asked.map(|time| column::read_microseconds("repository.asked_at", time));
        repositories.push(RepositoryState {
            name: column::name("repository.name", row.get(0)?)?,
            failing_since: since.transpose()?,
            asked_at: asked.transpose()?,
        });
    }
    Ok(repositories)
}

fn in_state(row: &Row<'_>) -> Result<DevicesInState, Failure> {
    let time = |what, index| -> Result<Option<Timestamp>, Failure> {
        let time: Option<i64> = row.get(index)?;
        Ok(time
            .map(|time| column::read_microseconds(what, time))
            .transpose()?)
    };
    Ok(DevicesInState {
        state: column::word("device.state", &row.get::<_, String>(0)?)?,
        all: column::count(row.get(1)?),
        unsynchronized: column::count(row.get(2)?),
        since: time("device.unsynchronized_since", 3)?,
        state_since: time("device.state_since", 4)?,
        expired: column::count(row.get(5)?),
        checked_since: time("device.checked_at", 6)?,
    })
}
