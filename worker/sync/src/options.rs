use std::sync::Arc;
use std::time::Duration;

use lockstep_clock::Clock;
use lockstep_store::SyncRuns;

use crate::{FreezeWindows, Renderer, SyncFlags};

/// How devices are synchronized. All workers should have the same.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// How long a device waits for the confirmation of a commit before it rolls back.
    pub commit_timer: Duration,
    /// How long to wait after a commit before the device is looked at over a new connection: so long protocols need to notice what changed.
    pub read_back_pause: Duration,
    /// How long a device may wait for the end of freeze windows.
    pub park_expires: Duration,
    /// When devices may not be changed.
    pub windows: FreezeWindows,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            commit_timer: Duration::from_mins(5),
            read_back_pause: Duration::from_secs(1),
            park_expires: Duration::from_hours(24),
            windows: FreezeWindows::default(),
        }
    }
}

/// What runs need beside devices.
#[derive(Clone, Debug)]
pub struct SyncServices {
    /// What each element is bound to, and what runs keep.
    pub runs: Arc<dyn SyncRuns>,
    /// Writes the flags.
    pub flags: Arc<dyn SyncFlags>,
    /// Renders intended configurations.
    pub renderer: Arc<dyn Renderer>,
    /// The time, for freeze windows.
    pub clock: Arc<dyn Clock>,
}
