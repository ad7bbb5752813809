//! Makes one schema per test.

use std::net::SocketAddr;

use anyhow::Context;
use tokio_postgres::{Client, NoTls};

use crate::environment;

/// The logins of the roles, which all schemas share. Only `test-migrate` has rights in a new schema: it owns it.
const LOGINS: [&str; 3] = ["test-migrate", "test-worker", "test-console"];
const PASSWORD: &str = "test";

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
        let logins = LOGINS.map(|login| {
            format!(
                "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{login}') THEN \
                    CREATE ROLE \"{login}\" LOGIN PASSWORD '{PASSWORD}'; \
                 END IF;"
            )
        });
        // One at a time, because two that create the same login at once fail.
        let create = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('logins of tests', 0)); \
             DO $$ BEGIN {} END $$; CREATE SCHEMA {name} AUTHORIZATION \"{}\"; COMMIT",
            logins.concat(),
            LOGINS[0]
        );
        execute(database, &create).await.context("create a schema")?;
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

    /// The same URL with the login of a role: `migrate`, which owns the schema, `worker` or `console`. The latter have the rights that
    /// `lockstep migrate` gave them.
    pub fn url_as(&self, role: &str) -> String {
        let url = self.url();
        let (scheme, _, place, path) = parts(&url);
        format!("{scheme}://test-{role}:{PASSWORD}@{place}/{path}")
    }

    /// A URL of this schema with another address, such as that of a [`FaultProxy`](crate::FaultProxy).
    pub fn through(url: &str, proxy: SocketAddr) -> String {
        let (scheme, login, _, path) = parts(url);
        format!("{scheme}://{login}@{proxy}/{path}")
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

/// Scheme, login, host with port, and the rest of a URL with a login.
fn parts(url: &str) -> (&str, &str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, host) = place.rsplit_once('@').unwrap_or(("", place));
    (scheme, login, host, path)
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
