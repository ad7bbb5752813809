//! How much a run writes to the write-ahead log of the database.

use crate::scene::Scene;

/// A position in the log.
#[derive(Clone, Debug)]
pub(crate) struct Position(String);

/// What was written since a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// Images of whole pages among it: each page has one when it changes for the first time after a checkpoint. `None` if the
    /// extension `pg_walinspect` is not installed, or if the log does not reach back so far.
    pub(crate) images: Option<u64>,
}

/// The current position.
///
/// # Errors
/// The database rejects the query.
pub(crate) async fn position(scene: &Scene) -> anyhow::Result<Position> {
    let client = scene.schema.connect().await?;
    let position = client.query_one("SELECT CAST(pg_current_wal_lsn() AS text)", &[]);
    Ok(Position(position.await?.get(0)))
}

/// What was written since then, by all sessions.
///
/// # Errors
/// The database rejects the query.
pub(crate) async fn written_since(scene: &Scene, position: &Position) -> anyhow::Result<Written> {
    const BYTES: &str =
        "SELECT CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), CAST(CAST($1 AS text) AS pg_lsn)) AS bigint)";
    const IMAGES: &str = "\
        SELECT CAST(sum(fpi_size) AS bigint) \
        FROM public.pg_get_wal_stats(CAST(CAST($1 AS text) AS pg_lsn), pg_current_wal_flush_lsn())";
    let client = scene.schema.connect().await?;
    let bytes: i64 = client.query_one(BYTES, &[&position.0]).await?.get(0);
    let images = async {
        let extension = "CREATE EXTENSION IF NOT EXISTS pg_walinspect SCHEMA public";
        client.batch_execute(extension).await.ok()?;
        let images = client.query_one(IMAGES, &[&position.0]).await.ok()?;
        u64::try_from(images.get::<_, i64>(0)).ok()
    };
    Ok(Written {
        bytes: u64::try_from(bytes)?,
        images: images.await,
    })
}
