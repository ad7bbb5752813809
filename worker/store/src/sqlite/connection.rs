use std::time::{Duration, Instant};

use deadpool_sqlite::{Config, Hook, HookError, InteractError, Manager, Object, Pool, PoolError, Runtime};
use rusqlite::{Connection, TransactionBehavior};

use super::error::Failure;
use super::{SqliteOptions, SqliteStore, migrate};
use crate::StoreError;
use crate::error_class::ErrorClass;

/// A pool that opens nothing yet.
pub(super) fn pool(options: &SqliteOptions, connections: usize) -> Result<Pool, StoreError> {
    let lock_timeout = options.lock_timeout;
    let manager = Manager::from_config(&Config::new(&options.path), Runtime::Tokio1);
    Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(lock_timeout))
        .post_create(Hook::async_fn(move |connection, _| {
            Box::pin(async move {
                connection
                    .interact(move |connection| configure(connection, lock_timeout))
                    .await
                    .map_err(|error| HookError::message(error.to_string()))?
                    .map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|error| StoreError::Address {
            reason: error.to_string(),
        })
}

fn configure(connection: &mut Connection, lock_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(lock_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
}

/// A connection lent by the pool. Dropping it closes it, which rolls back, once what runs on it has ended; only
/// [`Lent::give_back`] lends it again. So no connection with an open transaction is ever lent.
pub(super) struct Lent {
    object: Option<Object>,
}

impl Lent {
    pub(super) async fn from(pool: &Pool, operation: &'static str) -> Result<Self, StoreError> {
        let asked = Instant::now();
        let lent = pool.get().await;
        lockstep_telemetry::store::waited(asked.elapsed());
        let object = lent.map_err(|error| match error {
            PoolError::Backend(error) => ErrorClass::Unavailable.error(operation, error),
            other => ErrorClass::Unavailable.error(operation, other),
        })?;
        Ok(Self { object: Some(object) })
    }

    /// Runs on the connection, on a thread that may wait. It runs to its end even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let object = self
            .object
            .as_ref()
            .expect("taken only when given back or dropped");
        match object.interact(work).await {
            Ok(result) => result.map_err(|failure| failure.in_operation(operation)),
            Err(InteractError::Panic(_)) => Err(ErrorClass::Refused.error(operation, "a panic")),
            Err(InteractError::Cancelled) => Err(ErrorClass::Unavailable.error(operation, "cancelled")),
        }
    }

    /// Lends the connection again: no transaction is open.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

impl SqliteStore {
    /// Reads in one transaction, which sees one state.
    pub(super) async fn read_in<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lent = Lent::from(&self.readers, operation).await?;
        let answer = lent
            .run(operation, |connection| {
                let transaction = connection.transaction()?;
                migrate::check(&transaction)?;
                read(&transaction)
            })
            .await?;
        lent.give_back();
        Ok(answer)
    }

    /// Writes in one transaction.
    pub(super) async fn write_in<T: Send + 'static>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lent = Lent::from(&self.writer, operation).await?;
        let written = lent
            .run(operation, |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                migrate::check(&transaction)?;
                let written = write(&transaction)?;
                transaction.commit()?;
                Ok(written)
            })
            .await?;
        lent.give_back();
        Ok(written)
    }
}
