//! Measures executions: how fast elements begin and end in the store, and pages of results.

mod rows;

use crate::scene::Host;
use crate::table::Table;

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
    rows::pages(host, rounds, table).await
}
