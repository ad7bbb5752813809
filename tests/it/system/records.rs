//! Reads the rows of the store without the code under test.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lockstep_protocol::{Hostname, Identity};
use serde_json::Value;

/// The database of a scene.
#[derive(Clone, Debug)]
pub(crate) enum Records {
    Postgres { url: String },
    Sqlite { path: PathBuf },
}

/// A row of the inbox.
#[derive(Clone, Debug)]
pub(crate) struct InboxRecord {
    pub(crate) redrive_count: i32,
    pub(crate) state: String,
    pub(crate) result: Value,
}

/// A dead letter in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterRecord {
    pub(crate) number: i64,
    pub(crate) state: String,
    pub(crate) code: String,
}

/// An entry of the audit about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditRecord {
    pub(crate) message: Identity,
    pub(crate) principal: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) broker_user: Option<String>,
    pub(crate) reason: Option<String>,
}

/// The counters of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generations {
    pub(crate) desired: i64,
    pub(crate) synced: i64,
}

const INBOX: &str = "SELECT source, id, state, result, redrive_count FROM inbox";
const DEAD_LETTERS: &str = "SELECT source, id, redrive_count, number, state, code FROM dead_letter";
const DEVICES: &str = "SELECT hostname, desired_generation, synced_generation FROM device";

const AUDIT: &str = "SELECT message_source, message_id, principal, outcome, code, broker_user, reason FROM audit \
    WHERE message_id IS NOT NULL ORDER BY number";

impl Records {
    /// Number of processed messages.
    pub(crate) async fn processed(&self) -> Result<i64> {
        const COUNT: &str = "SELECT count(*) FROM inbox";
        match self {
            Self::Postgres { url } => Ok(postgres(url).await?.query_one(COUNT, &[]).await?.get(0)),
            Self::Sqlite { path } => Ok(sqlite(path)?.query_row(COUNT, [], |row| row.get(0))?),
        }
    }

    /// All processed messages.
    pub(crate) async fn inbox(&self) -> Result<BTreeMap<Identity, InboxRecord>> {
        type Columns = (String, String, String, String, i32);
        let rows: Vec<Columns> = match self {
            Self::Postgres { url } => {
                let rows = postgres(url).await?.query(INBOX, &[]).await?;
                rows.iter()
                    .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
                    .collect()
            }
            Self::Sqlite { path } => {
                let connection = sqlite(path)?;
                let mut statement = connection.prepare(INBOX)?;
                let rows = statement.query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })?;
                rows.collect::<Result<_, _>>()?
            }
        };
        let record = |(source, id, state, result, redrive_count): Columns| {
            let identity = Identity {
                source: source.try_into()?,
                id: id.try_into()?,
            };
            Ok((
                identity,
                InboxRecord {
                    redrive_count,
                    state,
                    result: serde_json::from_str(&result)?,
                },
            ))
        };
        rows.into_iter().map(record).collect()
    }

    /// All dead letters, by message and redrive count.
    pub(crate) async fn dead_letters(&self) -> Result<BTreeMap<(Identity, i32), DeadLetterRecord>> {
        type Columns = (String, String, i32, i64, String, String);
        let rows: Vec<Columns> = match self {
            Self::Postgres { url } => {
                let rows = postgres(url).await?.query(DEAD_LETTERS, &[]).await?;
                let columns = rows.iter().map(|row| {
                    (
                        row.get(0),
                        row.get(1),
                        row.get(2),
                        row.get(3),
                        row.get(4),
                        row.get(5),
                    )
                });
                columns.collect()
            }
            Self::Sqlite { path } => {
                let connection = sqlite(path)?;
                let mut statement = connection.prepare(DEAD_LETTERS)?;
                let columns = statement.query_map([], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                    ))
                })?;
                columns.collect::<Result<_, _>>()?
            }
        };
        let record = |(source, id, redrive_count, number, state, code): Columns| {
            let identity = Identity {
                source: source.try_into()?,
                id: id.try_into()?,
            };
            Ok((
                (identity, redrive_count),
                DeadLetterRecord { number, state, code },
            ))
        };
        rows.into_iter().map(record).collect()
    }

    /// All entries of the audit about messages, the oldest first.
    pub(crate) async fn audit(&self) -> Result<Vec<AuditRecord>> {
        type Columns = (String, String, [Option<String>; 5]);
        let rows: Vec<Columns> = match self {
            Self::Postgres { url } => {
                let rows = postgres(url).await?.query(AUDIT, &[]).await?;
                rows.iter()
                    .map(|row| {
                        (
                            row.get(0),
                            row.get(1),
                            [2, 3, 4, 5, 6].map(|column| row.get(column)),
                        )
                    })
                    .collect()
            }
            Self::Sqlite { path } => {
                let connection = sqlite(path)?;
                let mut statement = connection.prepare(AUDIT)?;
                let rows = statement.query_map([], |row| {
                    let rest = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
                    Ok((row.get(0)?, row.get(1)?, rest))
                })?;
                rows.collect::<Result<_, _>>()?
            }
        };
        let record = |(source, id, rest): Columns| {
            let [principal, outcome, code, broker_user, reason] = rest;
            Ok(AuditRecord {
                message: Identity {
                    source: source.try_into()?,
                    id: id.try_into()?,
                },
                principal,
                outcome,
                code,
                broker_user,
                reason,
            })
        };
        rows.into_iter().map(record).collect()
    }

    /// All devices with their counters.
    pub(crate) async fn devices(&self) -> Result<BTreeMap<Hostname, Generations>> {
        let rows: Vec<(String, i64, i64)> = match self {
            Self::Postgres { url } => {
                let rows = postgres(url).await?.query(DEVICES, &[]).await?;
                rows.iter()
                    .map(|row| (row.get(0), row.get(1), row.get(2)))
                    .collect()
            }
            Self::Sqlite { path } => {
                let connection = sqlite(path)?;
                let mut statement = connection.prepare(DEVICES)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                rows.collect::<Result<_, _>>()?
            }
        };
        let device = |(hostname, desired, synced): (String, i64, i64)| {
            Ok((hostname.parse()?, Generations { desired, synced }))
        };
        rows.into_iter().map(device).collect()
    }
}

async fn postgres(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn sqlite(path: &PathBuf) -> Result<rusqlite::Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags);
    let connection = connection.with_context(|| format!("cannot read {}", path.display()))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}
