//! The devices of groups.

use super::{READ, numbers, pages};
use crate::sql::SqlDatabase;
use crate::{Page, Pages, StoreError};

const ALL: &str = "SELECT id FROM device WHERE id > $1 ORDER BY id LIMIT $2";

const OF_GROUPS: &str = "\
    SELECT wanted.id, group_member.device_id FROM {rows $1: id bigint} AS wanted \
    {pages group_member.device_id: SELECT paged.device_id FROM group_member AS paged \
        WHERE paged.group_id = wanted.id AND paged.device_id > $2 ORDER BY paged.device_id LIMIT $3} \
    WHERE group_member.group_id = wanted.id ORDER BY group_member.device_id";

pub(super) async fn all<D: SqlDatabase>(database: &D, page: &Page<u64>) -> Result<Vec<u64>, StoreError> {
    let parameters = vec![page.after.unwrap_or_default().into(), page.limit.into()];
    let rows = database.read_planned_for_now(READ, ALL, parameters).await?;
    rows.iter().map(|row| row.number("device.id", 0)).collect()
}

pub(super) async fn of_groups<D: SqlDatabase>(
    database: &D,
    groups: &[u64],
    page: &Page<u64>,
) -> Result<Pages<u64>, StoreError> {
    let after = page.after.unwrap_or_default();
    let parameters = vec![numbers(groups), after.into(), page.limit.into()];
    let rows = database.read_planned_for_now(READ, OF_GROUPS, parameters).await?;
    pages(&rows, |row| {
        let device = row.number("group_member.device_id", 1)?;
        Ok((row.number("wanted.id", 0)?, device))
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[OF_GROUPS];

/// The pages that are one range of an index, and how they are read.
#[cfg(test)]
pub(super) const PAGES: &[(&str, &str)] = &[(ALL, "device USING INTEGER PRIMARY KEY (rowid>?)")];
