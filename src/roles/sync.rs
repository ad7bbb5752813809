//! Builds what synchronizes devices.

use std::sync::Arc;

use lockstep_clock::Clock;
use lockstep_sync::{Sync, SyncOptions, SyncServices};
use lockstep_worker::executions::SyncOptions as RequestOptions;
use lockstep_worker::repositories::Source;
use lockstep_worker::sync::StoredFlags;

use super::rendering::renderer;
use super::store::Store;
use super::worker::followed_clusters;
use crate::config::{Approval, Config};

/// The provider on a worker.
pub(super) fn provider(config: &Config, store: &Store, sources: &[Source], clock: &Arc<dyn Clock>) -> Sync {
    let flags = StoredFlags {
        store: store.unit_of_work.clone(),
        runs: store.syncs.clone(),
        executions: store.executions.clone(),
        clusters: followed_clusters(config),
        clock: clock.clone(),
    };
    let services = SyncServices {
        runs: store.syncs.clone(),
        flags: Arc::new(flags),
        renderer: renderer(config, store, sources),
        clock: clock.clone(),
    };
    let sync = &config.sync;
    let options = SyncOptions {
        commit_timer: sync.commit_timer,
        read_back_pause: sync.read_back_pause,
        park_expires: sync.park_expires,
        windows: sync.windows.clone(),
    };
    Sync::new(services, options)
}

/// Which syncs may be requested.
pub(super) fn requests(config: &Config) -> RequestOptions {
    let sync = &config.sync;
    let persons = config.broker.persons.iter().flat_map(|person| {
        let names = person.names.iter();
        names.map(|name| (name.clone(), person.person.clone()))
    });
    RequestOptions {
        approval_required: sync.approval == Approval::Required,
        plan_expires: sync.plan_expires,
        approval_valid: sync.approval_valid,
        persons: persons.collect(),
    }
}
