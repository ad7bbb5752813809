//! Flags the devices that a selector matches, with one statement for the table, because a change may concern most of the fleet.

use std::collections::{BTreeSet, HashSet};

use lockstep_protocol::results::MAX_DEVICES;
use lockstep_protocol::{DeviceType, Hostname};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

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

/// The condition for a broad change, which may concern most of the fleet, and for one that names devices, which uses the index.
macro_rules! concerned {
    (broad) => {
        "(device_type = ANY($1) OR platform = ANY($2) OR hostname = ANY($3) \
          OR (device_type, platform) IN (SELECT * FROM unnest($4::text[], $5::text[])))"
    };
    (named) => {
        "hostname = ANY($1)"
    };
}

macro_rules! flag {
    ($selector:ident, $at:literal, $cause:literal) => {
        concat!(
            "WITH flagged AS ( \
                UPDATE device SET desired_generation = desired_generation + 1, unsynchronized_since = least(unsynchronized_since, ",
            $at,
            "), open_causes = (open_causes || ",
            $cause,
            "::bigint)[greatest(1, cardinality(open_causes) + 1 - 31):] \
                WHERE ",
            concerned!($selector),
            " RETURNING desired_generation = synced_generation + 1 AS flipped) \
             SELECT count(*), count(*) FILTER (WHERE flipped) FROM flagged"
        )
    };
}

macro_rules! select_concerned {
    ($selector:ident, $most:literal) => {
        concat!(
            "SELECT hostname FROM device WHERE ",
            concerned!($selector),
            " ORDER BY hostname LIMIT ",
            $most
        )
    };
}

const FLAG_BROAD: &str = flag!(broad, "$6", "$7");
const SELECT_BROAD: &str = select_concerned!(broad, "$6");
const FLAG_NAMED: &str = flag!(named, "$2", "$3");
const SELECT_NAMED: &str = select_concerned!(named, "$2");

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
        let selector = &self.selector;
        let hostnames: Vec<&str> = self.hostnames.iter().map(Hostname::as_str).collect();
        let at = Microseconds(cause.at);
        let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
        let (devices, counts) = if selector.is_broad() {
            let types: Vec<&str> = selector.device_types.iter().map(|kind| kind.as_str()).collect();
            let whole: Vec<&str> = selector.whole_platforms.iter().map(String::as_str).collect();
            let pairs = selector.platforms.iter();
            let (pair_types, pair_platforms): (Vec<&str>, Vec<&str>) = pairs
                .map(|(kind, platform)| (DeviceType::as_str(*kind), platform.as_str()))
                .unzip();
            let concerned: [&(dyn ToSql + Sync); 5] =
                [&types, &whole, &hostnames, &pair_types, &pair_platforms];
            let select = [&concerned[..], &[&most]].concat();
            let flag = [&concerned[..], &[&at, &id]].concat();
            (
                session.rows_for(OPERATION, SELECT_BROAD, &select).await?,
                session.rows_for(OPERATION, FLAG_BROAD, &flag).await?,
            )
        } else {
            (
                session
                    .rows_for(OPERATION, SELECT_NAMED, &[&hostnames, &most])
                    .await?,
                session
                    .rows_for(OPERATION, FLAG_NAMED, &[&hostnames, &at, &id])
                    .await?,
            )
        };
        let count = |index| -> u64 {
            let count: i64 = counts.first().map_or(0, |row| row.get(index));
            u64::try_from(count).unwrap_or(0)
        };
        Ok(Flagged {
            concerned: count(0),
            flipped: count(1),
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
