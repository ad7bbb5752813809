//! Opens the store.

use std::sync::Arc;
use std::time::Duration;

use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{
    AccessTokens, AuditLog, DeadLetters, DeliveryAttempts, Entities, Executions, Fleet, FleetTrend,
    FollowUps, Inbox, InventorySources, Leases, LoginSessions, Messages, Migrated, OidcLogins, RenderFacts,
    Repositories, Retention, RunCycle, Schema, Stats, StoreError, SyncPlans, SyncRuns, Tasks, UnitOfWork,
};
use secrecy::SecretString;

use crate::config::{Config, ConfigProblems, StoreUrl};
use crate::data_folder;

/// How long to wait before the next attempt to migrate an unavailable store.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// One store, as each of its traits.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) unit_of_work: Arc<dyn UnitOfWork>,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) fleet: Arc<dyn Fleet>,
    pub(super) fleet_trend: Arc<dyn FleetTrend>,
    pub(super) repositories: Arc<dyn Repositories>,
    pub(super) inventory_sources: Arc<dyn InventorySources>,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) tasks: Arc<dyn Tasks>,
    pub(super) executions: Arc<dyn Executions>,
    pub(super) entities: Arc<dyn Entities>,
    pub(super) cycle: Arc<dyn RunCycle>,
    pub(super) sync_plans: Arc<dyn SyncPlans>,
    pub(super) syncs: Arc<dyn SyncRuns>,
    pub(super) render_facts: Arc<dyn RenderFacts>,
    pub(super) follow_ups: Arc<dyn FollowUps>,
    pub(super) delivery_attempts: Arc<dyn DeliveryAttempts>,
    pub(super) leases: Arc<dyn Leases>,
    pub(super) access_tokens: Arc<dyn AccessTokens>,
    pub(super) login_sessions: Arc<dyn LoginSessions>,
    pub(super) oidc_logins: Arc<dyn OidcLogins>,
    pub(super) audit: Arc<dyn AuditLog>,
    pub(super) retention: Arc<dyn Retention>,
    pub(super) schema: Arc<dyn Schema>,
    pub(super) stats: Arc<dyn Stats>,
}

pub(super) fn open(config: &Config) -> anyhow::Result<Store> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => {
            data_folder::make_for(path)?;
            let options = SqliteOptions {
                readers: usize::from(config.store.pool_size),
                ..SqliteOptions::new(path)
            };
            SqliteStore::open(options)
                .map(Store::of)
                .map_err(|error| invalid(&error))
        }
        StoreUrl::Postgres(url) => connect(config, url).map(Store::of),
    }
}

/// The store if it is PostgreSQL.
pub(super) fn postgres(config: &Config) -> anyhow::Result<Option<Arc<PostgresStore>>> {
    match &config.store.url {
        StoreUrl::Sqlite(_) => Ok(None),
        StoreUrl::Postgres(url) => connect(config, url).map(Some),
    }
}

fn connect(config: &Config, url: &SecretString) -> anyhow::Result<Arc<PostgresStore>> {
    PostgresStore::connect(PostgresOptions {
        ca_file: config.store.ca_file.clone(),
        sessions: usize::from(config.store.pool_size),
        application_name: format!("lockstep {}", process_name()),
        ..PostgresOptions::new(url.clone())
    })
    .map_err(|error| invalid(&error))
}

/// What the database, other workers and people call this process: its machine and its process id.
pub(super) fn process_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // The server keeps 63 bytes.
    let machine: String = machine.trim().chars().take(40).collect();
    format!("{machine}:{}", std::process::id())
}

fn invalid(error: &StoreError) -> anyhow::Error {
    ConfigProblems::one("store.url", error.to_string()).into()
}

impl Store {
    fn of<
        S: UnitOfWork
            + Inbox
            + Messages
            + Fleet
            + FleetTrend
            + Repositories
            + InventorySources
            + DeadLetters
            + Tasks
            + Executions
            + Entities
            + RunCycle
            + SyncPlans
            + SyncRuns
            + RenderFacts
            + FollowUps
            + DeliveryAttempts
            + Leases
            + AccessTokens
            + LoginSessions
            + OidcLogins
            + AuditLog
            + Retention
            + Schema
            + Stats,
    >(
        store: Arc<S>,
    ) -> Self {
        Self {
            unit_of_work: store.clone(),
            inbox: store.clone(),
            messages: store.clone(),
            fleet: store.clone(),
            fleet_trend: store.clone(),
            repositories: store.clone(),
            inventory_sources: store.clone(),
            dead_letters: store.clone(),
            tasks: store.clone(),
            executions: store.clone(),
            entities: store.clone(),
            cycle: store.clone(),
            sync_plans: store.clone(),
            syncs: store.clone(),
            render_facts: store.clone(),
            follow_ups: store.clone(),
            delivery_attempts: store.clone(),
            leases: store.clone(),
            access_tokens: store.clone(),
            login_sessions: store.clone(),
            oidc_logins: store.clone(),
            audit: store.clone(),
            retention: store.clone(),
            schema: store.clone(),
            stats: store,
        }
    }
}

/// Migrates the store, and retries while it is unavailable.
pub(super) async fn migrate_with_retries(store: &Store) -> Result<Migrated, StoreError> {
    loop {
        match store.schema.migrate().await {
            Err(error) if error.is_passing() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store is not there yet, trying on"
                );
                tokio::time::sleep(STORE_PAUSE).await;
            }
            done => return done,
        }
    }
}
