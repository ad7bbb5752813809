use lockstep_protocol::DeviceType;
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::error::Failure;
use super::{SqliteStore, fleet, migrate};
use crate::age::threshold;
use crate::{AgeQuery, AgedDevice, Ages, StoreError, column};

/// The devices that match, with the beginning of both ages. A device that moved to its state before version 8 of the schema is in it at
/// least since then, and one that was never compared has its verdict since then. The plus signs keep SQLite from going through an index.
macro_rules! fleet {
    () => {
        "FROM (SELECT *, CASE \
                WHEN :of = 'unmanaged' THEN CASE WHEN state = 'UNMANAGED' THEN coalesce(state_since, :records) END \
                WHEN :of = 'unchecked' THEN CASE WHEN state = 'MANAGED' AND synced_generation = desired_generation \
                    THEN coalesce(checked_at, state_since, :records) END \
                WHEN state = 'MANAGED' AND synced_generation <> desired_generation THEN unsynchronized_since END AS since, \
                state = CASE WHEN :of = 'unmanaged' THEN 'UNMANAGED' ELSE 'MANAGED' END AS in_state FROM device \
            WHERE (:device_type IS NULL OR device_type = :device_type) \
                AND (:group IS NULL OR id IN (SELECT group_member.device_id FROM group_member \
                    JOIN device_group ON device_group.id = group_member.group_id WHERE device_group.name = :group))) AS device"
    };
}

const COUNT: &str = concat!(
    "SELECT count(*), coalesce(sum(in_state), 0), count(since), count(*) FILTER (WHERE since <= :warning), \
        count(*) FILTER (WHERE since <= :critical), count(*) FILTER (WHERE until <= :now) ",
    fleet!()
);

const OLDEST: &str = concat!(
    "SELECT ",
    super::device::columns!(),
    ", open_causes, primary_group, checked_at, since ",
    fleet!(),
    " WHERE since IS NOT NULL ORDER BY since, +hostname LIMIT :limit"
);

const EXPIRED: &str = concat!(
    "SELECT ",
    super::device::columns!(),
    ", open_causes, primary_group, checked_at, since ",
    fleet!(),
    " WHERE until <= :now ORDER BY until, +hostname LIMIT :limit"
);

const RECORDS: &str = "SELECT applied_on FROM refinery_schema_history WHERE version = 8";

/// Measures the ages that a query asks for.
pub(super) async fn ages(store: &SqliteStore, query: &AgeQuery) -> Result<Ages, StoreError> {
    let query = query.clone();
    store
        .read_in("measure the ages of devices", move |connection| {
            // In one transaction, so all three queries see one snapshot.
            read(connection, &query)
        })
        .await
}

fn read(connection: &Connection, query: &AgeQuery) -> Result<Ages, Failure> {
    let at = migrate::now(connection)?;
    let now = column::microseconds(at);
    let records = records(connection)?;
    let warning = column::microseconds(threshold(at, query.warning));
    let critical = column::microseconds(threshold(at, query.critical));
    let device_type = query.device_type.as_ref().map(DeviceType::as_str);
    let group = query.group_name();
    let of = query.of.as_str();
    let filters: [(&str, &dyn ToSql); 4] = [
        (":device_type", &device_type),
        (":group", &group),
        (":of", &of),
        (":records", &records),
    ];
    let mut parameters = filters.to_vec();
    parameters.extend([
        (":now", &now as &dyn ToSql),
        (":warning", &warning),
        (":critical", &critical),
    ]);
    let mut count = connection.prepare_cached(COUNT)?;
    let counts: [i64; 6] = count.query_row(parameters.as_slice(), |row| {
        Ok([
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ])
    })?;
    let [matching, in_state, aged, over_warning, over_critical, expired] = counts.map(column::count);
    let limit: (&str, &dyn ToSql) = (":limit", &query.limit);
    parameters.truncate(filters.len());
    parameters.push(limit);
    let oldest = list(connection, OLDEST, &parameters)?;
    parameters.push((":now", &now));
    let longest_expired = list(connection, EXPIRED, &parameters)?;
    Ok(Ages {
        at,
        matching,
        in_state,
        aged,
        over_warning,
        over_critical,
        oldest,
        expired,
        longest_expired,
    })
}

/// Since when the store records when devices move to a state.
pub(super) fn records(connection: &Connection) -> Result<Option<i64>, Failure> {
    let mut select = connection.prepare_cached(RECORDS)?;
    let text: Option<String> = select.query_row([], |row| row.get(0)).optional()?;
    let at = text.map(|text| column::word("refinery_schema_history.applied_on", &text));
    Ok(at.transpose()?.map(column::microseconds))
}

fn list(
    connection: &Connection,
    statement: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> Result<Vec<AgedDevice>, Failure> {
    let mut select = connection.prepare_cached(statement)?;
    let mut rows = select.query(parameters)?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        let since: Option<i64> = row.get(26)?;
        let since = since.map(|since| column::read_microseconds("device.state_since", since));
        devices.push(AgedDevice {
            device: fleet::device(row)?,
            since: since.transpose()?,
        });
    }
    Ok(devices)
}
