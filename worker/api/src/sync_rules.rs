use std::fmt::Debug;

use lockstep_protocol::rest::RuleView;
use lockstep_protocol::{DeviceState, DeviceType, SyncTarget};

/// The rules of sync runs, as far as the console shows them: it does not depend on what they belong to.
pub trait SyncRules: Debug + Send + Sync + 'static {
    /// Whether a sync run with this target contacts a device of it.
    ///
    /// # Errors
    /// Why the device is skipped, such as `synchronized`.
    fn selects(
        &self,
        target: &SyncTarget,
        resync: bool,
        state: DeviceState,
        synchronized: bool,
    ) -> Result<(), String>;

    /// The rules by which a message of this type gives this cause to devices. None for a type or a cause that this version does not know.
    fn rules(&self, kind: &str, cause: &str) -> Vec<RuleView>;

    /// Whether the site has devices of this type.
    ///
    /// # Errors
    /// The types that it has, for people.
    fn knows(&self, device_type: &DeviceType) -> Result<(), String>;
}
