//! What the elements of a new sync are bound to. One statement is one snapshot: no element has a commit or a generation that is newer than
//! that of another one.

use super::WRITE;
use crate::sql::SqlSession;
use crate::{StoreError, SyncBound};

/// The accepted commits, and the generations that the devices are to get.
const TO_ACCEPTED: &str = "\
    INSERT INTO sync_element (element, execution, device_id, generation, settings_commit, templates_commit) \
    SELECT element.number, element.execution, device.id, device.desired_generation, \
        (SELECT accepted FROM repository WHERE name = 'settings'), (SELECT accepted FROM repository WHERE name = 'templates') \
    FROM element JOIN device ON device.id = element.device_id WHERE element.execution = $1";

/// What the elements of the plan `$2` on the same devices are bound to, and the difference that they found.
const TO_PLAN: &str = "\
    INSERT INTO sync_element (element, execution, device_id, generation, settings_commit, templates_commit, approved, restores) \
    SELECT element.number, element.execution, planned.device_id, planned.generation, planned.settings_commit, planned.templates_commit, \
        planned.hash, planned.restores \
    FROM element JOIN sync_element AS planned ON planned.device_id = element.device_id \
    WHERE element.execution = $1 AND planned.execution = $2";

/// The configurations from before the pushes of the execution `$2`. Nothing is rendered.
const TO_PREVIOUS: &str = "\
    INSERT INTO sync_element (element, execution, device_id, generation, restores) \
    SELECT element.number, element.execution, device.id, device.desired_generation, pushed.element \
    FROM element JOIN device ON device.id = element.device_id JOIN sync_element AS pushed ON pushed.device_id = device.id \
    WHERE element.execution = $1 AND pushed.execution = $2 AND pushed.previous IS NOT NULL";

/// Binds the elements of an execution, in the transaction that inserts them.
pub(crate) async fn bind(
    session: &dyn SqlSession,
    execution: u64,
    bound: SyncBound,
) -> Result<(), StoreError> {
    let (statement, of) = match bound {
        SyncBound::Accepted => (TO_ACCEPTED, None),
        SyncBound::Plan(plan) => (TO_PLAN, Some(plan)),
        SyncBound::PreviousOf(pushed) => (TO_PREVIOUS, Some(pushed)),
    };
    let mut parameters = vec![execution.into()];
    parameters.extend(of.map(Into::into));
    session.execute_each(WRITE, statement, vec![parameters]).await?;
    Ok(())
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[TO_ACCEPTED, TO_PLAN, TO_PREVIOUS];
