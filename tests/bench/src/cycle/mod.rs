//! Measures the run cycle: ends of elements that complete stages, executions with all steps, and sweeps of CloudVision by message.

mod joins;
mod levels;
mod sweeps;

use crate::scene::Host;
use crate::table::Table;

/// Adds all rows about the run cycle. The sizes are the number of elements for joins, and of tasks for sweeps.
///
/// # Errors
/// A server rejects a request, or a result is missing.
pub(crate) async fn measure(
    host: &Host,
    (elements, tasks): (u32, usize),
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    joins::measure(host, elements, rounds, table).await?;
    levels::measure(host, rounds, table).await?;
    sweeps::measure(host, tasks, rounds, table).await
}
