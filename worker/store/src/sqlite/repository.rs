use async_trait::async_trait;
use lockstep_protocol::{Hostname, RepositoryName};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::connection::PooledConnection;
use super::error::Failure;
use crate::error_class::ErrorClass;
use crate::{Facts, GroupRules, Repositories, RepositoryRow, StoreError, column, group_table, repository};

const READ: &str = "read repositories";

macro_rules! select {
    () => {
        "SELECT name, branch, revision, accepted, accepted_at, seen, seen_at, problem, problem_since, warnings, asked_at \
         FROM repository"
    };
}

const SEE: &str = "\
    INSERT INTO repository (name, branch, revision, seen, seen_at, asked_at, problem, problem_since) \
    VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?5, ?6, CASE WHEN ?6 IS NOT NULL THEN ?5 END) \
    ON CONFLICT (name) DO UPDATE SET branch = excluded.branch, revision = excluded.revision, seen = excluded.seen, \
        seen_at = excluded.seen_at, asked_at = excluded.asked_at, problem = excluded.problem, \
        problem_since = CASE WHEN excluded.problem IS NULL THEN NULL \
            WHEN repository.problem IS NULL THEN excluded.seen_at \
            ELSE coalesce(repository.problem_since, repository.seen_at) END \
    WHERE repository.revision = ?3";

const ACCEPT: &str =
    "UPDATE repository SET accepted = ?2, accepted_at = ?3, listing = ?4, warnings = ?5 WHERE name = ?1";

#[async_trait]
impl Repositories for SqliteStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        self.read_in(READ, |connection| {
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
        self.read_in(READ, move |connection| find(connection, &name))
            .await
    }

    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.clone();
        self.read_in(READ, move |connection| {
            let mut select = connection.prepare_cached("SELECT listing FROM repository WHERE name = ?1")?;
            let listing: Option<Option<Vec<u8>>> =
                select.query_row([name.as_str()], |row| row.get(0)).optional()?;
            Ok(listing.flatten())
        })
        .await
    }

    async fn hostnames(&self) -> Result<Vec<Hostname>, StoreError> {
        self.read_in(READ, |connection| {
            let mut select = connection.prepare_cached("SELECT hostname FROM device")?;
            let mut rows = select.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(column::name("device.hostname", row.get(0)?)?);
            }
            Ok(all)
        })
        .await
    }

    async fn group_rules(&self) -> Result<Option<GroupRules>, StoreError> {
        let pooled = PooledConnection::from(&self.readers, READ).await?;
        let rules = group_table::read(&pooled).await?;
        pooled.give_back();
        Ok(rules)
    }
}

pub(super) fn find(connection: &Connection, name: &RepositoryName) -> Result<Option<RepositoryRow>, Failure> {
    let mut select = connection.prepare_cached(concat!(select!(), " WHERE name = ?1"))?;
    let found = select
        .query_row([name.as_str()], |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// Writes the changes of repositories.
pub(super) fn write(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    for change in facts.repository_changes() {
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
            let reason = format!("{} has another revision than {}", change.name, change.revision);
            return Err(ErrorClass::Conflict.error("change a repository", reason).into());
        }
        if let Some(advance) = &change.advance {
            connection.prepare_cached(ACCEPT)?.execute(params![
                change.name.as_str(),
                advance.commit.as_str(),
                at,
                advance.listing.as_slice(),
                repository::joined(&advance.warnings),
            ])?;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<RepositoryRow, Failure> {
    let at: Option<i64> = row.get(4)?;
    let at = at.map(|at| column::read_microseconds("repository.accepted_at", at));
    let since: Option<i64> = row.get(8)?;
    let since = since.map(|since| column::read_microseconds("repository.problem_since", since));
    let asked: Option<i64> = row.get(10)?;
    let asked = asked.map(|asked| column::read_microseconds("repository.asked_at", asked));
    let accepted = column::optional_name("repository.accepted", row.get(3)?)?;
    Ok(RepositoryRow {
        name: column::name("repository.name", row.get(0)?)?,
        branch: row.get(1)?,
        revision: row.get(2)?,
        accepted: accepted.zip(at.transpose()?),
        seen: column::name("repository.seen", row.get(5)?)?,
        seen_at: column::read_microseconds("repository.seen_at", row.get(6)?)?,
        problem: row.get(7)?,
        problem_since: since.transpose()?,
        warnings: repository::split(row.get::<_, Option<String>>(9)?.as_deref()),
        asked_at: asked.transpose()?,
    })
}
