//! Builds what synchronizes devices.

use lockstep_sync::{Sync, SyncOptions, SyncServices};
use lockstep_worker::executions::SyncOptions as RequestOptions;

use crate::config::{Approval, SyncConfig};

/// The provider on a worker with these services.
pub(super) fn provider(config: &SyncConfig, services: Option<SyncServices>) -> Sync {
    let Some(services) = services else {
        return Sync::described();
    };
    let options = SyncOptions {
        commit_timer: config.commit_timer,
        read_back_pause: config.read_back_pause,
        park_expires: config.park_expires,
        windows: config.windows.clone(),
    };
    Sync::new(services, options)
}

/// Which syncs may be requested.
pub(super) fn requests(config: &SyncConfig) -> RequestOptions {
    RequestOptions {
        approval_required: config.approval == Approval::Required,
        plan_expires: config.plan_expires,
    }
}
