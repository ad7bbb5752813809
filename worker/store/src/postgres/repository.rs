use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::{Hostname, RepositoryName};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::microseconds::Microseconds;
use super::session::Session;
use crate::error_class::ErrorClass;
use crate::{
    Facts, GroupRules, Repositories, RepositoryChange, RepositoryRow, StoreError, column, group_table,
    repository,
};

const OPERATION: &str = "change a repository";

macro_rules! select {
    () => {
        "SELECT name, branch, revision, accepted, accepted_at, seen, seen_at, problem, problem_since, warnings, asked_at \
         FROM repository"
    };
}

const SELECT_ALL: &str = concat!(select!(), " ORDER BY name");
const SELECT: &str = concat!(select!(), " WHERE name = $1");
const SELECT_LISTING: &str = "SELECT listing FROM repository WHERE name = $1";

const SEE: &str = "\
    INSERT INTO repository (name, branch, revision, seen, seen_at, asked_at, problem, problem_since) \
    VALUES ($1, $2, $3::bigint + 1, $4, $5, $5, $6, CASE WHEN $6::text IS NOT NULL THEN $5::timestamptz END) \
    ON CONFLICT (name) DO UPDATE SET branch = excluded.branch, revision = excluded.revision, seen = excluded.seen, \
        seen_at = excluded.seen_at, asked_at = excluded.asked_at, problem = excluded.problem, \
        problem_since = CASE WHEN excluded.problem IS NULL THEN NULL \
            WHEN repository.problem IS NULL THEN excluded.seen_at \
            ELSE coalesce(repository.problem_since, repository.seen_at) END \
    WHERE repository.revision = $3";

const ACCEPT: &str =
    "UPDATE repository SET accepted = $2, accepted_at = $3, listing = $4, warnings = $5 WHERE name = $1";

const SELECT_HOSTNAMES: &str = "SELECT hostname FROM device";

const LOCK: &str = concat!(select!(), " WHERE name = $1 FOR NO KEY UPDATE");

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

    async fn hostnames(&self) -> Result<Vec<Hostname>, StoreError> {
        let rows = self.rows("read hostnames", SELECT_HOSTNAMES, &[]).await?;
        let hostname = |row: &Row| column::name("device.hostname", row.get(0));
        rows.iter().map(hostname).collect()
    }

    async fn group_rules(&self) -> Result<Option<GroupRules>, StoreError> {
        let session = self.session("read groups").await?;
        let rules = group_table::read(&session).await?;
        session.give_back();
        Ok(rules)
    }
}

/// Locks repositories in the order of their names, and adds them to the facts.
pub(super) async fn lock(
    session: &Session,
    names: &BTreeSet<RepositoryName>,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    for name in names {
        for row in session.rows_for(OPERATION, LOCK, &[&name.as_str()]).await? {
            facts.add_repository(read(&row)?);
        }
    }
    Ok(())
}

/// Writes the changes of repositories.
pub(super) async fn write(session: &Session, facts: &Facts) -> Result<(), StoreError> {
    for change in facts.repository_changes() {
        change_one(session, change).await?;
    }
    Ok(())
}

async fn change_one(session: &Session, change: &RepositoryChange) -> Result<(), StoreError> {
    let (name, at) = (change.name.as_str(), Microseconds(change.at));
    let problem = change.problem.as_deref().map(column::without_nul);
    let seen = change.seen.as_str();
    let row: [&(dyn ToSql + Sync); 6] = [&name, &change.branch, &change.revision, &seen, &at, &problem];
    if session.execute_one(OPERATION, SEE, &row).await? == 0 {
        let reason = format!("{name} has another revision than {}", change.revision);
        return Err(ErrorClass::Conflict.error(OPERATION, reason));
    }
    if let Some(advance) = &change.advance {
        let (commit, listing) = (advance.commit.as_str(), advance.listing.as_slice());
        let warnings = repository::joined(&advance.warnings);
        let warnings = warnings.as_deref().map(column::without_nul);
        session
            .execute_one(OPERATION, ACCEPT, &[&name, &commit, &at, &listing, &warnings])
            .await?;
    }
    Ok(())
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
        problem_since: row.get::<_, Option<Microseconds>>(8).map(|at| at.0),
        warnings: repository::split(row.get(9)),
        asked_at: row.get::<_, Option<Microseconds>>(10).map(|at| at.0),
    })
}
