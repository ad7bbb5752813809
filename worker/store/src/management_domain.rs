use super::{ManagementDomain, Version};

/// What a message does to a management domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementDomainChange {
    /// The number of the domain.
    pub id: u64,
    /// The whole domain afterwards. `None` if it is removed.
    pub domain: Option<ManagementDomain>,
    /// The version of the message.
    pub version: Version,
}

/// A management domain as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementDomainRow {
    /// The domain. `None` if it was removed, which is remembered for a while, with the version of that message.
    pub domain: Option<ManagementDomain>,
    /// The version of the newest message about it.
    pub version: Option<Version>,
    /// Whether the store has a row of it.
    pub stored: bool,
    /// Whether the batch changed it.
    pub changed: bool,
}
