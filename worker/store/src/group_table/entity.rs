//! Reads groups without the numbers of their members.

use lockstep_protocol::GroupName;

use super::READ;
use super::query::select;
use crate::entity_table::pages;
use crate::sql::{Row, SqlDatabase, Value};
use crate::{GroupEntity, GroupRuleSummary, Page, Pages, StoreError, column};

const PAGE: &str = select!("name > $1 ORDER BY name LIMIT $2");

const ONE: &str = select!("name = $1");

/// The columns that [`read`] expects.
macro_rules! columns {
    () => {
        "device_group.id, device_group.name, device_group.location, device_group.regex, device_group.priority, device_group.position"
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM device_group WHERE id IN (SELECT id FROM {rows $1: id bigint} AS wanted)"
);

const OF_DEVICES: &str = concat!(
    "SELECT ",
    columns!(),
    ", wanted.id FROM {rows $1: id bigint} AS wanted {pages device_group.id: SELECT paged.id FROM group_member AS member \
        JOIN device_group AS paged ON paged.id = member.group_id \
        WHERE member.device_id = wanted.id AND paged.name > $2 ORDER BY paged.name LIMIT $3} ORDER BY device_group.name"
);

/// One page of the groups, by name.
pub(crate) async fn page<D: SqlDatabase>(
    database: &D,
    page: &Page<String>,
) -> Result<Vec<GroupEntity>, StoreError> {
    let rows = database.read(READ, PAGE, parameters(page).into()).await?;
    rows.iter().map(read).collect()
}

/// The group with this name.
pub(crate) async fn by_name<D: SqlDatabase>(
    database: &D,
    name: &GroupName,
) -> Result<Option<GroupEntity>, StoreError> {
    let rows = database.read(READ, ONE, vec![name.as_str().into()]).await?;
    rows.first().map(read).transpose()
}

/// The groups with the ids in the parameter.
pub(crate) async fn by_id<D: SqlDatabase>(database: &D, ids: Value) -> Result<Vec<GroupEntity>, StoreError> {
    let rows = database.read_planned_for_now(READ, BY_ID, vec![ids]).await?;
    rows.iter().map(read).collect()
}

/// A page of the groups of each of the devices in the parameter.
pub(crate) async fn of_devices<D: SqlDatabase>(
    database: &D,
    devices: Value,
    page: &Page<String>,
) -> Result<Pages<GroupEntity>, StoreError> {
    let [after, limit] = parameters(page);
    let parameters = vec![devices, after, limit];
    let rows = database
        .read_planned_for_now(READ, OF_DEVICES, parameters)
        .await?;
    pages(&rows, |row| Ok((row.number("wanted.id", 6)?, read(row)?)))
}

/// No name is empty.
fn parameters(page: &Page<String>) -> [Value; 2] {
    [
        page.after.as_deref().unwrap_or_default().into(),
        page.limit.into(),
    ]
}

pub(super) fn read(row: &Row) -> Result<GroupEntity, StoreError> {
    let position = row.optional_number("device_group.position", 5)?;
    let rule = match position {
        None => None,
        Some(position) => Some(GroupRuleSummary {
            regex: row.optional_text("device_group.regex", 3)?,
            hostnames: 0,
            priority: row.number("device_group.priority", 4)?,
            position,
        }),
    };
    Ok(GroupEntity {
        id: row.optional_number("device_group.id", 0)?,
        name: column::name("device_group.name", row.text("device_group.name", 1)?)?,
        location: row.optional_boolean("device_group.location", 2)?,
        rule,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(crate) const OF_MANY: &[&str] = &[BY_ID, OF_DEVICES];
