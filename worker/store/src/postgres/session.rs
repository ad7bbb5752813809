use std::ops::Deref;
use std::time::{Duration, Instant};

use deadpool_postgres::{Client, Object, Pool, PoolError};
use futures_util::future::try_join_all;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::{classify, unavailable};
use super::migrate;
use super::options::PostgresOptions;
use crate::StoreError;

/// A session from the pool. Dropping it closes it, and the server rolls back. Only [`Session::give_back`] returns it to the
/// pool, so no session in the pool has an open transaction or an unread answer.
pub(super) struct Session {
    client: Option<Client>,
    answer_timeout: Duration,
}

impl Session {
    /// Takes a session from the pool. A new session checks the schema version and prepares these statements.
    pub(super) async fn from_pool(
        pool: &Pool,
        options: &PostgresOptions,
        statements: impl Iterator<Item = &'static str>,
        operation: &'static str,
    ) -> Result<Self, StoreError> {
        let start = Instant::now();
        let pooled = pool.get().await;
        lockstep_telemetry::store::waited(start.elapsed());
        let client = pooled.map_err(|error| cannot_connect(operation, error))?;
        let new = Object::metrics(&client).recycle_count == 0;
        let session = Session {
            client: Some(client),
            answer_timeout: options.answer_timeout(),
        };
        if new {
            session.check_version(operation).await?;
            let prepared = try_join_all(statements.map(|sql| session.prepare_cached(sql)));
            session.answer(operation, prepared).await?;
        }
        Ok(session)
    }
}

fn cannot_connect(operation: &'static str, error: PoolError) -> StoreError {
    match error {
        // Whatever the server answers to a new session, a later attempt may succeed.
        PoolError::Backend(error) => unavailable(operation, error),
        other => unavailable(operation, other),
    }
}

impl Session {
    /// Returns the session to the pool. No transaction may be open, and no answer outstanding.
    pub(super) fn give_back(mut self) {
        drop(self.client.take());
    }

    /// The time limit for an answer.
    pub(super) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Waits for an answer, up to the time limit.
    pub(super) async fn answer<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match timeout(self.answer_timeout, answer).await {
            Ok(answer) => answer.map_err(|error| classify(operation, error)),
            Err(elapsed) => Err(unavailable(operation, elapsed)),
        }
    }

    /// Fails unless this program may use the schema.
    pub(super) async fn check_version(&self, operation: &'static str) -> Result<(), StoreError> {
        let found = self.answer(operation, migrate::found(self)).await?;
        migrate::check(found)
    }

    /// The rows of a prepared statement.
    pub(super) async fn rows_for(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.answer(operation, async {
            let statement = self.prepare_cached(sql).await?;
            self.client().query(&statement, parameters).await
        })
        .await
    }

    /// Runs a prepared statement, and returns how many rows it changed.
    pub(super) async fn execute_one(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        self.answer(operation, async {
            let statement = self.prepare_cached(sql).await?;
            self.execute(&statement, parameters).await
        })
        .await
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("taken only by give_back and drop")
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // Removed from the pool, so that another one can be opened. Dropping it closes the connection.
            drop(Object::take(client));
        }
    }
}
