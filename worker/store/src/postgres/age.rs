//! Measures the ages of devices. Broad causes may be open for many devices: their times are read once for each kind of devices, not for
//! each device.

use lockstep_protocol::DeviceType;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::broad;
use super::device::{self, columns};
use super::microseconds::Microseconds;
use super::{PostgresStore, Session};
use crate::age::threshold;
use crate::{AgeQuery, AgedDevice, Ages, CauseId, DeviceId, StoreError, column};

const OPERATION: &str = "measure the ages of devices";

/// One snapshot for all three queries. See [`READ_ALL`](super::stats::READ_ALL).
const BEGIN: &str = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = on; \
    SET LOCAL max_parallel_workers_per_gather = 0";

const NOW: &str = "SELECT now()";

/// The devices that match, with the beginning of both ages. A device that moved to its state before version 8 of the schema is in it at
/// least since then, and one that was never compared has its verdict since then. `$3` is the age that is measured.
macro_rules! fleet {
    () => {
        concat!(
            "WITH records AS (SELECT min(applied_on)::timestamptz AS since FROM refinery_schema_history WHERE version = 8), \
            matching AS NOT MATERIALIZED (SELECT *, synced_generation <> desired_generation AND broad_seen < ",
            broad::newest!(),
            " AS may_be_open, greatest(broad_seen, (SELECT min(number) - 1 FROM broad_cause)) AS seen FROM device \
                WHERE ($1::text IS NULL OR device_type = $1) \
                AND ($2::text IS NULL OR id IN (SELECT group_member.device_id FROM group_member \
                    JOIN device_group ON device_group.id = group_member.group_id WHERE device_group.name = $2))), \
            kind AS MATERIALIZED (SELECT device_type, coalesce(platform, '') AS platform_or_none, broad_seen, \
                    (SELECT min(broad_cause.at) FROM broad_cause WHERE ",
            broad::is_open!(),
            ") AS since \
                FROM (SELECT DISTINCT device_type, platform, seen AS broad_seen FROM matching WHERE may_be_open AND $3::text = 'unsynchronized') AS device), \
            fleet AS (SELECT matching.id, hostname, state, until, CASE \
                    WHEN $3 = 'unmanaged' THEN CASE WHEN state = 'UNMANAGED' THEN coalesce(state_since, (SELECT since FROM records)) END \
                    WHEN $3 = 'unchecked' THEN CASE WHEN state = 'MANAGED' AND synced_generation = desired_generation \
                        THEN coalesce(checked_at, state_since, (SELECT since FROM records)) END \
                    WHEN state = 'MANAGED' AND synced_generation <> desired_generation \
                        THEN least(unsynchronized_since, kind.since) END AS since, \
                state = CASE WHEN $3 = 'unmanaged' THEN 'UNMANAGED' ELSE 'MANAGED' END AS in_state \
                FROM matching LEFT JOIN kind ON matching.may_be_open AND kind.device_type = matching.device_type \
                    AND kind.platform_or_none = coalesce(matching.platform, '') AND kind.broad_seen = matching.seen) "
        )
    };
}

const COUNT: &str = concat!(
    fleet!(),
    "SELECT count(*), count(*) FILTER (WHERE in_state), count(since), count(*) FILTER (WHERE since <= $4::timestamptz), \
        count(*) FILTER (WHERE since <= $5::timestamptz), count(*) FILTER (WHERE until <= now()) FROM fleet"
);

/// The devices of a list, which the inner query limits before anything else of them is read.
macro_rules! list {
    ($inner:literal, $order:literal) => {
        concat!(
            fleet!(),
            "SELECT device.*, listed.since AS age FROM (SELECT id, since, until FROM fleet ",
            $inner,
            ") AS listed JOIN LATERAL (SELECT ",
            columns!(),
            ", ",
            broad::open_causes!(),
            " AS open_causes, primary_group, checked_at FROM device WHERE device.id = listed.id OFFSET 0) AS device ON true ORDER BY ",
            $order
        )
    };
}

const OLDEST: &str = list!(
    "WHERE since IS NOT NULL ORDER BY since, hostname LIMIT $4",
    "listed.since, device.hostname"
);

const EXPIRED: &str = list!(
    "WHERE until <= now() ORDER BY until, hostname LIMIT $4",
    "listed.until, device.hostname"
);

/// Measures the ages that a query asks for.
pub(super) async fn ages(store: &PostgresStore, query: &AgeQuery) -> Result<Ages, StoreError> {
    let session = store.session(OPERATION).await?;
    session.answer(OPERATION, session.batch_execute(BEGIN)).await?;
    let ages = read(&session, query).await?;
    session.answer(OPERATION, session.batch_execute("COMMIT")).await?;
    session.give_back();
    Ok(ages)
}

async fn read(session: &Session, query: &AgeQuery) -> Result<Ages, StoreError> {
    let now = session.rows_for(OPERATION, NOW, &[]).await?;
    let now = now.first().map(|row| row.get::<_, Microseconds>(0).0);
    let now = now.unwrap_or_default();
    let device_type = query.device_type.as_ref().map(DeviceType::as_str);
    let group = query.group_name();
    let of = query.of.as_str();
    let filters: [&(dyn ToSql + Sync); 3] = [&device_type, &group, &of];
    let warning = Microseconds(threshold(now, query.warning));
    let critical = Microseconds(threshold(now, query.critical));
    let mut parameters = filters.to_vec();
    parameters.extend([&warning as &(dyn ToSql + Sync), &critical]);
    let counts = session.rows_for(OPERATION, COUNT, &parameters).await?;
    let count = |index| counts.first().map_or(0, |row| column::count(row.get(index)));
    let limit = i64::from(query.limit);
    parameters.truncate(filters.len());
    parameters.push(&limit);
    let oldest = session.rows_for(OPERATION, OLDEST, &parameters).await?;
    let expired = session.rows_for(OPERATION, EXPIRED, &parameters).await?;
    Ok(Ages {
        at: now,
        matching: count(0),
        in_state: count(1),
        aged: count(2),
        over_warning: count(3),
        over_critical: count(4),
        oldest: oldest.iter().map(aged).collect::<Result<_, _>>()?,
        expired: count(5),
        longest_expired: expired.iter().map(aged).collect::<Result<_, _>>()?,
    })
}

fn aged(row: &Row) -> Result<AgedDevice, StoreError> {
    let open_causes: Vec<i64> = row.get("open_causes");
    let open_causes = open_causes.into_iter().map(CauseId).collect();
    let primary_group = column::optional_name("device.primary_group", row.get("primary_group"))?;
    let checked_at = row
        .get::<_, Option<Microseconds>>("checked_at")
        .map(|time| time.0);
    Ok(AgedDevice {
        device: device::read(row)?.stored(DeviceId(row.get(0)), open_causes, primary_group, checked_at),
        since: row.get::<_, Option<Microseconds>>("age").map(|since| since.0),
    })
}
