//! Measures executions: how fast elements begin and end in the store, pages of results, and whole executions on one or two workers.

mod rows;
mod runs;
mod worker;

use crate::scene::Host;
use crate::table::Table;

pub(crate) use rows::{GROUP, begin, numbers, start};
pub(crate) use runs::{OnDevices, Setup, execute, run as run_on_workers, saved};
pub(crate) use worker::{ALL_STEPS, CLUSTER, ClusterAccess, ElementWorker, connections, run};

/// Adds all rows about elements.
///
/// # Errors
/// A server rejects a request, or an element is missing.
pub(crate) async fn measure(
    host: &Host,
    elements: u32,
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    rows::ends(host, elements, rounds, table).await?;
    rows::pages(host, rounds, table).await?;
    runs::waiting(host, elements, rounds, table).await?;
    runs::empty(host, rounds, table).await
}
