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

/// A session lent by the pool. Dropping it closes it, and the server rolls back; only [`Session::give_back`] lends it
/// again. So no session with an open transaction or an unread answer is ever lent.
pub(super) struct Session {
    client: Option<Client>,
    answer_timeout: Duration,
}

impl Session {
    /// Takes a session out of the pool. A new one is checked against the schema, and prepares these statements.
    pub(super) async fn lend(
        pool: &Pool,
        options: &PostgresOptions,
        statements: impl Iterator<Item = &'static str>,
        operation: &'static str,
    ) -> Result<Self, StoreError> {
        let asked = Instant::now();
        let lent = pool.get().await;
        lockstep_telemetry::store::waited(asked.elapsed());
        let client = lent.map_err(|error| cannot_connect(operation, error))?;
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
        // Whatever the server says to a new session, the next attempt may be welcome.
        PoolError::Backend(error) => unavailable(operation, error),
        other => unavailable(operation, other),
    }
}

impl Session {
    /// Lends the session again: no transaction is open, no answer is awaited.
    pub(super) fn give_back(mut self) {
        drop(self.client.take());
    }

    /// How long to wait for an answer.
    pub(super) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Waits for an answer, within bounds.
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

    /// Fails unless this program may work on the schema.
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
        self.client
            .as_ref()
            .expect("taken only when given back or dropped")
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
            // Out of the pool, which makes room for another one; dropping it closes the connection.
            drop(Object::take(client));
        }
    }
}
