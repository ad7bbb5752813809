use std::collections::HashMap;

use async_trait::async_trait;
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname, Identity};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::device::{self, columns};
use super::microseconds::Microseconds;
use crate::{CauseId, CauseRow, Device, DeviceId, DeviceQuery, Fleet, StoreError, column};

const OPERATION: &str = "read devices";

const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes FROM device \
     WHERE hostname > $1 \
        AND ($2::boolean IS NULL OR (synced_generation = desired_generation) = $2) \
        AND ($3::text IS NULL OR state = $3) \
        AND ($4::text IS NULL OR device_type = $4) \
        AND ($5::text IS NULL OR EXISTS (SELECT FROM group_member \
            JOIN device_group ON device_group.id = group_member.group_id \
            WHERE group_member.device_id = device.id AND device_group.name = $5)) \
     ORDER BY hostname LIMIT $6"
);

const SELECT_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes FROM device WHERE hostname = $1"
);

const SELECT_GROUPS: &str = "\
    SELECT group_member.device_id, device_group.name FROM group_member \
    JOIN device_group ON device_group.id = group_member.group_id \
    WHERE group_member.device_id = ANY($1) ORDER BY device_group.name";

const SELECT_CAUSES: &str =
    "SELECT id, cause, kind, source, message_id, at, actor, note FROM cause WHERE id = ANY($1)";

#[async_trait]
impl Fleet for PostgresStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        // No hostname is empty.
        let after = query.after.as_ref().map_or("", Hostname::as_str);
        let state = query.state.map(DeviceState::as_str);
        let device_type = query.device_type.map(DeviceType::as_str);
        let group = query.group.as_ref().map(GroupName::as_str);
        let limit = i64::from(query.limit);
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&after, &query.synchronized, &state, &device_type, &group, &limit];
        let rows = self.rows(OPERATION, SELECT, &parameters).await?;
        rows.iter().map(device).collect()
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError> {
        let rows = self.rows(OPERATION, SELECT_ONE, &[&hostname.as_str()]).await?;
        rows.first().map(device).transpose()
    }

    async fn groups_of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Vec<GroupName>>, StoreError> {
        let ids: Vec<i64> = devices.iter().map(|id| id.0).collect();
        let mut groups: HashMap<DeviceId, Vec<GroupName>> = HashMap::new();
        if ids.is_empty() {
            return Ok(groups);
        }
        for row in self.rows("read groups", SELECT_GROUPS, &[&ids]).await? {
            let name = column::name("device_group.name", row.get(1))?;
            groups.entry(DeviceId(row.get(0))).or_default().push(name);
        }
        Ok(groups)
    }

    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.rows("read causes", SELECT_CAUSES, &[&ids]).await?;
        rows.iter()
            .map(|row| Ok((CauseId(row.get(0)), cause(row)?)))
            .collect()
    }
}

fn device(row: &Row) -> Result<Device, StoreError> {
    let open_causes: Vec<i64> = row.get(21);
    let open_causes = open_causes.into_iter().map(CauseId).collect();
    Ok(device::read(row)?.stored(DeviceId(row.get(0)), open_causes))
}

/// Reads a cause from the columns after the first.
pub(super) fn cause(row: &Row) -> Result<CauseRow, StoreError> {
    Ok(CauseRow {
        cause: row.get(1),
        kind: row.get(2),
        identity: Identity {
            source: column::name("cause.source", row.get(3))?,
            id: column::name("cause.message_id", row.get(4))?,
        },
        at: row.get::<_, Microseconds>(5).0,
        actor: row.get(6),
        note: row.get(7),
    })
}
