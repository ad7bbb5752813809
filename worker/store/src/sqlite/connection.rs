use std::time::{Duration, Instant};

use deadpool_sqlite::{Config, Hook, HookError, InteractError, Manager, Object, Pool, PoolError, Runtime};
use rusqlite::Connection;

use super::SqliteOptions;
use super::error::Failure;
use crate::StoreError;
use crate::error_class::ErrorClass;

/// A pool that opens connections on demand.
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
    connection.set_prepared_statement_cache_capacity(128);
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
}

/// A connection from the pool. Dropping it closes it after the running operation, which rolls back. Only
/// [`PooledConnection::give_back`] returns it to the pool, so no connection in the pool has an open transaction.
pub(super) struct PooledConnection {
    object: Option<Object>,
}

impl PooledConnection {
    pub(super) async fn from(pool: &Pool, operation: &'static str) -> Result<Self, StoreError> {
        let start = Instant::now();
        let pooled = pool.get().await;
        lockstep_telemetry::store::waited(start.elapsed());
        let object = pooled.map_err(|error| match error {
            PoolError::Backend(error) => ErrorClass::Unavailable.error(operation, error),
            other => ErrorClass::Unavailable.error(operation, other),
        })?;
        Ok(Self { object: Some(object) })
    }

    /// Runs a closure with the connection on a blocking thread. It runs to its end even if this future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let object = self.object.as_ref().expect("taken only by give_back and drop");
        match object.interact(work).await {
            Ok(result) => result.map_err(|failure| failure.in_operation(operation)),
            Err(InteractError::Panic(_)) => {
                Err(ErrorClass::Refused.error(operation, "the operation panicked"))
            }
            Err(InteractError::Cancelled) => Err(ErrorClass::Unavailable.error(operation, "cancelled")),
        }
    }

    /// Returns the connection to the pool. No transaction may be open.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
