//! What happened to leases, written down by the database itself: fences grow, and no two holders overlap.

use anyhow::{Result, ensure};
use lockstep_testbed::Schema;

/// A log of every change of a lease, kept by a trigger.
#[derive(Debug)]
pub(crate) struct LeaseLog {
    client: tokio_postgres::Client,
}

const INSTALL: &str = "
    CREATE TABLE lease_log (
        number bigserial PRIMARY KEY,
        name text NOT NULL,
        owner text NOT NULL,
        fence bigint NOT NULL,
        until timestamptz NOT NULL,
        at timestamptz NOT NULL
    );
    CREATE FUNCTION log_lease() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO lease_log (name, owner, fence, until, at)
        VALUES (new.name, new.owner, new.fence, new.until, clock_timestamp());
        RETURN new;
    END $$;
    CREATE TRIGGER log_lease AFTER INSERT OR UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION log_lease();";

/// Each change beside the one before it. A change by the same holder has the same fence; another holder comes with the
/// next fence, after the time of the one before was over.
const WRONG: &str = "
    SELECT name, fence, before.fence_before, before.owner_before = owner AS same
    FROM (
        SELECT *,
            lag(fence) OVER held AS fence_before,
            lag(owner) OVER held AS owner_before,
            lag(until) OVER held AS until_before
        FROM lease_log WINDOW held AS (PARTITION BY name ORDER BY number)
    ) AS before
    WHERE fence_before IS NOT NULL AND NOT (
        (owner = owner_before AND fence = fence_before)
        OR (owner <> owner_before AND fence = fence_before + 1 AND at >= until_before)
    )";

impl LeaseLog {
    /// Begins to log.
    pub(crate) async fn install(schema: &Schema) -> Result<Self> {
        let client = schema.connect().await?;
        client.batch_execute(INSTALL).await?;
        Ok(Self { client })
    }

    /// How often any lease was acquired.
    pub(crate) async fn acquisitions(&self) -> Result<i64> {
        let count = "SELECT count(DISTINCT (name, fence)) FROM lease_log";
        Ok(self.client.query_one(count, &[]).await?.get(0))
    }

    /// Judges what was logged, and prints how much that is.
    #[expect(
        clippy::print_stdout,
        reason = "the counts are part of what a fault test says"
    )]
    pub(crate) async fn judge(&self) -> Result<()> {
        let wrong = self.client.query(WRONG, &[]).await?;
        ensure!(wrong.is_empty(), "two holders of one lease: {wrong:?}");
        println!(
            "{} acquisitions of leases, none too early",
            self.acquisitions().await?
        );
        Ok(())
    }
}
