use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::PostgresStore;
use super::session::Session;
use crate::{Facts, Lease, Leases, StoreError};

/// A lost lease has another fence, so no row matches.
const ACQUIRE: &str = "\
    INSERT INTO lease (name, owner, fence, until) \
    VALUES ($1, $2, 1, clock_timestamp() + $3::bigint * interval '1 millisecond') \
    ON CONFLICT (name) DO UPDATE \
        SET owner = excluded.owner, fence = lease.fence + 1, until = excluded.until \
        WHERE lease.until <= clock_timestamp() \
    RETURNING fence";

const RENEW: &str = "\
    UPDATE lease SET until = clock_timestamp() + $4::bigint * interval '1 millisecond' \
    WHERE name = $1 AND owner = $2 AND fence = $3 AND until > clock_timestamp()";

const RELEASE: &str = "\
    UPDATE lease SET until = '-infinity' WHERE name = $1 AND owner = $2 AND fence = $3";

/// Locks the lease until the end of the transaction, so that no other worker can acquire it meanwhile.
const HOLD: &str = "\
    SELECT FROM lease WHERE name = $1 AND owner = $2 AND fence = $3 AND until > clock_timestamp() FOR NO KEY UPDATE";

#[async_trait]
impl Leases for PostgresStore {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError> {
        const OPERATION: &str = "acquire a lease";
        let session = self.session(OPERATION).await?;
        let owner = Uuid::new_v4();
        let row = session
            .answer(OPERATION, async {
                let statement = session.prepare_cached(ACQUIRE).await?;
                session
                    .query_opt(&statement, &[&name, &owner.to_string(), &millis(time)])
                    .await
            })
            .await?;
        session.give_back();
        Ok(row.map(|row| Lease {
            name: name.to_owned(),
            owner,
            fence: row.get(0),
        }))
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        const OPERATION: &str = "renew a lease";
        let session = self.session(OPERATION).await?;
        let owner = lease.owner.to_string();
        let renewed = session
            .answer(OPERATION, async {
                let statement = session.prepare_cached(RENEW).await?;
                session
                    .execute(&statement, &[&lease.name, &owner, &lease.fence, &millis(time)])
                    .await
            })
            .await?;
        session.give_back();
        Ok(renewed == 1)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        const OPERATION: &str = "release a lease";
        let session = self.session(OPERATION).await?;
        let owner = lease.owner.to_string();
        session
            .answer(OPERATION, async {
                let statement = session.prepare_cached(RELEASE).await?;
                session
                    .execute(&statement, &[&lease.name, &owner, &lease.fence])
                    .await
            })
            .await?;
        session.give_back();
        Ok(())
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Locks the leases that are still held, by name, and adds them to the facts.
pub(super) async fn hold(
    operation: &'static str,
    session: &Session,
    leases: &[Lease],
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let mut sorted: Vec<&Lease> = leases.iter().collect();
    sorted.sort_unstable();
    for lease in sorted {
        let owner = lease.owner.to_string();
        let held = session
            .rows_for(operation, HOLD, &[&lease.name, &owner, &lease.fence])
            .await?;
        if !held.is_empty() {
            facts.add_lease(lease.clone());
        }
    }
    Ok(())
}

/// Releases leases in the transaction that holds them.
pub(super) async fn release(
    operation: &'static str,
    session: &Session,
    facts: &Facts,
) -> Result<(), StoreError> {
    for lease in facts.released() {
        let owner = lease.owner.to_string();
        session
            .rows_for(operation, RELEASE, &[&lease.name, &owner, &lease.fence])
            .await?;
    }
    Ok(())
}
