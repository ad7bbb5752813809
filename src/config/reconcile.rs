use std::time::Duration;

use super::reader::Reader;

/// `[reconcile]`
#[derive(Debug)]
pub(crate) struct ReconcileConfig {
    /// How long to pause between two passes.
    pub(crate) every: Duration,
}

impl ReconcileConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
        Self {
            every: reader.duration("reconcile.every", Duration::from_mins(1), bounds, None),
        }
    }
}
