use std::ops::Deref;
use std::time::{Duration, Instant};

use deadpool_postgres::{Client, Object, PoolError};
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::error::{classify, unavailable};
use super::{PostgresStore, begin, commit, migrate};
use crate::StoreError;

/// A session lent by the pool. Dropping it closes it, and the server rolls back; only [`Session::give_back`] lends it
/// again. So no session with an open transaction or an unread answer is ever lent.
pub(super) struct Session {
    client: Option<Client>,
    answer_timeout: Duration,
}

impl PostgresStore {
    /// A session on a schema that this program may work on, with its statements prepared.
    pub(super) async fn session(&self, operation: &'static str) -> Result<Session, StoreError> {
        let asked = Instant::now();
        let lent = self.pool.get().await;
        lockstep_telemetry::store::waited(asked.elapsed());
        let client = lent.map_err(|error| cannot_connect(operation, error))?;
        let new = Object::metrics(&client).recycle_count == 0;
        let session = Session {
            client: Some(client),
            answer_timeout: self.options.answer_timeout(),
        };
        if new {
            session.check_version(operation).await?;
            session.prepare(operation).await?;
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

    /// Prepares the statements of batches, in one round trip.
    async fn prepare(&self, operation: &'static str) -> Result<(), StoreError> {
        let statements = begin::STATEMENTS.iter().chain(&commit::STATEMENTS);
        let prepared = try_join_all(statements.map(|sql| self.prepare_cached(sql)));
        self.answer(operation, prepared).await.map(drop)
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
            .as_ref()
            .expect("taken only when given back or dropped")
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
