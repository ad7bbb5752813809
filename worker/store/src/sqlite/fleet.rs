use std::collections::HashMap;

use async_trait::async_trait;
use lockstep_protocol::{GroupName, Hostname};
use rusqlite::{Connection, Row, ToSql, named_params};

use super::device::{self, columns};
use super::error::Failure;
use super::history::rows;
use super::{SqliteStore, age, cause};
use crate::fleet::DeviceFilters;
use crate::{
    AgeQuery, Ages, CauseId, CauseRow, Device, DeviceCount, DeviceId, DeviceQuery, Fleet, Group, GroupQuery,
    HistoryEntry, HistoryPosition, StoreError, Surroundings, column, device_counts, group_table, history,
    surroundings,
};

const OPERATION: &str = "read devices";

macro_rules! filters {
    () => {
        "(:synchronized IS NULL OR (synced_generation = desired_generation) = :synchronized) \
            AND (:state IS NULL OR state = :state) \
            AND (:device_type IS NULL OR device_type = :device_type) \
            AND (:group IS NULL OR id IN (SELECT group_member.device_id FROM group_member \
                JOIN device_group ON device_group.id = group_member.group_id WHERE device_group.name = :group))"
    };
}

const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, primary_group, checked_at FROM device WHERE ",
    filters!(),
    " AND hostname > :after ORDER BY hostname LIMIT :limit"
);

/// Matches among the first devices by hostname.
const SELECT_TRIED: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, primary_group, checked_at FROM (SELECT * FROM device ORDER BY hostname LIMIT :tried) AS device WHERE ",
    filters!(),
    " ORDER BY hostname LIMIT :limit"
);

/// See [`DeviceQuery::begins_filtered`]. The plus sign keeps SQLite from going through the index.
const SELECT_FIRST: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, primary_group, checked_at FROM device WHERE ",
    filters!(),
    " ORDER BY +hostname LIMIT :limit"
);

const COUNT: &str = concat!("SELECT count(*) FROM device WHERE ", filters!());

const SELECT_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, primary_group, checked_at FROM device WHERE hostname = :hostname"
);

const SELECT_BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, primary_group, checked_at FROM device WHERE id = :id"
);

const SELECT_GROUPS: &str = "\
    SELECT device_group.name FROM group_member JOIN device_group ON device_group.id = group_member.group_id \
    WHERE group_member.device_id = ?1 ORDER BY device_group.name";

