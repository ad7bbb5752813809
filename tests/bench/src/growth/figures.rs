//! What the database says about its tables.

use crate::scene::Scene;

/// Accesses to pages of the tables `device`, `inbox` and `cause`, and of their indexes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accesses {
    found: i64,
    read: i64,
}

impl Accesses {
    /// All so far.
    ///
    /// # Errors
    /// The database rejects the query.
    pub(super) async fn of(scene: &Scene) -> anyhow::Result<Self> {
        const ACCESSES: &str = "\
            SELECT CAST(sum(heap_blks_hit + idx_blks_hit) AS bigint), CAST(sum(heap_blks_read + idx_blks_read) AS bigint) \
            FROM pg_statio_user_tables \
            WHERE schemaname = current_schema() AND relname IN ('device', 'inbox', 'cause')";
        let row = scene.schema.connect().await?.query_one(ACCESSES, &[]).await?;
        Ok(Self {
            found: row.get(0),
            read: row.get(1),
        })
    }

    /// How many pages per event were not in the buffers of the database since then, of how many that were accessed.
    pub(super) fn since(self, before: Self, events: u32) -> (f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "there are fewer accesses in a run")]
        let per_event = |count: i64| count as f64 / f64::from(events);
        let read = per_event(self.read - before.read);
        (read, read + per_event(self.found - before.found))
    }
}

/// The size of the tables and of their indexes, in MiB.
///
/// # Errors
/// The database rejects the query.
pub(super) async fn sizes(scene: &Scene) -> anyhow::Result<Vec<(String, f64)>> {
    const SIZES: &str = "\
        SELECT relname::text, pg_table_size(oid) / 1048576::double precision FROM pg_class \
        WHERE relnamespace = to_regnamespace(current_schema()) AND relname IN ('device', 'inbox') \
        UNION ALL \
        SELECT own.relname::text, pg_relation_size(own.oid) / 1048576::double precision FROM pg_index \
        JOIN pg_class AS own ON own.oid = indexrelid JOIN pg_class AS its ON its.oid = indrelid \
        WHERE its.relnamespace = to_regnamespace(current_schema()) AND its.relname IN ('device', 'inbox') \
        ORDER BY 1";
    let rows = scene.schema.connect().await?.query(SIZES, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The sum of the generations of all devices, which each event increments.
///
/// # Errors
/// The database rejects the query.
pub(super) async fn generations(scene: &Scene) -> anyhow::Result<i64> {
    const SUM: &str = "SELECT CAST(sum(desired_generation) AS bigint) FROM device";
    Ok(scene.schema.connect().await?.query_one(SUM, &[]).await?.get(0))
}
