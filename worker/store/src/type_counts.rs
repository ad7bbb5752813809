//! How many devices there are of each type, on both databases.

use std::collections::BTreeMap;

use lockstep_protocol::DeviceType;

use super::sql::SqlDatabase;
use super::{StoreError, column};

const COUNT: &str = "SELECT device_type, count(*) FROM device GROUP BY device_type";

/// Counts the devices by type. Reads all devices.
pub(super) async fn read(database: &impl SqlDatabase) -> Result<BTreeMap<DeviceType, u64>, StoreError> {
    let rows = database
        .read_planned_for_now("count devices by type", COUNT, Vec::new())
        .await?;
    let read = rows.iter().map(|row| {
        let device_type = column::word("device.device_type", &row.text("device.device_type", 0)?)?;
        Ok((device_type, column::count(row.integer("count of devices", 1)?)))
    });
    read.collect()
}