#[async_trait]
impl Fleet for SqliteStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        let query = query.clone();
        self.read_in(OPERATION, move |connection| {
            let filters = DeviceFilters::of(&query);
            let mut parameters = parameters(&filters);
            parameters.push((":limit", &query.limit));
            let tried = query.tried();
            // No hostname is empty.
            let after = query.after.as_ref().map_or("", Hostname::as_str);
            if query.begins_filtered() {
                parameters.push((":tried", &tried));
                let found = devices(connection, SELECT_TRIED, &parameters)?;
                if found.len() as u64 == u64::from(query.limit) {
                    return Ok(found);
                }
                parameters.pop();
                return devices(connection, SELECT_FIRST, &parameters);
            }
            parameters.push((":after", &after));
            devices(connection, SELECT, &parameters)
        })
        .await
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64, StoreError> {
        let query = query.clone();
        self.read_in("count devices", move |connection| {
            let filters = DeviceFilters::of(&query);
            let mut select = connection.prepare_cached(COUNT)?;
            let count: i64 = select.query_row(parameters(&filters).as_slice(), |row| row.get(0))?;
            Ok(column::count(count))
        })
        .await
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError> {
        let hostname = hostname.clone();
        let mut devices = self
            .read_in(OPERATION, move |connection| {
                devices(
                    connection,
                    SELECT_ONE,
                    named_params! { ":hostname": hostname.as_str() },
                )
            })
            .await?;
        Ok(devices.pop())
    }

    // Devices, groups and causes are looked up one by one: in the same process, a join would do the same.

    async fn devices_by_id(&self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError> {
        let ids = ids.to_vec();
        self.read_in(OPERATION, move |connection| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(devices(connection, SELECT_BY_ID, named_params! { ":id": id.0 })?);
            }
            Ok(found)
        })
        .await
    }

    async fn groups_of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Vec<GroupName>>, StoreError> {
        let devices = devices.to_vec();
        self.read_in(OPERATION, move |connection| {
            let mut found = HashMap::new();
            for device in devices {
                let groups = groups(connection, device)?;
                if !groups.is_empty() {
                    found.insert(device, groups);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Vec<Group>, StoreError> {
        group_table::list(self, query).await
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, StoreError> {
        group_table::find(self, name).await
    }

    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        let ids = ids.to_vec();
        self.read_in(OPERATION, move |connection| {
            let mut found = HashMap::new();
            for id in ids {
                found.extend(cause::find(connection, id)?.map(|cause| (id, cause)));
            }
            Ok(found)
        })
        .await
    }

    async fn ages(&self, query: &AgeQuery) -> Result<Ages, StoreError> {
        age::ages(self, query).await
    }

    async fn surroundings(&self, hostname: &Hostname) -> Result<Option<Surroundings>, StoreError> {
        surroundings::read(self, hostname).await
    }

    async fn device_counts(&self) -> Result<Vec<DeviceCount>, StoreError> {
        device_counts::read(self).await
    }
    async fn detailed_causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        let ids = ids.to_vec();
        self.read_in(OPERATION, move |connection| detailed(connection, &ids))
            .await
    }

    async fn history(
        &self,
        device: &Device,
        before: Option<HistoryPosition>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let device = device.clone();
        self.read_in("read a history", move |connection| {
            let rows = rows(connection, device.id.0, before.map(HistoryPosition::at), limit)?;
            let causes = detailed(connection, &history::causes(&rows, &device))?;
            Ok(history::merge(rows, causes, before, limit))
        })
        .await
    }
}

fn detailed(connection: &Connection, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, Failure> {
    let mut found = HashMap::new();
    for id in ids {
        found.extend(cause::find_detailed(connection, *id)?.map(|cause| (*id, cause)));
    }
    Ok(found)
}

/// The parameters of `filters!`.
fn parameters<'a>(filters: &'a DeviceFilters<'_>) -> Vec<(&'static str, &'a dyn ToSql)> {
    vec![
        (":synchronized", &filters.synchronized),
        (":state", &filters.state),
        (":device_type", &filters.device_type),
        (":group", &filters.group),
    ]
}

fn devices(
    connection: &Connection,
    statement: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> Result<Vec<Device>, Failure> {
    let mut select = connection.prepare_cached(statement)?;
    let mut rows = select.query(parameters)?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push(device(row)?);
    }
    Ok(devices)
}

pub(super) fn device(row: &Row<'_>) -> Result<Device, Failure> {
    let open_causes = device::read_open_causes(&row.get::<_, String>(23)?)?;
    let open_causes = open_causes.into_iter().map(CauseId).collect();
    let primary_group = column::optional_name("device.primary_group", row.get(24)?)?;
    let checked_at: Option<i64> = row.get(25)?;
    let checked_at = checked_at.map(|time| column::read_microseconds("device.checked_at", time));
    Ok(device::read(row)?.stored(
        DeviceId(row.get(0)?),
        open_causes,
        primary_group,
        checked_at.transpose()?,
    ))
}

fn groups(connection: &Connection, device: DeviceId) -> Result<Vec<GroupName>, Failure> {
    let mut select = connection.prepare_cached(SELECT_GROUPS)?;
    let mut rows = select.query([device.0])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        groups.push(column::name("device_group.name", row.get(0)?)?);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::super::sql::query_plan;
    use super::*;

    /// A page starts at its key, and needs no sorting. Only the first one with a filter reads all devices.
    #[test]
    fn pages_go_on_by_the_index_of_hostnames() {
        let has = |plan: &[String], line: &str| plan.iter().any(|found| found == line);
        let members = "SEARCH group_member USING COVERING INDEX group_member_group (group_id=?)";
        let sorting = "USE TEMP B-TREE FOR ORDER BY";
        let page = query_plan(SELECT);
        assert_eq!(
            page[0],
            "SEARCH device USING INDEX sqlite_autoindex_device_1 (hostname>?)"
        );
        assert!(has(&page, members) && !has(&page, sorting), "{page:?}");
        let first = query_plan(SELECT_FIRST);
        assert_eq!(first[0], "SCAN device");
        assert!(has(&first, members) && has(&first, sorting), "{first:?}");
    }
}
