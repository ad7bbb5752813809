use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname};

use super::StoreError;

/// Which devices to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceQuery {
    /// Only those whose flag says so.
    pub synchronized: Option<bool>,
    /// Only those in this state.
    pub state: Option<DeviceState>,
    /// Only those of this type.
    pub device_type: Option<DeviceType>,
    /// Only the members of this group.
    pub group: Option<GroupName>,
    /// Only those whose hostname sorts after this one.
    pub after: Option<Hostname>,
    /// At most so many.
    pub limit: u32,
}

/// Reads the fleet.
#[async_trait]
pub trait Fleet: Debug + Send + Sync + 'static {
    /// The devices of a query, ordered by hostname (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<DeviceView>, StoreError>;

    /// One device.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn device(&self, hostname: &Hostname) -> Result<Option<DeviceView>, StoreError>;
}
