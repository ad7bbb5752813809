use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::SqliteStore;
use super::error::Failure;
use crate::{Facts, Lease, Leases, StoreError};

/// The time of SQLite in microseconds since 1970.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}

/// A lost lease has another fence, so no row matches.
const ACQUIRE: &str = concat!(
    "INSERT INTO lease (name, owner, fence, until) VALUES (?1, ?2, 1, ",
    now!(),
    " + ?3) ON CONFLICT (name) DO UPDATE \
        SET owner = excluded.owner, fence = lease.fence + 1, until = excluded.until \
        WHERE lease.until <= ",
    now!(),
    " RETURNING fence"
);

const RENEW: &str = concat!(
    "UPDATE lease SET until = ",
    now!(),
    " + ?4 WHERE name = ?1 AND owner = ?2 AND fence = ?3 AND until > ",
    now!()
);

const RELEASE: &str = "UPDATE lease SET until = 0 WHERE name = ?1 AND owner = ?2 AND fence = ?3";

const HOLD: &str = concat!(
    "SELECT 1 FROM lease WHERE name = ?1 AND owner = ?2 AND fence = ?3 AND until > ",
    now!()
);

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError> {
        let (name, owner) = (name.to_owned(), Uuid::new_v4());
        self.write_in("acquire a lease", move |connection| {
            let fence = connection
                .prepare_cached(ACQUIRE)?
                .query_row(params![name, owner.to_string(), micros(time)], |row| row.get(0))
                .optional()?;
            Ok(fence.map(|fence| Lease { name, owner, fence }))
        })
        .await
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        let lease = lease.clone();
        self.write_in("renew a lease", move |connection| {
            let owner = lease.owner.to_string();
            let renewed = connection.prepare_cached(RENEW)?.execute(params![
                lease.name,
                owner,
                lease.fence,
                micros(time)
            ])?;
            Ok(renewed == 1)
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write_in("release a lease", move |connection| {
            let owner = lease.owner.to_string();
            connection
                .prepare_cached(RELEASE)?
                .execute(params![lease.name, owner, lease.fence])?;
            Ok(())
        })
        .await
    }
}

/// Whether a lease is held. The transaction is the only writer, so the answer holds until its end.
pub(super) fn holds(connection: &Connection, lease: &Lease) -> Result<bool, Failure> {
    let owner = lease.owner.to_string();
    let mut select = connection.prepare_cached(HOLD)?;
    Ok(select.exists(params![lease.name, owner, lease.fence])?)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Releases leases in the transaction that holds them.
pub(super) fn release(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut release = connection.prepare_cached(RELEASE)?;
    for lease in facts.released() {
        release.execute(params![lease.name, lease.owner.to_string(), lease.fence])?;
    }
    Ok(())
}
