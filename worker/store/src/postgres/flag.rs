//! Flags the devices that a selector matches, with one statement for the table, because a change may concern most of the fleet.

use std::collections::{BTreeSet, HashSet};

use lockstep_protocol::Hostname;
use lockstep_protocol::results::MAX_DEVICES;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::broad::{self, Kinds};
use super::cause::{self, CauseIds};
use super::microseconds::Microseconds;
use super::session::Session;
use super::write;
use crate::error_class::ErrorClass;
use crate::{DevicePredicate, DeviceSelector, Flagged, NewCause, StoreError, column};

const OPERATION: &str = "flag devices";

/// Also conflicts with row locks: it waits for batches that hold some, and later batches wait for it.
pub(super) const LOCK_ALL: &str = "LOCK TABLE device IN EXCLUSIVE MODE";

const LOCK_NAMED: &str = "SELECT hostname FROM device WHERE hostname = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const SELECT_EXISTING: &str = "SELECT hostname FROM device WHERE hostname = ANY($1)";

const SELECT_HOSTNAMES: &str = "SELECT hostname FROM device";

/// Whether a change concerns a device: by what it is, or by its name.
macro_rules! concerned {
    () => {
        concat!(
            "(",
            broad::matches!("$1", "$2", "$3"),
            " OR device.hostname = ANY ($4))"
        )
    };
}

/// The devices that are concerned only by their names. Where it is all of them, `$1` to `$3` are empty and the index is used.
macro_rules! only_named {
    () => {
        concat!(
            "device.hostname = ANY ($4) AND ",
            broad::matches!("$1", "$2", "$3"),
            " IS NOT TRUE"
        )
    };
}

macro_rules! select_first {
    ($condition:expr) => {
        concat!(
            "SELECT hostname FROM device WHERE ",
            $condition,
            " ORDER BY hostname LIMIT $5"
        )
    };
}

/// Counts before the update: another scan costs less than a row from each update.
macro_rules! count_flipped {
    ($condition:expr) => {
        concat!(
            "SELECT count(*) FROM device WHERE desired_generation = synced_generation AND ",
            $condition
        )
    };
}

/// Writes the time `$5` and the cause `$6` to each device.
macro_rules! flag_each {
    ($condition:expr) => {
        concat!(
            "UPDATE device SET desired_generation = desired_generation + 1, broad_seen = ",
            broad::seen!(),
            ", unsynchronized_since = least($5, ",
            broad::since!(),
            "), open_causes = ",
            broad::open_causes!("ARRAY[$6::bigint]"),
            " WHERE ",
            $condition
        )
    };
}

const SELECT_NAMED: &str = select_first!(only_named!());
const COUNT_NAMED: &str = count_flipped!(only_named!());
const FLAG_NAMED: &str = flag_each!(only_named!());

const SELECT_CONCERNED: &str = select_first!(concerned!());
const COUNT_CONCERNED: &str = count_flipped!(concerned!());

/// The time and the cause are in the row of the broad cause.
const FLAG_MATCHING: &str = concat!(
    "UPDATE device SET desired_generation = desired_generation + 1 WHERE ",
    broad::matches!("$1", "$2", "$3")
);

/// The names may be half the fleet. A custom plan looks them up in a hash. The generic plan, which the server uses after a few
/// executions, would compare each device with each name.
const PLAN: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// Devices that match, before they are locked.
pub(super) struct Candidates<'a> {
    selector: &'a DeviceSelector,
    /// The names that the predicate has checked, and those that it matched.
    seen: HashSet<Hostname>,
    matched: Vec<Hostname>,
}

/// Devices that match, locked until the end of the transaction.
pub(super) struct Selected {
    selector: DeviceSelector,
    hostnames: Vec<Hostname>,
    unknown: BTreeSet<Hostname>,
}

impl<'a> Candidates<'a> {
    /// Checks every name with the predicate. That is slow for 100,000 names, so it runs before the lock and on a blocking
    /// thread. Under the lock, only names that are new since then are checked.
    pub(super) async fn find(session: &Session, selector: &'a DeviceSelector) -> Result<Self, StoreError> {
        let Some(predicate) = selector.predicate.clone() else {
            return Ok(Self {
                selector,
                seen: HashSet::new(),
                matched: Vec::new(),
            });
        };
        let seen: HashSet<Hostname> = hostnames(session).await?.into_iter().collect();
        let matching = tokio::task::spawn_blocking(move || {
            let matched = seen
                .iter()
                .filter(|hostname| predicate(hostname))
                .cloned()
                .collect();
            (seen, matched)
        });
        let (seen, matched) = matching
            .await
            .map_err(|panic| ErrorClass::Refused.error(OPERATION, panic))?;
        Ok(Self {
            selector,
            seen,
            matched,
        })
    }

