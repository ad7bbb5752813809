//! Reads groups with the numbers of their members.

use std::collections::{BTreeSet, HashMap};

use lockstep_protocol::GroupName;
use serde_json::json;

use super::{READ, entity};
use crate::sql::{Row, SqlDatabase, rows};
use crate::{DEFAULT_GROUP, Group, GroupEntity, GroupQuery, StoreError};

/// DEFAULT exists whether or not it has a row.
macro_rules! select {
    ($condition:expr) => {
        concat!(
            "SELECT id, name, location, regex, priority, position FROM \
                (SELECT id, name, location, regex, priority, position FROM device_group \
                 UNION ALL SELECT NULL, 'DEFAULT', NULL, NULL, NULL, NULL \
                 WHERE NOT EXISTS (SELECT 1 FROM device_group WHERE name = 'DEFAULT')) AS known WHERE ",
            $condition
        )
    };
}
pub(super) use select;

const PAGE: &str = select!("name > $1 ORDER BY name LIMIT $2");
const ONE: &str = select!("name = $1");
const NAMED: &str = select!("name IN (SELECT name FROM {rows $1: name text} AS wanted)");

const MEMBERS: &str = "\
    SELECT group_id, count(*), count(*) FILTER (WHERE listed), count(*) FILTER (WHERE by_rule) FROM group_member \
    WHERE group_id IN (SELECT id FROM {rows $1: id bigint} AS page) GROUP BY group_id";

const HOSTNAMES: &str = "\
    SELECT group_id, count(*) FROM group_rule_device WHERE group_id IN (SELECT id FROM {rows $1: id bigint} AS page) GROUP BY group_id";

/// Of all groups: comparing each device with each group of the page takes longer, and there are few groups.
const PRIMARIES: &str = "\
    SELECT primary_group, count(*) FROM device WHERE primary_group IS NOT NULL GROUP BY primary_group";

const DEVICES: &str = "SELECT count(*) FROM device";

/// One page of the groups, by name.
pub(crate) async fn list<D: SqlDatabase>(database: &D, query: &GroupQuery) -> Result<Vec<Group>, StoreError> {
    // No name is empty.
    let after = query.after.as_ref().map_or("", GroupName::as_str);
    let page = vec![after.into(), query.limit.into()];
    let found = database.read(READ, PAGE, page).await?;
    counted(database, &found).await
}

/// The group with this name.
pub(crate) async fn find<D: SqlDatabase>(
    database: &D,
    name: &GroupName,
) -> Result<Option<Group>, StoreError> {
    let found = database.read(READ, ONE, vec![name.as_str().into()]).await?;
    Ok(counted(database, &found).await?.pop())
}

/// The groups with these names.
pub(crate) async fn named<D: SqlDatabase>(
    database: &D,
    names: &[GroupName],
) -> Result<Vec<Group>, StoreError> {
    let names: BTreeSet<&GroupName> = names.iter().collect();
    let names = rows(names.into_iter().map(|name| vec![json!(name)]));
    let found = database.read(READ, NAMED, vec![names]).await?;
    counted(database, &found).await
}

async fn counted<D: SqlDatabase>(database: &D, found: &[Row]) -> Result<Vec<Group>, StoreError> {
    let mut groups = found.iter().map(read).collect::<Result<Vec<Group>, _>>()?;
    let ids = || rows(groups.iter().filter_map(|group| Some(vec![json!(group.id?)])));
    let mut members: HashMap<i64, [u64; 3]> = HashMap::new();
    for row in database.read(READ, MEMBERS, vec![ids()]).await? {
        let count = |index| row.number("count", index);
        members.insert(row.integer("group_id", 0)?, [count(1)?, count(2)?, count(3)?]);
    }
    let mut hostnames: HashMap<i64, u64> = HashMap::new();
    for row in database.read(READ, HOSTNAMES, vec![ids()]).await? {
        hostnames.insert(row.integer("group_id", 0)?, row.number("count", 1)?);
    }
    let mut primaries: HashMap<String, u64> = HashMap::new();
    for row in database.read(READ, PRIMARIES, Vec::new()).await? {
        primaries.insert(row.text("device.primary_group", 0)?, row.number("count", 1)?);
    }
    for group in &mut groups {
        let id = group.id.unwrap_or_default();
        [group.members, group.listed, group.by_rule] = members.remove(&id).unwrap_or_default();
        if let Some(rule) = &mut group.rule {
            rule.hostnames = hostnames.remove(&id).unwrap_or_default();
        }
        group.primary = primaries.remove(group.name.as_str()).unwrap_or_default();
        if group.name.as_str() == DEFAULT_GROUP {
            let devices = database.read(READ, DEVICES, Vec::new()).await?;
            group.members = devices.first().map_or(Ok(0), |row| row.number("count", 0))?;
            group.by_rule = group.members;
        }
    }
    Ok(groups)
}

fn read(row: &Row) -> Result<Group, StoreError> {
    let GroupEntity {
        id: _,
        name,
        location,
        rule,
    } = entity::read(row)?;
    Ok(Group {
        id: row.optional_number("device_group.id", 0)?,
        name,
        location,
        rule,
        members: 0,
        listed: 0,
        by_rule: 0,
        primary: 0,
    })
}
