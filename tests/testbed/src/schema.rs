//! Makes one schema per test.

use std::net::SocketAddr;

use anyhow::Context;
use tokio_postgres::{Client, NoTls};

use crate::environment;

/// A new schema in the database of this test run.
///
/// # Errors
///
/// The run has no database (the error says: run `tests/run`), or the database rejected the schema.
pub async fn schema() -> anyhow::Result<Schema> {
    Schema::create(&environment::required(environment::DATABASE_URL)?).await
}

/// The schema of a test. Dropping the value drops the schema with its content.
pub struct Schema {
    name: String,
    database: String,
}

impl Schema {
    pub(crate) async fn create(database: &str) -> anyhow::Result<Self> {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        execute(database, &format!("CREATE SCHEMA {name}"))
            .await
            .context("create a schema")?;
        Ok(Self {
            name,
            database: database.to_owned(),
        })
    }

    /// URL of the database. All its connections use this schema.
    pub fn url(&self) -> String {
        let joint = if self.database.contains('?') { '&' } else { '?' };
        format!("{}{joint}options=-csearch_path%3D{}", self.database, self.name)
    }

    /// The same URL with another address, such as that of a [`FaultProxy`](crate::FaultProxy).
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", &url));
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let login = place
            .rsplit_once('@')
            .map(|(login, _)| format!("{login}@"))
            .unwrap_or_default();
        format!("{scheme}://{login}{proxy}/{path}")
    }

    /// The address of the database.
    ///
    /// # Errors
    ///
    /// The URL has no host, or the host does not resolve.
    pub fn addr(&self) -> anyhow::Result<SocketAddr> {
        crate::url::Url::parse(&self.database, 5432)?.resolve()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection that uses this schema.
    ///
    /// # Errors
    ///
    /// The server does not run.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.url()).await
    }
}

impl Drop for Schema {
    /// Best effort: a private database may have ended already, and an open transaction must not delay the run.
    fn drop(&mut self) {
        let drop = format!("SET lock_timeout = '3s'; DROP SCHEMA {} CASCADE", self.name);
        let database = self.database.clone();
        // A separate thread, because this one may be inside a runtime.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(execute(&database, &drop))
        });
        let _ = thread.join();
    }
}

async fn execute(database: &str, sql: &str) -> anyhow::Result<()> {
    let client = connect(database).await?;
    client.batch_execute(sql).await?;
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("connect to the database")?;
    // It ends when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}
