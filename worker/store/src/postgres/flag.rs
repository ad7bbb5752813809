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
const LOCK_ALL: &str = "LOCK TABLE device IN EXCLUSIVE MODE";

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

/// Counts the devices that are changed, and those of them that were synchronized.
macro_rules! flag {
    ($set:expr, $condition:expr) => {
        concat!(
            "WITH flagged AS (UPDATE device SET desired_generation = desired_generation + 1",
            $set,
            " WHERE ",
            $condition,
            " RETURNING desired_generation = synced_generation + 1 AS flipped) \
             SELECT count(*), count(*) FILTER (WHERE flipped) FROM flagged"
        )
    };
}

/// Writes the time `$5` and the cause `$6` to each device.
macro_rules! flag_each {
    ($condition:expr) => {
        flag!(
            concat!(
                ", broad_seen = ",
                broad::seen!(),
                ", unsynchronized_since = least($5, ",
                broad::since!(),
                "), open_causes = ",
                broad::open_causes!("ARRAY[$6::bigint]")
            ),
            $condition
        )
    };
}

const FLAG_NAMED: &str = flag_each!(only_named!());
const FLAG_ALL: &str = flag_each!(concerned!());
/// The time and the cause are in the row of the broad cause.
const FLAG_MATCHING: &str = flag!("", broad::matches!("$1", "$2", "$3"));

/// Takes the open broad causes into the columns of the devices that are not concerned.
const KEEP_BROAD: &str = concat!(
    "UPDATE device SET broad_seen = ",
    broad::seen!(),
    ", unsynchronized_since = ",
    broad::since!(),
    ", open_causes = ",
    broad::open_causes!(),
    " WHERE ",
    concerned!(),
    " IS NOT TRUE AND EXISTS (SELECT FROM broad_cause WHERE ",
    broad::is_open!(),
    ")"
);

const SELECT_CONCERNED: &str = concat!(
    "SELECT hostname FROM device WHERE ",
    concerned!(),
    " ORDER BY hostname LIMIT $5"
);
const SELECT_NAMED: &str = "SELECT hostname FROM device WHERE hostname = ANY ($1) ORDER BY hostname LIMIT $2";

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
    pub(super) async fn lock(self, session: &Session) -> Result<Selected, StoreError> {
        let Self {
            selector,
            seen,
            mut matched,
        } = self;
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
            matched.extend(newer(session, predicate, &seen).await?);
        }
        let unknown = unknown.into_iter().cloned().collect();
        matched.extend(existing.into_iter().cloned());
        Ok(Selected {
            selector: selector.clone(),
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
        let kinds = Kinds::of(&self.selector);
        let devices = if kinds.are_none() {
            session
                .rows_for(OPERATION, SELECT_NAMED, &[&hostnames, &most])
                .await?
        } else {
            let concerned = kinds.parameters([&hostnames, &most]);
            session.rows_for(OPERATION, SELECT_CONCERNED, &concerned).await?
        };
        let mut flagged = Flagged {
            devices: devices.iter().map(hostname).collect::<Result<_, _>>()?,
            unknown_hostnames: self.unknown.clone(),
            ..Flagged::default()
        };
        let at = Microseconds(cause.at);
        let each = kinds.parameters([&hostnames as _, &at, &id]);
        if kinds.are_none() {
            flagged.count(session, FLAG_NAMED, &each).await?;
            return Ok(flagged);
        }
        if broad::are_most(OPERATION, session).await? {
            let concerned = kinds.parameters([&hostnames as _]);
            session.execute_one(OPERATION, KEEP_BROAD, &concerned).await?;
            flagged.count(session, FLAG_ALL, &each).await?;
            broad::delete(OPERATION, session).await?;
            return Ok(flagged);
        }
        if !hostnames.is_empty() {
            flagged.count(session, FLAG_NAMED, &each).await?;
        }
        let matching = flagged
            .count(session, FLAG_MATCHING, &kinds.parameters([]))
            .await?;
        if matching > 0 {
            broad::insert(OPERATION, session, &kinds, at, id).await?;
        }
        Ok(flagged)
    }
}

impl Flagged {
    /// Runs a statement that flags devices, adds its counts, and returns how many devices it concerned.
    async fn count(
        &mut self,
        session: &Session,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let counts = session.rows_for(OPERATION, statement, parameters).await?;
        let count = |index| counts.first().map_or(0, |row| column::count(row.get(index)));
        self.concerned += count(0);
        self.flipped += count(1);
        Ok(count(0))
    }
}

async fn hostnames(session: &Session) -> Result<Vec<Hostname>, StoreError> {
    let rows = session.rows_for(OPERATION, SELECT_HOSTNAMES, &[]).await?;
    rows.iter().map(hostname).collect()
}

fn hostname(row: &Row) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.get(0))
}
