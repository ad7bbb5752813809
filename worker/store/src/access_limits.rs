//! Compares what a command concerns with the groups of devices that its sender is limited to, on both databases.

use std::collections::BTreeSet;

use lockstep_protocol::access_limits::Reach;
use lockstep_protocol::{AccessLimits, GroupName, Hostname, access_limits};
use serde_json::json;

use super::sql::{Row, SqlSession, Value, rows};
use super::{DEFAULT_GROUP, Facts, Keys, StoreError, column};

const READ: &str = "read what a sender is limited to";

/// The most names outside of the limits that are read.
pub(super) const MOST_OUTSIDE: u32 = 20;

/// Those of each token and of the last login at the identity provider.
const LIMITS: &str = "\
    SELECT device_groups, tasks, active FROM ( \
        SELECT binding.device_groups, binding.tasks, \
            token.revoked_at IS NULL AND (token.expires_at IS NULL OR token.expires_at > {now}) AS active, binding.token AS place \
        FROM access_binding AS binding JOIN access_token AS token ON token.name = binding.token \
        WHERE binding.principal = $1 \
        UNION ALL \
        SELECT device_groups, tasks, expires_at > {now}, '' FROM oidc_login WHERE principal = $1) AS limits \
    ORDER BY place";

/// Of these hostnames, those of devices that are members of none of the groups, or that do not exist.
const DEVICES_OUTSIDE: &str = "\
    SELECT given.name FROM {rows $1: name text} AS given WHERE NOT EXISTS ( \
        SELECT 1 FROM device JOIN group_member AS member ON member.device_id = device.id \
            JOIN device_group ON device_group.id = member.group_id \
            JOIN {rows $2: name text} AS allowed ON allowed.name = device_group.name \
        WHERE device.hostname = given.name) \
    ORDER BY given.name";

/// Elements of an execution on other groups, on the fleet, or on devices that are members of none of the groups. With a controller, the devices
/// behind it count, too.
const ELEMENTS_OUTSIDE: &str = "\
    SELECT element.name FROM element WHERE element.execution = $1 AND NOT CASE element.entity_type \
        WHEN 'GROUP' THEN EXISTS ( \
            SELECT 1 FROM {rows $2: name text} AS allowed WHERE allowed.name = element.name) \
        WHEN 'DEVICE' THEN element.device_id IS NOT NULL AND NOT EXISTS ( \
            SELECT 1 FROM device WHERE (device.id = element.device_id OR device.controller_id = element.device_id) \
                AND NOT EXISTS ( \
                    SELECT 1 FROM group_member AS member JOIN device_group ON device_group.id = member.group_id \
                        JOIN {rows $2: name text} AS allowed ON allowed.name = device_group.name \
                    WHERE member.device_id = device.id)) \
        ELSE false END \
    ORDER BY element.name LIMIT $3";

/// What a principal is limited to: see [`AccessTokens::access_limits`](super::AccessTokens::access_limits).
pub(super) async fn of_principal(
    session: &dyn SqlSession,
    principal: &str,
) -> Result<Vec<AccessLimits>, StoreError> {
    let rows = session.query(READ, LIMITS, vec![principal.into()]).await?;
    let mut limits = Vec::with_capacity(rows.len());
    for row in &rows {
        let active = row.boolean("access_token.revoked_at", 2)?;
        limits.push((active, read(row, 0)?));
    }
    let has_active = limits.iter().any(|(active, _)| *active);
    limits.retain(|(active, _)| *active || !has_active);
    Ok(limits.into_iter().map(|(_, limits)| limits).collect())
}

/// Reads, for those who command devices, which of these devices are outside of their limits.
pub(super) async fn read_facts(
    session: &dyn SqlSession,
    keys: &Keys,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let principals: BTreeSet<&str> = keys.commanded.iter().map(|(who, _)| who.as_str()).collect();
    for principal in principals {
        let limits = of_principal(session, principal).await?;
        let of_principal = keys.commanded.iter().filter(|(who, _)| who == principal);
        let commanded: Vec<&Hostname> = of_principal.map(|(_, hostname)| hostname).collect();
        let allowed = match access_limits::reach(&limits, None) {
            Reach::Everything => continue,
            Reach::Groups(groups) if groups.iter().any(is_everything) => continue,
            Reach::Groups(groups) => groups,
            Reach::Nothing => BTreeSet::new(),
        };
        let hostnames = rows(commanded.iter().map(|hostname| vec![json!(hostname)]));
        let found = session
            .query(READ, DEVICES_OUTSIDE, vec![hostnames, names(&allowed)])
            .await?;
        for row in &found {
            let hostname = column::name("device.hostname", row.text("device.hostname", 0)?)?;
            facts.add_outside(principal, hostname);
        }
    }
    Ok(())
}

/// The names of elements of an execution that these groups do not include, at most [`MOST_OUTSIDE`].
pub(super) async fn elements_outside(
    session: &dyn SqlSession,
    execution: u64,
    groups: &BTreeSet<GroupName>,
) -> Result<Vec<String>, StoreError> {
    if groups.iter().any(is_everything) {
        return Ok(Vec::new());
    }
    let parameters = vec![execution.into(), names(groups), MOST_OUTSIDE.into()];
    let found = session.query(READ, ELEMENTS_OUTSIDE, parameters).await?;
    found.iter().map(|row| row.text("element.name", 0)).collect()
}

/// Every device is a member of this group.
fn is_everything(group: &GroupName) -> bool {
    group.as_str() == DEFAULT_GROUP
}

fn names(groups: &BTreeSet<GroupName>) -> Value {
    rows(groups.iter().map(|group| vec![json!(group)]))
}

/// Limits, whose columns begin at this one.
pub(super) fn read(row: &Row, index: usize) -> Result<AccessLimits, StoreError> {
    let groups = row.text("device_groups", index)?;
    let tasks = row.text("tasks", index + 1)?;
    Ok(AccessLimits {
        groups: column::json("device_groups", &groups)?,
        tasks: column::json("tasks", &tasks)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_search_tables_by_an_index() {
        for (statement, expected) in [
            (LIMITS, "SEARCH binding USING PRIMARY KEY (principal=?)"),
            (DEVICES_OUTSIDE, "SEARCH device USING"),
            (
                ELEMENTS_OUTSIDE,
                "SEARCH element USING INDEX element_execution (execution=?)",
            ),
        ] {
            let plan = query_plan(statement);
            assert!(plan.iter().any(|line| line.contains(expected)), "{plan:?}");
        }
    }
}
