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

/// Reads the inventory: a list, or a list under `data`. Invalid and too long rows are skipped, since the inventory only saves requests.
pub(crate) fn inventory(body: &[u8]) -> Result<Vec<InventoryDevice>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let rows: Vec<&RawValue> = match serde_json::from_slice(body) {
        Ok(rows) => rows,
        Err(_) => serde_json::from_slice::<Wrapped<'_>>(body)?.data,
    };
    let fits = |row: &&RawValue| row.get().len() <= LONGEST_ROW;
    let read = |row: &RawValue| serde_json::from_str::<InventoryDevice>(row.get()).ok();
    Ok(rows.into_iter().filter(fits).filter_map(read).collect())
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
}
