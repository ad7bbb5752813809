use serde::Deserialize;
use serde_json::value::RawValue;

use super::field::Field;
use super::task::LONGEST_ROW;
use crate::ComplianceCode;

/// A device in CloudVision's inventory.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct InventoryDevice {
    #[serde(rename = "systemMacAddress")]
    pub mac: Field<String>,
    #[serde(rename = "serialNumber")]
    pub serial: Field<String>,
    pub hostname: Field<String>,
    #[serde(rename = "complianceCode")]
    pub code: Field<ComplianceCode>,
    #[serde(rename = "unAuthorized")]
    pub unauthorized: Field<bool>,
    #[serde(rename = "streamingStatus")]
    pub streaming: Field<String>,
}

/// A device in CloudVision's inventory, with what an inventory of another system takes over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ListedDevice {
    pub hostname: Field<String>,
    #[serde(rename = "serialNumber")]
    pub serial: Field<String>,
    #[serde(rename = "systemMacAddress")]
    pub mac: Field<String>,
    #[serde(rename = "modelName")]
    pub model: Field<String>,
    pub version: Field<String>,
    #[serde(rename = "ipAddress")]
    pub ip: Field<String>,
    #[serde(rename = "deviceType")]
    pub kind: Field<String>,
    #[serde(rename = "ztpMode")]
    pub ztp: Field<bool>,
}

/// Reads the inventory as a whole: a list, or a list under `data`. A row that is not a device is an error, with its place in the list.
pub(crate) fn listed(body: &[u8]) -> Result<Vec<ListedDevice>, ListError> {
    let read = |(index, row): (usize, &RawValue)| {
        let row = Some(row.get()).filter(|row| row.len() <= LONGEST_ROW);
        row.and_then(|row| serde_json::from_str(row).ok())
            .ok_or(ListError::Row(index))
    };
    let rows = rows(body).map_err(ListError::Json)?;
    rows.into_iter().enumerate().map(read).collect()
}

/// Why an inventory could not be read as a whole.
#[derive(Debug)]
pub(crate) enum ListError {
    Json(serde_json::Error),
    /// The row with this index is no device, or is too long.
    Row(usize),
}

/// Reads the inventory: a list, or a list under `data`. Invalid and too long rows are skipped, since the inventory only saves requests.
pub(crate) fn inventory(body: &[u8]) -> Result<Vec<InventoryDevice>, serde_json::Error> {
    let rows = rows(body)?;
    let fits = |row: &&RawValue| row.get().len() <= LONGEST_ROW;
    let read = |row: &RawValue| serde_json::from_str::<InventoryDevice>(row.get()).ok();
    Ok(rows.into_iter().filter(fits).filter_map(read).collect())
}

/// The rows of a list, or of a list under `data`.
fn rows(body: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    match serde_json::from_slice(body) {
        Ok(rows) => Ok(rows),
        Err(_) => Ok(serde_json::from_slice::<Wrapped<'_>>(body)?.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_rows_are_skipped() {
        let rows = r#"[{"systemMacAddress": "aa", "complianceCode": "0001", "ztpMode": "false"}, 7, {"complianceCode": null}]"#;
        for body in [rows.to_owned(), format!("{{\"total\": 3, \"data\": {rows}}}")] {
            let devices = inventory(body.as_bytes()).unwrap();
            assert_eq!(devices.len(), 2, "{devices:?}");
            assert_eq!(devices[0].code, Field::Is(ComplianceCode::Config));
        }
        assert!(inventory(b"<html>").is_err());
    }

    #[test]
    fn a_list_is_read_as_a_whole_or_not_at_all() {
        let row = r#"{"hostname": "sw1", "serialNumber": 7, "ipAddress": null, "ztpMode": "true", "modelName": ["?"]}"#;
        let devices = listed(format!("[{row}, {{}}]").as_bytes()).unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!(devices[0].serial, Field::Is("7".to_owned()));
        assert_eq!(
            (&devices[0].ztp, &devices[0].ip),
            (&Field::Is(true), &Field::Missing)
        );
        assert_eq!(devices[0].model, Field::Unreadable);
        let place = match listed(format!("{{\"data\": [{row}, 7]}}").as_bytes()) {
            Err(ListError::Row(index)) => Some(index),
            _ => None,
        };
        assert_eq!(place, Some(1));
        assert!(matches!(listed(b"<html>"), Err(ListError::Json(_))));
    }
}