    /// Locks the devices, or the whole table if the selector is broad.
    pub(super) async fn lock(&self, session: &Session) -> Result<Selected, StoreError> {
        let Self {
            selector,
            seen,
            matched,
        } = self;
        let mut matched = matched.clone();
        session.answer(OPERATION, session.batch_execute(PLAN)).await?;
        let requested: Vec<&str> = selector.hostnames.iter().map(Hostname::as_str).collect();
        let existing = if selector.is_broad() {
            let lock = session.batch_execute(LOCK_ALL);
            session.answer(OPERATION, lock).await?;
            session
                .rows_for(OPERATION, SELECT_EXISTING, &[&requested])
                .await?
        } else {
            session.rows_for(OPERATION, LOCK_NAMED, &[&requested]).await?
        };
        // A device that is created after the lock is reported as unknown, and is not flagged.
        let existing: BTreeSet<&str> = existing.iter().map(|row| row.get(0)).collect();
        let (existing, unknown): (Vec<&Hostname>, Vec<&Hostname>) = selector
            .hostnames
            .iter()
            .partition(|hostname| existing.contains(hostname.as_str()));
        if let Some(predicate) = &selector.predicate {
            matched.extend(newer(session, predicate, seen).await?);
        }
        let unknown = unknown.into_iter().cloned().collect();
        matched.extend(existing.into_iter().cloned());
        Ok(Selected {
            selector: (*selector).clone(),
            hostnames: matched,
            unknown,
        })
    }
}

async fn newer(
    session: &Session,
    predicate: &DevicePredicate,
    seen: &HashSet<Hostname>,
) -> Result<Vec<Hostname>, StoreError> {
    let mut all = hostnames(session).await?;
    all.retain(|hostname| !seen.contains(hostname) && predicate(hostname));
    Ok(all)
}

impl Selected {
    /// Flags the devices, and writes the cause if it concerns any.
    pub(super) async fn flag(
        &self,
        session: &Session,
        cause_ids: &CauseIds,
        cause: &NewCause,
    ) -> Result<Flagged, StoreError> {
        let ids = cause_ids.assign(session, 1).await?;
        let flagged = self.update(session, cause, ids[0]).await?;
        if flagged.concerned > 0 {
            write::send(OPERATION, session, &[cause::insert_one(cause, ids[0])]).await?;
        }
        Ok(flagged)
    }

    async fn update(&self, session: &Session, cause: &NewCause, id: i64) -> Result<Flagged, StoreError> {
        let hostnames: Vec<&str> = self.hostnames.iter().map(Hostname::as_str).collect();
        let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
        let at = Microseconds(cause.at);
        let kinds = Kinds::of(&self.selector);
        let concerned = kinds.parameters([&hostnames as _]);
        let each = kinds.parameters([&hostnames as _, &at, &id]);
        let (select, count) = if kinds.are_none() {
            (SELECT_NAMED, COUNT_NAMED)
        } else {
            (SELECT_CONCERNED, COUNT_CONCERNED)
        };
        let first = kinds.parameters([&hostnames as _, &most]);
        let devices = session.rows_for(OPERATION, select, &first).await?;
        let flipped = session.rows_for(OPERATION, count, &concerned).await?;
        let change = async |statement: &str, parameters: &[&(dyn ToSql + Sync)]| {
            session.execute_one(OPERATION, statement, parameters).await
        };
        let concerned = if kinds.are_none() {
            change(FLAG_NAMED, &each).await?
        } else {
            if broad::are_most(OPERATION, session).await? {
                broad::close_all(OPERATION, session).await?;
            }
            let named = if hostnames.is_empty() {
                0
            } else {
                change(FLAG_NAMED, &each).await?
            };
            let matching = change(FLAG_MATCHING, &kinds.parameters([])).await?;
            if matching > 0 {
                broad::insert(OPERATION, session, &kinds, at, id).await?;
            }
            named + matching
        };
        Ok(Flagged {
            concerned,
            flipped: flipped.first().map_or(0, |row| column::count(row.get(0))),
            devices: devices.iter().map(hostname).collect::<Result<_, _>>()?,
            unknown_hostnames: self.unknown.clone(),
        })
    }
}

async fn hostnames(session: &Session) -> Result<Vec<Hostname>, StoreError> {
    let rows = session.rows_for(OPERATION, SELECT_HOSTNAMES, &[]).await?;
    rows.iter().map(hostname).collect()
}

fn hostname(row: &Row) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.get(0))
}
