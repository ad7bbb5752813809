//! The stores of a test: SQLite in a file, or PostgreSQL in a schema.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{
    AuditLog, DeliveryAttempts, Executions, Fleet, FollowUps, Leases, RunCycle, Schema, SyncPlans, SyncRuns,
    UnitOfWork,
};

/// Which database a test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Sqlite,
    Postgres,
}

/// One store, as each of its traits.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) unit_of_work: Arc<dyn UnitOfWork>,
    pub(crate) executions: Arc<dyn Executions>,
    pub(crate) cycle: Arc<dyn RunCycle>,
    pub(crate) follow_ups: Arc<dyn FollowUps>,
    pub(crate) delivery_attempts: Arc<dyn DeliveryAttempts>,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) schema: Arc<dyn Schema>,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) syncs: Arc<dyn SyncRuns>,
    pub(crate) plans: Arc<dyn SyncPlans>,
    pub(crate) audit: Arc<dyn AuditLog>,
}

impl Store {
    fn of<S>(store: Arc<S>) -> Self
    where
        S: UnitOfWork
            + Executions
            + RunCycle
            + FollowUps
            + DeliveryAttempts
            + Leases
            + Schema
            + Fleet
            + SyncRuns
            + SyncPlans
            + AuditLog,
    {
        Self {
            unit_of_work: store.clone(),
            executions: store.clone(),
            cycle: store.clone(),
            follow_ups: store.clone(),
            delivery_attempts: store.clone(),
            leases: store.clone(),
            schema: store.clone(),
            syncs: store.clone(),
            plans: store.clone(),
            audit: store.clone(),
            fleet: store,
        }
    }
}

/// A database with the schema of this program.
pub(crate) struct Database {
    ground: Ground,
    address: String,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Database {
    pub(crate) async fn new(ground: Ground, folder: &Path) -> Result<Self> {
        match ground {
            Ground::Sqlite => {
                let file = folder.join("store.sqlite");
                let database = Self {
                    ground,
                    address: file.to_string_lossy().into_owned(),
                    _keep: Box::new(()),
                };
                database.open()?.schema.migrate().await?;
                Ok(database)
            }
            Ground::Postgres => {
                let schema = lockstep_testbed::schema().await?;
                let owner = PostgresStore::connect(PostgresOptions::new(schema.url_as("migrate")))?;
                owner.migrate().await?;
                Ok(Self {
                    ground,
                    address: schema.url_as("worker"),
                    _keep: Box::new(schema),
                })
            }
        }
    }

    /// A store of its own, as each process has it.
    pub(crate) fn open(&self) -> Result<Store> {
        Ok(match self.ground {
            Ground::Sqlite => Store::of(SqliteStore::open(SqliteOptions::new(&self.address))?),
            Ground::Postgres => Store::of(PostgresStore::connect(PostgresOptions::new(&*self.address))?),
        })
    }
}
