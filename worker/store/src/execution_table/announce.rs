//! Ended elements whose end is to be announced.

use std::collections::BTreeSet;

use super::{READ, element, execute, numbers};
use crate::sql::SqlSession;
use crate::{ElementRow, StoreError};

const OVERDUE: &str = concat!(
    "SELECT ",
    element::columns!(),
    " FROM element WHERE due_at <= (SELECT {now}) AND outcome <> 'open' ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED"
);

const LISTED: &str = concat!(
    "SELECT ",
    element::columns!(),
    " FROM element WHERE due_at IS NOT NULL AND outcome <> 'open' \
        AND number IN (SELECT number FROM {rows $2: number bigint} AS listed) \
     ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED"
);

const ANNOUNCED: &str = "\
    UPDATE element SET due_at = NULL WHERE due_at IS NOT NULL AND outcome <> 'open' \
        AND number IN (SELECT number FROM {rows $1: number bigint} AS listed)";

pub(super) async fn unannounced(
    session: &dyn SqlSession,
    elements: Option<&BTreeSet<u64>>,
    limit: u32,
) -> Result<Vec<ElementRow>, StoreError> {
    let rows = match elements {
        None => session.query(READ, OVERDUE, vec![limit.into()]).await?,
        Some(elements) => {
            let parameters = vec![limit.into(), numbers(elements)];
            session.query(READ, LISTED, parameters).await?
        }
    };
    rows.iter().map(element::read).collect()
}

pub(super) async fn announced(session: &dyn SqlSession, elements: &[u64]) -> Result<(), StoreError> {
    if !elements.is_empty() {
        execute(session, ANNOUNCED, vec![numbers(elements)]).await?;
    }
    Ok(())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[OVERDUE, LISTED, ANNOUNCED];
