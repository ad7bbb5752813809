//! Locks the rules of groups. The locks are those of tables, which are given in the order in which they are asked for: imports that never
//! pause do not keep a change of the rules waiting.

use super::flag;
use super::session::Session;
use crate::group_table::{self, KnownRules};
use crate::{Facts, Keys, StoreError};

const OPERATION: &str = "lock the rules of groups";

const LOCK_TO_READ: &str = "LOCK TABLE group_rules IN SHARE MODE";
const LOCK_TO_WRITE: &str = "LOCK TABLE group_rules IN EXCLUSIVE MODE";

/// Adds the rules to the facts, or replaces them, as the keys say. Runs before devices are locked. A change of primary groups locks them
/// all, only at its end.
pub(super) async fn lock(
    session: &Session,
    keys: &Keys,
    known: &KnownRules,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    if let Some(new) = &keys.new_group_rules {
        let lock = session.batch_execute(LOCK_TO_WRITE);
        session.answer(OPERATION, lock).await?;
        let primaries = group_table::replace(session, new).await?;
        if !primaries.is_empty() {
            let lock = session.batch_execute(flag::LOCK_ALL);
            session.answer(OPERATION, lock).await?;
            group_table::write_primaries(session, &primaries).await?;
        }
    } else if keys.group_rules {
        let lock = session.batch_execute(LOCK_TO_READ);
        session.answer(OPERATION, lock).await?;
        if let Some(rules) = known.read(session).await? {
            facts.set_group_rules(rules);
        }
    }
    Ok(())
}
