//! Locks the rules of groups. The locks are those of tables, which are given in the order in which they are asked for: imports that never
//! pause do not keep a change of the rules waiting.

use super::flag;
use super::session::Session;
use crate::group_table::{self, KnownRules, NewPrimary};
use crate::{Facts, Keys, StoreError};

const OPERATION: &str = "lock the rules of groups";

const LOCK_TO_READ: &str = "LOCK TABLE group_rules IN SHARE MODE";
const LOCK_TO_WRITE: &str = "LOCK TABLE group_rules IN EXCLUSIVE MODE";

/// Adds the rules to the facts, or replaces them, as the keys say. Returns the primary groups to be written by [`write_primaries`]. Runs
/// before leases are locked: new rules of a large fleet take longer than a lease, and a locked lease cannot be renewed.
pub(super) async fn lock(
    session: &Session,
    keys: &Keys,
    known: &KnownRules,
    facts: &mut Facts,
) -> Result<Vec<NewPrimary>, StoreError> {
    if let Some(new) = &keys.new_group_rules {
        let lock = session.batch_execute(LOCK_TO_WRITE);
        session.answer(OPERATION, lock).await?;
        return group_table::replace(session, new).await;
    }
    if keys.group_rules {
        let lock = session.batch_execute(LOCK_TO_READ);
        session.answer(OPERATION, lock).await?;
        if let Some(rules) = known.read(session).await? {
            facts.set_group_rules(rules);
        }
    }
    Ok(Vec::new())
}

/// Locks all devices, and writes their primary groups, if these change.
pub(super) async fn write_primaries(session: &Session, primaries: &[NewPrimary]) -> Result<(), StoreError> {
    if primaries.is_empty() {
        return Ok(());
    }
    let lock = session.batch_execute(flag::LOCK_ALL);
    session.answer(OPERATION, lock).await?;
    group_table::write_primaries(session, primaries).await
}
