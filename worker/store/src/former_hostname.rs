use lockstep_protocol::Hostname;

use super::Version;

/// A hostname that a device had, and that no device has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerHostname {
    /// The name, as it was spelled.
    pub hostname: Hostname,
    /// The present name of the device that was renamed. `None` if it was removed.
    pub current: Option<Hostname>,
    /// The version of the message that renamed or removed it.
    pub version: Version,
}
