use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::results::MAX_DEVICES;
use lockstep_protocol::{Hostname, RepositoryName};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use super::{SqliteStore, cause, dead_letters, inbox, lease};
use crate::view::OPEN_CAUSES;
use crate::{
    Changed, Facts, Flagged, Flags, Repositories, RepositoryChange, RepositoryRow, StoreError, column,
};

macro_rules! select {
    () => {
        "SELECT name, branch, revision, accepted, accepted_at, seen, seen_at, problem FROM repository"
    };
}

const SEE: &str = "\
    INSERT INTO repository (name, branch, revision, seen, seen_at, problem) VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6) \
    ON CONFLICT (name) DO UPDATE SET branch = excluded.branch, revision = excluded.revision, seen = excluded.seen, \
        seen_at = excluded.seen_at, problem = excluded.problem \
    WHERE repository.revision = ?3";

const ACCEPT: &str = "UPDATE repository SET accepted = ?2, accepted_at = ?3, listing = ?4 WHERE name = ?1";

/// The parameters are lists in JSON.
macro_rules! concerned {
    () => {
        "(device_type IN (SELECT value FROM json_each(?1)) OR platform IN (SELECT value FROM json_each(?2)) \
          OR hostname IN (SELECT value FROM json_each(?3)) \
          OR (device_type, platform) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?4)))"
    };
}

const FLAG: &str = concat!(
    "UPDATE device SET desired_generation = desired_generation + 1, \
        unsynchronized_since = coalesce(unsynchronized_since, ?5), \
        open_causes = CASE WHEN json_array_length(open_causes) >= ?7 \
            THEN json_remove(json_insert(open_causes, '$[#]', ?6), '$[0]') \
            ELSE json_insert(open_causes, '$[#]', ?6) END \
     WHERE ",
    concerned!()
);

const COUNT_FLIPPED: &str = concat!(
    "SELECT count(*) FROM device WHERE desired_generation = synced_generation AND ",
    concerned!()
);

const SELECT_CONCERNED: &str = concat!(
    "SELECT hostname FROM device WHERE ",
    concerned!(),
    " ORDER BY hostname LIMIT ?5"
);

#[async_trait]
impl Repositories for SqliteStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(concat!(select!(), " ORDER BY name"))?;
            let mut rows = select.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(read(row)?);
            }
            Ok(all)
        })
        .await
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError> {
        let name = name.clone();
        self.read(move |connection| {
            let mut select = connection.prepare_cached(concat!(select!(), " WHERE name = ?1"))?;
            let found = select
                .query_row([name.as_str()], |row| Ok(read(row)))
                .optional()?;
            found.transpose()
        })
        .await
    }

    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.clone();
        self.read(move |connection| {
            let mut select = connection.prepare_cached("SELECT listing FROM repository WHERE name = ?1")?;
            let listing: Option<Option<Vec<u8>>> =
                select.query_row([name.as_str()], |row| row.get(0)).optional()?;
            Ok(listing.flatten())
        })
        .await
    }

    async fn change(&self, change: &RepositoryChange) -> Result<Changed, StoreError> {
        let change = change.clone();
        self.write("change a repository", move |connection| {
            write(connection, &change)
        })
        .await
    }
}

fn write(connection: &Connection, change: &RepositoryChange) -> Result<Changed, Failure> {
    if !lease::holds(connection, &change.lease)? {
        return Ok(Changed::LeaseLost);
    }
    let at = column::microseconds(change.at);
    let seen = connection.prepare_cached(SEE)?.execute(params![
        change.name.as_str(),
        change.branch,
        change.revision,
        change.seen.as_str(),
        at,
        change.problem,
    ])?;
    if seen == 0 {
        return Ok(Changed::Superseded);
    }
    let mut flagged = Flagged::default();
    if let Some(advance) = &change.advance {
        connection.prepare_cached(ACCEPT)?.execute(params![
            change.name.as_str(),
            advance.commit.as_str(),
            at,
            advance.listing.as_slice(),
        ])?;
        if let Some(flags) = &advance.flags {
            flagged = flag(connection, flags)?;
        }
    }
    let mut facts = Facts::default();
    for completion in (change.completions)(&flagged) {
        facts.record(completion);
    }
    inbox::insert(connection, &facts)?;
    dead_letters::write(connection, &facts)?;
    Ok(Changed::Committed)
}

