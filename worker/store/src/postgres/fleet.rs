use std::collections::HashMap;

use async_trait::async_trait;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::{CauseView, DeviceView};
use tokio_postgres::Row;

use super::PostgresStore;
use super::device::{self, columns};
use super::microseconds::Microseconds;
use super::session::Session;
use crate::{DeviceQuery, Fleet, StoreError, column};

const OPERATION: &str = "read devices";

/// One statement, one snapshot: flags, groups and the ids of causes belong together.
const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    ", open_causes, ARRAY(SELECT device_group.name FROM group_member \
        JOIN device_group ON device_group.id = group_member.group_id \
        WHERE group_member.device_id = device.id ORDER BY device_group.name) \
     FROM device \
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
    ", open_causes, ARRAY(SELECT device_group.name FROM group_member \
        JOIN device_group ON device_group.id = group_member.group_id \
        WHERE group_member.device_id = device.id ORDER BY device_group.name) \
     FROM device WHERE hostname = $1"
);

const SELECT_CAUSES: &str =
    "SELECT id, cause, kind, source, message_id, at, actor FROM cause WHERE id = ANY($1)";

#[async_trait]
impl Fleet for PostgresStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<DeviceView>, StoreError> {
        // No hostname is empty.
        let after = query.after.as_ref().map_or("", Hostname::as_str);
        let state = query.state.map(lockstep_protocol::DeviceState::as_str);
        let device_type = query.device_type.map(lockstep_protocol::DeviceType::as_str);
        let group = query.group.as_ref().map(lockstep_protocol::GroupName::as_str);
        let limit = i64::from(query.limit);
        let session = self.session(OPERATION).await?;
        let rows = session
            .answer(OPERATION, async {
                let select = session.prepare_cached(SELECT).await?;
                let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                    [&after, &query.synchronized, &state, &device_type, &group, &limit];
                session.query(&select, &parameters).await
            })
            .await?;
        let devices = views(&session, &rows).await?;
        session.give_back();
        Ok(devices)
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<DeviceView>, StoreError> {
        let session = self.session(OPERATION).await?;
        let rows = session
            .answer(OPERATION, async {
                let select = session.prepare_cached(SELECT_ONE).await?;
                session.query(&select, &[&hostname.as_str()]).await
            })
            .await?;
        let mut devices = views(&session, &rows).await?;
        session.give_back();
        Ok(devices.pop())
    }
}

/// Adds the causes, all in one query. They never change once they are there.
async fn views(session: &Session, rows: &[Row]) -> Result<Vec<DeviceView>, StoreError> {
    let open_causes: Vec<Vec<i64>> = rows.iter().map(|row| row.get(18)).collect();
    let ids = open_causes.concat();
    let causes = if ids.is_empty() {
        Vec::new()
    } else {
        let select = async {
            let select = session.prepare_cached(SELECT_CAUSES).await?;
            session.query(&select, &[&ids]).await
        };
        session.answer(OPERATION, select).await?
    };
    let causes: HashMap<i64, CauseView> = causes.iter().map(|row| (row.get(0), cause(row))).collect();
    rows.iter()
        .zip(open_causes)
        .map(|(row, open)| {
            let id = row.get(0);
            let groups: Vec<String> = row.get(19);
            let groups = groups
                .into_iter()
                .map(|name| column::name("device_group.name", name));
            let causes = open.iter().filter_map(|id| causes.get(id).cloned()).collect();
            Ok(device::read(row)?.view(id, groups.collect::<Result<_, _>>()?, causes))
        })
        .collect()
}

fn cause(row: &Row) -> CauseView {
    CauseView {
        cause: row.get(1),
        event: row.get(2),
        source: row.get(3),
        id: row.get(4),
        at: row.get::<_, Microseconds>(5).0,
        by: row.get(6),
    }
}
