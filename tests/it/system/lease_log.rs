//! Logs all changes of leases in the database, and checks that fences grow and that no two holders overlap.

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
    -- With the rights of its owner: workers have none at the log.
    CREATE FUNCTION log_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
        INSERT INTO lease_log (name, owner, fence, until, at)
        VALUES (new.name, new.owner, new.fence, new.until, clock_timestamp());
        RETURN new;
    END $$;
    CREATE TRIGGER log_lease AFTER INSERT OR UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION log_lease();";

/// Each change with the previous one. A change by the same holder keeps the fence; a new holder has the next fence, and begins
/// after the previous lease has expired.
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
    /// Installs the trigger.
    pub(crate) async fn install(schema: &Schema) -> Result<Self> {
        let client = schema.connect().await?;
        client.batch_execute(INSTALL).await?;
        Ok(Self { client })
    }

    /// Number of acquisitions of any lease.
    pub(crate) async fn acquisitions(&self) -> Result<i64> {
        let count = "SELECT count(DISTINCT (name, fence)) FROM lease_log";
        Ok(self.client.query_one(count, &[]).await?.get(0))
    }

    /// Checks the log and prints the number of acquisitions.
    #[expect(clippy::print_stdout, reason = "fault tests print their counts")]
    pub(crate) async fn check(&self) -> Result<()> {
        let wrong = self.client.query(WRONG, &[]).await?;
        ensure!(wrong.is_empty(), "two holders of one lease: {wrong:?}");
        println!(
            "{} acquisitions of leases, no overlap",
            self.acquisitions().await?
        );
        Ok(())
    }
}
