//! How many devices there are of each type and state, on both databases.

use lockstep_protocol::{DeviceState, DeviceType};

use super::sql::SqlDatabase;
use super::{StoreError, column};

const COUNT: &str = "SELECT device_type, state, count(*), \
    count(CASE WHEN synced_generation <> desired_generation THEN 1 END) \
    FROM device GROUP BY device_type, state ORDER BY device_type, state";

/// The devices of one type in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCount {
    /// Their type.
    pub device_type: DeviceType,
    /// Their state.
    pub state: DeviceState,
    /// The number of them.
    pub devices: u64,
    /// The number of those that are not synchronized.
    pub unsynchronized: u64,
}

/// Counts the devices by type and state. Reads all devices.
pub(super) async fn read(database: &impl SqlDatabase) -> Result<Vec<DeviceCount>, StoreError> {
    let rows = database
        .read_planned_for_now("count devices by type and state", COUNT, Vec::new())
        .await?;
    let read = rows.iter().map(|row| {
        Ok(DeviceCount {
            device_type: column::word("device.device_type", &row.text("device.device_type", 0)?)?,
            state: column::word("device.state", &row.text("device.state", 1)?)?,
            devices: column::count(row.integer("count of devices", 2)?),
            unsynchronized: column::count(row.integer("count of unsynchronized devices", 3)?),
        })
    });
    read.collect()
}
