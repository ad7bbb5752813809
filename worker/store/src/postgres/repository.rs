use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use lockstep_protocol::results::MAX_DEVICES;
use lockstep_protocol::{DeviceType, Hostname, RepositoryName};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::microseconds::Microseconds;
use super::session::Session;
use super::{PostgresStore, cause, dead_letters, inbox, lease, write};
use crate::error_class::ErrorClass;
use crate::{
    Changed, DevicePredicate, Facts, Flagged, Flags, Repositories, RepositoryChange, RepositoryRow,
    StoreError, column,
};

const OPERATION: &str = "change a repository";

macro_rules! select {
    () => {
        "SELECT name, branch, revision, accepted, accepted_at, seen, seen_at, problem FROM repository"
    };
}

const SELECT_ALL: &str = concat!(select!(), " ORDER BY name");
const SELECT: &str = concat!(select!(), " WHERE name = $1");
const SELECT_LISTING: &str = "SELECT listing FROM repository WHERE name = $1";

const SEE: &str = "\
    INSERT INTO repository (name, branch, revision, seen, seen_at, problem) VALUES ($1, $2, $3::bigint + 1, $4, $5, $6) \
    ON CONFLICT (name) DO UPDATE SET branch = excluded.branch, revision = excluded.revision, seen = excluded.seen, \
        seen_at = excluded.seen_at, problem = excluded.problem \
    WHERE repository.revision = $3";

const ACCEPT: &str = "UPDATE repository SET accepted = $2, accepted_at = $3, listing = $4 WHERE name = $1";

/// Against row locks too: a batch that holds some ends first, and the next one waits.
const LOCK_ALL: &str = "LOCK TABLE device IN EXCLUSIVE MODE";

const LOCK_NAMED: &str = "SELECT hostname FROM device WHERE hostname = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const SELECT_KNOWN: &str = "SELECT hostname FROM device WHERE hostname = ANY($1)";

const SELECT_HOSTNAMES: &str = "SELECT hostname FROM device";

/// The devices of a change that may be most of the fleet, and of one that names its own: those are found by the index.
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
                UPDATE device SET desired_generation = desired_generation + 1, unsynchronized_since = coalesce(unsynchronized_since, ",
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

/// Names may be half the fleet. A plan for these very ones looks them up in a hash; one that is made for all cases, which
/// the server turns to after a few rounds, would compare each device with each name.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL plan_cache_mode = force_custom_plan";

#[async_trait]
impl Repositories for PostgresStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        let rows = self.rows("read repositories", SELECT_ALL, &[]).await?;
        rows.iter().map(read).collect()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError> {
        let rows = self.rows("read a repository", SELECT, &[&name.as_str()]).await?;
        rows.first().map(read).transpose()
    }

    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self
            .rows("read a listing", SELECT_LISTING, &[&name.as_str()])
            .await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    async fn change(&self, change: &RepositoryChange) -> Result<Changed, StoreError> {
        let session = self.session(OPERATION).await?;
        let flags = change.advance.as_ref().and_then(|advance| advance.flags.as_ref());
        let matched = match flags.and_then(|flags| flags.selector.predicate.as_ref()) {
            Some(predicate) => Some(Matched::before_the_lock(&session, predicate).await?),
            None => None,
        };
        session.answer(OPERATION, session.batch_execute(BEGIN)).await?;
        let owner = change.lease.owner.to_string();
        let lease: [&(dyn ToSql + Sync); 3] = [&change.lease.name, &owner, &change.lease.fence];
        if session.rows(lease::HOLD, &lease).await?.is_empty() {
            return Ok(Changed::LeaseLost);
        }
        let (name, at) = (change.name.as_str(), Microseconds(change.at));
        let problem = change.problem.as_deref().map(inbox::without_nul);
        let seen = change.seen.as_str();
        let row: [&(dyn ToSql + Sync); 6] = [&name, &change.branch, &change.revision, &seen, &at, &problem];
        if session.execute_one(SEE, &row).await? == 0 {
            return Ok(Changed::Superseded);
        }
        let mut flagged = Flagged::default();
        let mut facts = Facts::default();
        let mut cause_ids = Vec::new();
        if let Some(advance) = &change.advance {
            let (commit, listing) = (advance.commit.as_str(), advance.listing.as_slice());
            session
                .execute_one(ACCEPT, &[&name, &commit, &at, &listing])
                .await?;
            if let Some(flags) = &advance.flags {
                facts.cause_of(flags.cause.clone());
                cause_ids = self.cause_ids.assign(&session, &facts).await?;
                flagged = flag(&session, flags, matched, cause_ids[0]).await?;
                // A cause that hit nobody is no cause.
                if flagged.concerned == 0 {
                    facts = Facts::default();
                    cause_ids.clear();
                }
            }
        }
        for completion in (change.completions)(&flagged) {
            facts.record(completion);
        }
        let mut writes: Vec<write::Write<'_>> = inbox::insert(&facts).collect();
        writes.extend(dead_letters::writes(&facts));
        writes.extend(cause::insert(&facts, &cause_ids));
        write::commit(session, &writes).await?;
        Ok(Changed::Committed)
    }
}

