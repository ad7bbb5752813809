//! Where the data of a device says that it is reached.

use serde_json::{Map, Value};

use crate::sql::Row;
use crate::{ManagementEndpoint, StoreError, column};

/// The data of a device, unless it says nothing about this: data may be long, and most of it does not.
macro_rules! endpoint_column {
    () => {
        "CASE WHEN device.data LIKE '%\"management%' THEN device.data END"
    };
}
pub(super) use endpoint_column;

/// Reads the column `endpoint_column!()`. What is no text is kept as it is written, so that it is refused as an address.
pub(super) fn read(row: &Row, index: usize) -> Result<ManagementEndpoint, StoreError> {
    let Some(data) = row.optional_text("device.data", index)? else {
        return Ok(ManagementEndpoint::default());
    };
    let data: Map<String, Value> = column::json("device.data", &data)?;
    let text = |key: &str| match data.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Ok(ManagementEndpoint {
        host: text("management_host"),
        port: text("management_port"),
    })
}
