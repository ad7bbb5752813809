use std::collections::HashMap;

use async_trait::async_trait;
use lockstep_protocol::{GroupName, Hostname, Identity};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::age;
use super::broad;
use super::cause::wanted_causes;
use super::device::{self, columns};
use super::microseconds::Microseconds;
use super::stats::READ_ALL;
use crate::fleet::DeviceFilters;
use crate::{
    AgeQuery, Ages, CauseId, CauseRow, Device, DeviceCount, DeviceId, DeviceQuery, Fleet, Group, GroupQuery,
    HistoryEntry, HistoryPosition, StoreError, Surroundings, column, device_counts, group_table, history,
    surroundings,
};

const OPERATION: &str = "read devices";

macro_rules! filters {
    () => {
        "($1::boolean IS NULL OR (synced_generation = desired_generation) = $1) \
            AND ($2::text IS NULL OR state = $2) \
            AND ($3::text IS NULL OR device_type = $3) \
            AND ($4::text IS NULL OR id IN (SELECT group_member.device_id FROM group_member \
                JOIN device_group ON device_group.id = group_member.group_id WHERE device_group.name = $4))"
    };
}

macro_rules! device {
    () => {
        concat!(
            columns!(),
            ", ",
            broad::open_causes!(),
            " AS open_causes, primary_group, checked_at"
        )
    };
}

const SELECT: &str = concat!(
    "SELECT ",
    device!(),
    " FROM device WHERE ",
    filters!(),
    " AND hostname > $6 ORDER BY hostname LIMIT $5"
);

/// Matches among the first devices by hostname.
const SELECT_TRIED: &str = concat!(
    "SELECT ",
    device!(),
    " FROM (SELECT * FROM device ORDER BY hostname LIMIT $6) AS device WHERE ",
    filters!(),
    " ORDER BY hostname LIMIT $5"
);

/// See [`DeviceQuery::begins_filtered`]. The planner cannot know how many devices match; without an order to follow, the inner
/// query is a sequential scan.
const SELECT_FIRST: &str = concat!(
    "WITH matching AS MATERIALIZED (SELECT id, hostname FROM device WHERE ",
    filters!(),
    ") SELECT ",
    device!(),
    " FROM device WHERE id IN (SELECT id FROM matching ORDER BY hostname LIMIT $5) ORDER BY hostname"
);

const COUNT: &str = concat!("SELECT count(*) FROM device WHERE ", filters!());

const SELECT_ONE: &str = concat!("SELECT ", device!(), " FROM device WHERE hostname = $1");

const SELECT_BY_ID: &str = concat!("SELECT ", device!(), " FROM device WHERE id = ANY($1)");

const SELECT_GROUPS: &str = "\
    SELECT group_member.device_id, device_group.name FROM group_member \
    JOIN device_group ON device_group.id = group_member.group_id \
    WHERE group_member.device_id = ANY($1) ORDER BY device_group.name";

/// Without the details, which may be large.
const SELECT_CAUSES: &str = concat!(
    "SELECT cause.id, cause.cause, cause.kind, cause.source, cause.message_id, cause.at, cause.actor, cause.note \
    FROM unnest($1::bigint[]) AS wanted (id) ",
    wanted_causes!()
);

const SELECT_DETAILED_CAUSES: &str = concat!(
    "SELECT cause.* FROM unnest($1::bigint[]) AS wanted (id) ",
    wanted_causes!()
);

#[async_trait]
impl Fleet for PostgresStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        let filters = DeviceFilters::of(query);
        let limit = i64::from(query.limit);
        let mut parameters = parameters(&filters);
        parameters.push(&limit);
        let tried = i64::from(query.tried());
        // No hostname is empty.
        let after = query.after.as_ref().map_or("", Hostname::as_str);
        let rows = if query.begins_filtered() {
            parameters.push(&tried);
            let found = self.rows(OPERATION, SELECT_TRIED, &parameters).await?;
            parameters.pop();
            if found.len() as u64 == u64::from(query.limit) {
                found
            } else {
                self.scan(OPERATION, SELECT_FIRST, &parameters).await?
            }
        } else {
            parameters.push(&after);
            self.rows(OPERATION, SELECT, &parameters).await?
        };
        rows.iter().map(device).collect()
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64, StoreError> {
        let filters = DeviceFilters::of(query);
        let rows = self.scan("count devices", COUNT, &parameters(&filters)).await?;
        Ok(rows.first().map_or(0, |row| column::count(row.get(0))))
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError> {
        let rows = self.rows(OPERATION, SELECT_ONE, &[&hostname.as_str()]).await?;
        rows.first().map(device).transpose()
    }

    async fn devices_by_id(&self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = self.rows(OPERATION, SELECT_BY_ID, &[&ids]).await?;
        rows.iter().map(device).collect()
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

    async fn groups(&self, query: &GroupQuery) -> Result<Vec<Group>, StoreError> {
        group_table::list(self, query).await
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, StoreError> {
        group_table::find(self, name).await
    }

    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        let rows = self.cause_rows(SELECT_CAUSES, ids).await?;
        rows.iter()
            .map(|row| Ok((CauseId(row.get(0)), cause(row)?)))
            .collect()
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
        let rows = self.cause_rows(SELECT_DETAILED_CAUSES, ids).await?;
        rows.iter()
            .map(|row| {
                let detail = column::read_cause_detail(row.get(8))?;
                Ok((
                    CauseId(row.get(0)),
                    CauseRow {
                        detail,
                        ..cause(row)?
                    },
                ))
            })
            .collect()
    }

    async fn history(
        &self,
        device: &Device,
        before: Option<HistoryPosition>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let rows = self.history_rows("read a history", device, before, limit).await?;
        let causes = self.detailed_causes(&history::causes(&rows, device)).await?;
        Ok(history::merge(rows, causes, before, limit))
    }
}

impl PostgresStore {
    async fn cause_rows(&self, sql: &str, ids: &[CauseId]) -> Result<Vec<Row>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.rows("read causes", sql, &[&ids]).await
    }

    /// Runs a query that reads all devices.
    async fn scan(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(operation).await?;
        session.answer(operation, session.batch_execute(READ_ALL)).await?;
        let rows = session.rows_for(operation, sql, parameters).await?;
        session.answer(operation, session.batch_execute("COMMIT")).await?;
        session.give_back();
        Ok(rows)
    }
}

/// The parameters of `filters!`.
fn parameters<'a>(filters: &'a DeviceFilters<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    vec![
        &filters.synchronized,
        &filters.state,
        &filters.device_type,
        &filters.group,
    ]
}

fn device(row: &Row) -> Result<Device, StoreError> {
    let open_causes: Vec<i64> = row.get(23);
    let open_causes = open_causes.into_iter().map(CauseId).collect();
    let primary_group = column::optional_name("device.primary_group", row.get(24))?;
    let checked_at = row.get::<_, Option<Microseconds>>(25).map(|time| time.0);
    Ok(device::read(row)?.stored(DeviceId(row.get(0)), open_causes, primary_group, checked_at))
}

/// Reads a cause, without its detail, from the columns after the first.
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
        detail: None,
    })
}
