//! Broad causes, and expressions about them for statements whose `device` is a row of that table. A cause that concerns devices by
//! type or platform is one row of `broad_cause`, and only the counters of the devices are updated.
//!
//! A broad cause is open for each device that matches it and whose `broad_seen` is smaller than its number. Whatever writes the flag
//! or the attributes of a device takes the open ones into its own columns and sets `broad_seen`, with the type and the platform that the
//! device had until then. It sees every broad cause, because a broad change locks the table of devices until it commits, and a
//! statement begins to read when it has its lock.
//!
//! The subquery of the newest number runs once for a statement. A device that has seen it costs one comparison.

use lockstep_protocol::DeviceType;
use tokio_postgres::types::ToSql;

use super::microseconds::Microseconds;
use super::session::Session;
use crate::fleet::OPEN_CAUSES;
use crate::{DeviceSelector, StoreError, column};

/// The newest broad cause; null if there is none.
macro_rules! newest {
    () => {
        "(SELECT max(number) FROM broad_cause)"
    };
}

/// Whether a device is of one of the types, on one of the platforms, or on one of the platforms with a type. It may be null.
macro_rules! matches {
    ($types:literal, $whole_platforms:literal, $type_platforms:literal) => {
        concat!(
            "(device.device_type = ANY (",
            $types,
            ") OR device.platform = ANY (",
            $whole_platforms,
            ") OR device.device_type || '/' || device.platform = ANY (",
            $type_platforms,
            "))"
        )
    };
}

/// The condition of the broad causes that are open for a device.
macro_rules! is_open {
    () => {
        concat!(
            "broad_cause.number > device.broad_seen AND ",
            crate::postgres::broad::matches!(
                "broad_cause.device_types",
                "broad_cause.whole_platforms",
                "broad_cause.type_platforms"
            )
        )
    };
}

/// Since when a device is unsynchronized.
macro_rules! since {
    () => {
        concat!(
            "CASE WHEN device.broad_seen < ",
            crate::postgres::broad::newest!(),
            " THEN least(device.unsynchronized_since, (SELECT min(broad_cause.at) FROM broad_cause WHERE ",
            crate::postgres::broad::is_open!(),
            ")) ELSE device.unsynchronized_since END"
        )
    };
}

/// The open causes of a device, oldest first, with `$more` behind them: the newest 32. `OFFSET 0` keeps the planner from evaluating
/// the inner query twice.
macro_rules! open_causes {
    () => {
        crate::postgres::broad::open_causes!("'{}'::bigint[]", "device.open_causes")
    };
    ($more:expr) => {
        crate::postgres::broad::open_causes!(
            $more,
            concat!(
                "(device.open_causes || ",
                $more,
                ")[greatest(1, cardinality(device.open_causes) + cardinality(",
                $more,
                ") - 31):]"
            )
        )
    };
    ($more:expr, $own:expr) => {
        concat!(
            "CASE WHEN device.broad_seen < ",
            crate::postgres::broad::newest!(),
            " THEN (SELECT listed[greatest(1, cardinality(listed) - 31):] FROM (SELECT device.open_causes || ARRAY(\
                SELECT broad_cause.cause_id FROM broad_cause WHERE ",
            crate::postgres::broad::is_open!(),
            " ORDER BY broad_cause.number) || ",
            $more,
            " OFFSET 0) AS joined (listed)) ELSE ",
            $own,
            " END"
        )
    };
}

/// What `broad_seen` becomes when the open ones are taken into the device's own columns.
macro_rules! seen {
    () => {
        concat!(
            "coalesce(",
            crate::postgres::broad::newest!(),
            ", device.broad_seen)"
        )
    };
}

pub(super) use {is_open, matches, newest, open_causes, seen, since};

const COUNT: &str = "SELECT count(*) FROM broad_cause";

const DELETE: &str = "DELETE FROM broad_cause";

const LAST_DEVICE: &str = "SELECT max(id) FROM device";

/// How many ids of devices are in a range: about a second of work for 31 causes.
const RANGE: i64 = 50_000;

/// Takes the open broad causes into the columns of the devices in a range.
const KEEP: &str = concat!(
    "UPDATE device SET broad_seen = ",
    seen!(),
    ", unsynchronized_since = ",
    since!(),
    ", open_causes = ",
    open_causes!(),
    " WHERE device.id >= $1 AND device.id < $2 AND EXISTS (SELECT FROM broad_cause WHERE ",
    is_open!(),
    ")"
);

const INSERT: &str = "\
    INSERT INTO broad_cause (device_types, whole_platforms, type_platforms, cause_id, at) VALUES ($1, $2, $3, $4, $5)";

/// The criteria of a selector by what devices are, as parameters of `matches!`.
pub(super) struct Kinds<'a> {
    types: Vec<&'a str>,
    whole_platforms: Vec<&'a str>,
    type_platforms: Vec<String>,
}

impl<'a> Kinds<'a> {
    pub(super) fn of(selector: &'a DeviceSelector) -> Self {
        let pairs = selector.platforms.iter();
        Self {
            types: selector.device_types.iter().map(DeviceType::as_str).collect(),
            whole_platforms: selector.whole_platforms.iter().map(String::as_str).collect(),
            type_platforms: pairs
                .map(|(kind, platform)| format!("{}/{platform}", kind.as_str()))
                .collect(),
        }
    }

    /// Whether the selector has no such criteria.
    pub(super) fn are_none(&self) -> bool {
        self.types.is_empty() && self.whole_platforms.is_empty() && self.type_platforms.is_empty()
    }

    /// The first three parameters, and these.
    pub(super) fn parameters<'b, const N: usize>(
        &'b self,
        others: [&'b (dyn ToSql + Sync); N],
    ) -> Vec<&'b (dyn ToSql + Sync)> {
        let kinds: [&(dyn ToSql + Sync); 3] = [&self.types, &self.whole_platforms, &self.type_platforms];
        kinds.into_iter().chain(others).collect()
    }
}

/// Whether there are as many broad causes as may be. A device lists all that are open, so that none is lost before its time counts.
pub(super) async fn are_most(operation: &'static str, session: &Session) -> Result<bool, StoreError> {
    let count = session.rows_for(operation, COUNT, &[]).await?;
    let count = count.first().map_or(0, |row| column::count(row.get(0)));
    Ok(count >= OPEN_CAUSES as u64 - 1)
}

/// Takes the open broad causes into the columns of all devices, and deletes them. Range by range of ids, so that no statement reaches its
/// time limit in a large fleet. The table of devices is locked.
pub(super) async fn close_all(operation: &'static str, session: &Session) -> Result<(), StoreError> {
    let last = session.rows_for(operation, LAST_DEVICE, &[]).await?;
    let last: Option<i64> = last.first().and_then(|row| row.get(0));
    let mut first = 0;
    while last.is_some_and(|last| first <= last) {
        let end = first.saturating_add(RANGE);
        session.execute_one(operation, KEEP, &[&first, &end]).await?;
        first = end;
    }
    session.execute_one(operation, DELETE, &[]).await?;
    Ok(())
}

pub(super) async fn insert(
    operation: &'static str,
    session: &Session,
    kinds: &Kinds<'_>,
    at: Microseconds,
    cause: i64,
) -> Result<(), StoreError> {
    let row = kinds.parameters([&cause, &at]);
    session.execute_one(operation, INSERT, &row).await?;
    Ok(())
}