async fn flag(
    session: &Session,
    flags: &Flags,
    matched: Option<Matched>,
    cause: i64,
) -> Result<Flagged, StoreError> {
    let selector = &flags.selector;
    let asked: Vec<&str> = selector.hostnames.iter().map(Hostname::as_str).collect();
    let known = if selector.is_broad() {
        let lock = session.batch_execute(LOCK_ALL);
        session.answer(OPERATION, lock).await?;
        session.rows(SELECT_KNOWN, &[&asked]).await?
    } else {
        session.rows(LOCK_NAMED, &[&asked]).await?
    };
    // Who appears after the lock is reported as unknown, and is not flagged.
    let known: BTreeSet<&str> = known.iter().map(|row| row.get(0)).collect();
    let (known, unknown): (Vec<&Hostname>, Vec<&Hostname>) = selector
        .hostnames
        .iter()
        .partition(|hostname| known.contains(hostname.as_str()));
    let all = match (matched, &selector.predicate) {
        (Some(matched), Some(predicate)) => matched.after_the_lock(session, predicate).await?,
        _ => Vec::new(),
    };
    let named = known.into_iter().chain(&all);
    let hostnames: Vec<&str> = named.map(Hostname::as_str).collect();

    let at = Microseconds(flags.cause.at);
    let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
    let (devices, counts) = if selector.is_broad() {
        let types: Vec<&str> = selector.device_types.iter().map(|kind| kind.as_str()).collect();
        let whole: Vec<&str> = selector.whole_platforms.iter().map(String::as_str).collect();
        let pairs = selector.platforms.iter();
        let (pair_types, pair_platforms): (Vec<&str>, Vec<&str>) = pairs
            .map(|(kind, platform)| (DeviceType::as_str(*kind), platform.as_str()))
            .unzip();
        let concerned: [&(dyn ToSql + Sync); 5] = [&types, &whole, &hostnames, &pair_types, &pair_platforms];
        let select = [&concerned[..], &[&most]].concat();
        let flag = [&concerned[..], &[&at, &cause]].concat();
        (
            session.rows(SELECT_BROAD, &select).await?,
            session.rows(FLAG_BROAD, &flag).await?,
        )
    } else {
        (
            session.rows(SELECT_NAMED, &[&hostnames, &most]).await?,
            session.rows(FLAG_NAMED, &[&hostnames, &at, &cause]).await?,
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
        unknown_hostnames: unknown.into_iter().cloned().collect(),
    })
}

/// Devices chosen by their names. That takes long for a hundred thousand, hence before anything is locked, and on a
/// thread that may be busy; under the lock only those are asked about who came meanwhile.
struct Matched {
    seen: HashSet<Hostname>,
    matched: Vec<Hostname>,
}

impl Matched {
    async fn before_the_lock(session: &Session, predicate: &DevicePredicate) -> Result<Self, StoreError> {
        let rows = session.rows(SELECT_HOSTNAMES, &[]).await?;
        let seen: HashSet<Hostname> = rows.iter().map(hostname).collect::<Result<_, _>>()?;
        let predicate = predicate.clone();
        let choosing = tokio::task::spawn_blocking(move || {
            let matched = seen
                .iter()
                .filter(|hostname| predicate(hostname))
                .cloned()
                .collect();
            Self { seen, matched }
        });
        choosing
            .await
            .map_err(|panic| ErrorClass::Refused.error("choose devices", panic))
    }

    async fn after_the_lock(
        self,
        session: &Session,
        predicate: &DevicePredicate,
    ) -> Result<Vec<Hostname>, StoreError> {
        let Self { seen, mut matched } = self;
        for row in session.rows(SELECT_HOSTNAMES, &[]).await? {
            let hostname = hostname(&row)?;
            if !seen.contains(&hostname) && predicate(&hostname) {
                matched.push(hostname);
            }
        }
        Ok(matched)
    }
}

fn hostname(row: &Row) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.get(0))
}

fn read(row: &Row) -> Result<RepositoryRow, StoreError> {
    let accepted: Option<String> = row.get(3);
    let at: Option<Microseconds> = row.get(4);
    let accepted = column::optional_name("repository.accepted", accepted)?;
    Ok(RepositoryRow {
        name: column::name("repository.name", row.get(0))?,
        branch: row.get(1),
        revision: row.get(2),
        accepted: accepted.zip(at.map(|at| at.0)),
        seen: column::name("repository.seen", row.get(5))?,
        seen_at: row.get::<_, Microseconds>(6).0,
        problem: row.get(7),
    })
}

impl PostgresStore {
    /// The rows of a query outside of any transaction.
    pub(super) async fn rows(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(operation).await?;
        let rows = session.rows_for(operation, sql, parameters).await?;
        session.give_back();
        Ok(rows)
    }
}

impl Session {
    async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.rows_for(OPERATION, sql, parameters).await
    }

    pub(super) async fn rows_for(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.answer(operation, async {
            let statement = self.prepare_cached(sql).await?;
            self.query(&statement, parameters).await
        })
        .await
    }

    async fn execute_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        self.answer(OPERATION, async {
            let statement = self.prepare_cached(sql).await?;
            self.execute(&statement, parameters).await
        })
        .await
    }
}
