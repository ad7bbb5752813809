use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::field::{Field, FromWire, composite, scalar};
use crate::ComplianceCode;

/// The longest compliance code, in bytes. The known ones have four digits.
const LONGEST_CODE: usize = 40;

/// The result of CloudVision's compliance check of a device.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Compliance {
    #[serde(rename = "complianceCode")]
    pub code: Field<ComplianceCode>,
    /// `""`, `NONE`, `WARNING`, `ERROR`.
    #[serde(rename = "complianceIndication")]
    pub indication: Field<String>,
    /// Overrides the code where it is true.
    #[serde(rename = "unAuthorized")]
    pub unauthorized: Field<bool>,
    #[serde(rename = "deviceStatus")]
    pub device_status: Field<String>,
    /// If a device does not stream, its code may be outdated.
    #[serde(rename = "streamingStatus")]
    pub streaming: Field<String>,
    #[serde(rename = "ztpMode")]
    pub ztp_mode: Field<bool>,
    #[serde(rename = "systemMacAddress")]
    pub mac: Field<String>,
    pub key: Field<String>,
    #[serde(rename = "serialNumber")]
    pub serial: Field<String>,
    pub fqdn: Field<String>,
    /// The tasks of the device, if the release lists them.
    #[serde(rename = "taskIdList")]
    pub tasks: Field<Vec<TaskOnDevice>>,
}

/// One of the tasks of a device.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TaskOnDevice {
    #[serde(rename = "workOrderId")]
    pub id: Field<String>,
    #[serde(rename = "workOrderUserDefinedStatus")]
    pub status: Field<String>,
}

/// An empty code counts as missing, not as unknown.
impl FromWire for ComplianceCode {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        scalar(deserializer, |value| match value {
            Value::String(code) if code.is_empty() => Field::Missing,
            Value::String(code) if code.len() <= LONGEST_CODE => Field::Is(code.as_str().into()),
            _ => Field::Unreadable,
        })
    }
}

impl FromWire for Vec<TaskOnDevice> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        composite(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_text_is_a_code() {
        let table = [
            (json!("0000"), Field::Is(ComplianceCode::InSync)),
            (json!("0042"), Field::Is(ComplianceCode::Other("0042".to_owned()))),
            (json!(""), Field::Missing),
            (json!(null), Field::Missing),
            (json!(0), Field::Unreadable),
            (json!("0".repeat(41)), Field::Unreadable),
            (json!(["0000"]), Field::Unreadable),
        ];
        for (value, expected) in table {
            let read: Compliance = serde_json::from_value(json!({"complianceCode": value})).unwrap();
            assert_eq!(read.code, expected, "{value}");
        }
    }

    #[test]
    fn a_captured_answer_is_read() {
        let read: Compliance = serde_json::from_value(json!({
            "isDANZEnabled": "no", "isMLAGEnabled": "no", "complianceIndication": "WARNING", "tempAction": [],
            "complianceCode": "0001", "lastSyncUp": 0, "unAuthorized": false, "deviceInfo": null,
            "deviceStatus": "Registered", "streamingStatus": "active", "ztpMode": "false",
            "taskIdList": [{"workOrderId": 7, "workOrderUserDefinedStatus": "Pending", "data": {}}],
        }))
        .unwrap();
        assert_eq!(read.code, Field::Is(ComplianceCode::Config));
        assert_eq!(
            (read.unauthorized, read.ztp_mode),
            (Field::Is(false), Field::Is(false))
        );
        assert_eq!(read.tasks.get().unwrap()[0].id.text(), "7");
        assert_eq!(read.mac, Field::Missing);
    }
}
