use std::collections::HashMap;

use async_trait::async_trait;
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname};
use rusqlite::{Connection, Row, ToSql, named_params};

use super::device::{self, columns};
use super::error::Failure;
use super::{SqliteStore, cause};
use crate::{CauseId, CauseRow, Device, DeviceId, DeviceQuery, Fleet, StoreError, column};

const OPERATION: &str = "read devices";

const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes FROM device \
     WHERE hostname > :after \
        AND (:synchronized IS NULL OR (synced_generation = desired_generation) = :synchronized) \
        AND (:state IS NULL OR state = :state) \
        AND (:device_type IS NULL OR device_type = :device_type) \
        AND (:group IS NULL OR EXISTS (SELECT 1 FROM group_member \
            JOIN device_group ON device_group.id = group_member.group_id \
            WHERE group_member.device_id = device.id AND device_group.name = :group)) \
     ORDER BY hostname LIMIT :limit"
);

const SELECT_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes FROM device WHERE hostname = :hostname"
);

const SELECT_GROUPS: &str = "\
    SELECT device_group.name FROM group_member JOIN device_group ON device_group.id = group_member.group_id \
    WHERE group_member.device_id = ?1 ORDER BY device_group.name";

#[async_trait]
impl Fleet for SqliteStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        let query = query.clone();
        self.read_in(OPERATION, move |connection| {
            let parameters = named_params! {
                // No hostname is empty.
                ":after": query.after.as_ref().map_or("", Hostname::as_str),
                ":synchronized": query.synchronized,
                ":state": query.state.map(DeviceState::as_str),
                ":device_type": query.device_type.map(DeviceType::as_str),
                ":group": query.group.as_ref().map(GroupName::as_str),
                ":limit": query.limit,
            };
            devices(connection, SELECT, parameters)
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

    // Groups and causes are looked up one by one: in the same process, a join would do the same.

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

fn device(row: &Row<'_>) -> Result<Device, Failure> {
    let open_causes = device::read_open_causes(&row.get::<_, String>(21)?)?;
    let open_causes = open_causes.into_iter().map(CauseId).collect();
    Ok(device::read(row)?.stored(DeviceId(row.get(0)?), open_causes))
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
