//! Writes the names that a batch changes: it removes and renames devices, and remembers their former names. On both databases.

use lockstep_protocol::Hostname;

use super::sql::{SqlSession, Value};
use super::{Facts, StoreError, column, execution_table};

const WRITE: &str = "rename and remove devices";

/// What belongs to the device goes with it: interfaces, links, memberships and its history. Clients stay without their interface.
const REMOVE: &str = "DELETE FROM device WHERE id = $1";

const RENAME: &str = "UPDATE device SET hostname = $2, hostname_folded = $3 WHERE id = $1";

const FORGET: &str = "DELETE FROM former_hostname WHERE folded = $1";

const REMEMBER: &str = "\
    INSERT INTO former_hostname (folded, hostname, device_id, version_time, version_id, at) \
    VALUES ($1, $2, (SELECT id FROM device WHERE hostname = $3), $4, $5, $6) \
    ON CONFLICT (folded) DO UPDATE SET hostname = excluded.hostname, device_id = excluded.device_id, \
        version_time = excluded.version_time, version_id = excluded.version_id, at = excluded.at";

/// Removes devices, and renames others one by one: each name is free when a device gets it. Runs before all other writes, which refer to
/// devices by name.
pub(super) async fn change(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    let mut removed = facts.removed().to_vec();
    removed.sort_unstable();
    execution_table::device_name::remove(session, &removed).await?;
    let removed = removed.into_iter().map(|id| vec![id.into()]).collect();
    session.execute_each(WRITE, REMOVE, removed).await?;
    execution_table::device_name::rename(session, facts.renamed()).await?;
    let renamed = facts.renamed().iter().map(|device| {
        let (to, folded) = (device.to.as_str(), device.to.folded());
        vec![device.id.into(), to.into(), folded.into()]
    });
    session.execute_each(WRITE, RENAME, renamed.collect()).await?;
    Ok(())
}

/// Remembers former hostnames, and forgets those that a device has again. Runs when all devices are written.
pub(super) async fn remember(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    let taken = facts.taken_hostnames().iter();
    let taken = taken.map(|folded| vec![folded.as_str().into()]).collect();
    session.execute_each(WRITE, FORGET, taken).await?;
    let former = facts.new_former_hostnames().into_iter().map(|(folded, former)| {
        let current = former.current.as_ref().map(Hostname::as_str);
        vec![
            Value::from(folded),
            former.hostname.as_str().into(),
            current.into(),
            column::version_time(&former.version).into(),
            former.version.id.as_str().into(),
            former.at.into(),
        ]
    });
    session.execute_each(WRITE, REMEMBER, former.collect()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index() {
        for (statement, expected) in [
            (REMOVE, "SEARCH device USING INTEGER PRIMARY KEY (rowid=?)"),
            (RENAME, "SEARCH device USING INTEGER PRIMARY KEY (rowid=?)"),
            (FORGET, "SEARCH former_hostname USING PRIMARY KEY (folded=?)"),
        ] {
            assert_eq!(query_plan(statement)[0], expected, "{statement}");
        }
    }
}