fn flag(connection: &Connection, flags: &Flags) -> Result<Flagged, Failure> {
    let selector = &flags.selector;
    let mut hostnames: Vec<Hostname> = selector.hostnames.iter().cloned().collect();
    let mut known = BTreeSet::new();
    let mut select = connection.prepare_cached("SELECT 1 FROM device WHERE hostname = ?1")?;
    for hostname in &selector.hostnames {
        if select.exists([hostname.as_str()])? {
            known.insert(hostname);
        }
    }
    let unknown = selector
        .hostnames
        .iter()
        .filter(|hostname| !known.contains(hostname));
    let unknown_hostnames = unknown.cloned().collect();
    if let Some(predicate) = &selector.predicate {
        let mut select = connection.prepare_cached("SELECT hostname FROM device")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let hostname: Hostname = column::name("device.hostname", row.get(0)?)?;
            if predicate(&hostname) {
                hostnames.push(hostname);
            }
        }
    }
    let types: Vec<&str> = selector.device_types.iter().map(|kind| kind.as_str()).collect();
    let pairs: Vec<(&str, &str)> = selector
        .platforms
        .iter()
        .map(|(kind, platform)| (kind.as_str(), platform.as_str()))
        .collect();
    let (types, whole) = (json(&types), json(&selector.whole_platforms));
    let (hostnames, pairs) = (json(&hostnames), json(&pairs));

    let mut devices = Vec::new();
    let mut select = connection.prepare_cached(SELECT_CONCERNED)?;
    let mut rows = select.query(params![types, whole, hostnames, pairs, count(MAX_DEVICES)])?;
    while let Some(row) = rows.next()? {
        devices.push(column::name("device.hostname", row.get(0)?)?);
    }
    if devices.is_empty() {
        return Ok(Flagged {
            unknown_hostnames,
            ..Flagged::default()
        });
    }
    let flipped: i64 = connection
        .prepare_cached(COUNT_FLIPPED)?
        .query_row(params![types, whole, hostnames, pairs], |row| row.get(0))?;
    let mut facts = Facts::default();
    facts.cause_of(flags.cause.clone());
    let cause = cause::insert(connection, &facts)?[0];
    let at = column::microseconds(flags.cause.at);
    let concerned = connection.prepare_cached(FLAG)?.execute(params![
        types,
        whole,
        hostnames,
        pairs,
        at,
        cause,
        count(OPEN_CAUSES)
    ])?;
    Ok(Flagged {
        concerned: concerned as u64,
        flipped: u64::try_from(flipped).unwrap_or(0),
        devices,
        unknown_hostnames,
    })
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json(list: &impl serde::Serialize) -> String {
    serde_json::to_string(list).expect("texts are JSON")
}

fn read(row: &Row<'_>) -> Result<RepositoryRow, Failure> {
    let at: Option<i64> = row.get(4)?;
    let at = at.map(|at| column::read_microseconds("repository.accepted_at", at));
    let accepted = column::optional_name("repository.accepted", row.get(3)?)?;
    Ok(RepositoryRow {
        name: column::name("repository.name", row.get(0)?)?,
        branch: row.get(1)?,
        revision: row.get(2)?,
        accepted: accepted.zip(at.transpose()?),
        seen: column::name("repository.seen", row.get(5)?)?,
        seen_at: column::read_microseconds("repository.seen_at", row.get(6)?)?,
        problem: row.get(7)?,
    })
}
