use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::container::{USUAL_KEY, USUAL_NAME};
use super::{BASE_TIME, Fields};

/// A device; CloudVision calls it a net element.
#[derive(Clone, Debug)]
pub struct Device {
    pub mac: String,
    pub hostname: String,
    pub serial: String,
    pub ip_address: String,
    pub model: String,
    /// Key and name of its container.
    pub container: (String, String),
    /// The compliance code that CloudVision shows. It follows [`Device::change_configuration`] after the compliance lag.
    pub compliance_code: String,
    pub compliance_indication: String,
    pub unauthorized: bool,
    /// `Registered`, or another registration status.
    pub status: String,
    /// `active` or `inactive`. While it is not active, the code is stale.
    pub streaming_status: String,
    pub ztp_mode: bool,
    /// Deviations in the answer of `checkCompliance.do`.
    pub compliance_fields: Fields,
    /// Deviations in the rows of the inventory.
    pub inventory_fields: Fields,
    changed: Option<(Instant, String)>,
}

impl Device {
    /// A registered, streaming and compliant device.
    pub fn new(mac: &str, hostname: &str) -> Self {
        Self {
            mac: mac.to_owned(),
            hostname: hostname.to_owned(),
            serial: format!("JPE{}", mac.replace(':', "").to_uppercase()),
            ip_address: "192.0.2.11".to_owned(),
            model: "DCS-7050SX3-48YC8".to_owned(),
            container: (USUAL_KEY.to_owned(), USUAL_NAME.to_owned()),
            compliance_code: "0000".to_owned(),
            compliance_indication: String::new(),
            unauthorized: false,
            status: "Registered".to_owned(),
            streaming_status: "active".to_owned(),
            ztp_mode: false,
            compliance_fields: Fields::default(),
            inventory_fields: Fields::default(),
            changed: None,
        }
    }

    /// Sets the shown code at once, with its compliance indication.
    pub fn set_code(&mut self, code: &str) {
        code.clone_into(&mut self.compliance_code);
        indication(code).clone_into(&mut self.compliance_indication);
        self.changed = None;
    }

    /// Changes the actual code. CloudVision shows it after the compliance lag, and only while the device streams.
    pub fn change_configuration(&mut self, code: &str) {
        self.changed = Some((Instant::now(), code.to_owned()));
    }

    /// The actual code, whether CloudVision shows it yet or not.
    pub(crate) fn true_code(&self) -> &str {
        match &self.changed {
            Some((_, code)) => code,
            None => &self.compliance_code,
        }
    }

    pub(crate) fn settle(&mut self, now: Instant, lag: Duration) {
        let Some((at, code)) = &self.changed else { return };
        if self.streaming_status == "active" && now.duration_since(*at) >= lag {
            let code = code.clone();
            self.set_code(&code);
        }
    }

    /// The response of `checkCompliance.do`.
    pub(crate) fn compliance(&self, tasks: &[Value]) -> Value {
        let mut answer = json!({
            "ipAddress": self.ip_address,
            "modelName": self.model,
            "internalVersion": "4.28.3M",
            "version": "4.28.3M",
            "systemMacAddress": self.mac,
            "key": self.mac,
            "type": "netelement",
            "serialNumber": self.serial,
            "fqdn": self.fqdn(),
            "hardwareRevision": "11.00",
            "architecture": "i386",
            "internalBuildId": "5c45d1b1",
            "memTotal": 0,
            "memFree": 0,
            "bootupTimeStamp": 1_731_000_000.25,
            "ztpMode": self.ztp_mode.to_string(),
            "isDANZEnabled": "no",
            "isMLAGEnabled": "no",
            "taskIdList": tasks,
            "tempAction": [],
            "complianceCode": self.compliance_code,
            "complianceIndication": self.compliance_indication,
            "lastSyncUp": 0,
            "unAuthorized": self.unauthorized,
            "deviceInfo": null,
            "deviceStatus": self.status,
            "deviceStatusInfo": self.status,
            "parentContainerId": self.container.0,
            "containerName": self.container.1,
            "sslConfigAvailable": false,
            "dcaKey": "",
            "streamingStatus": self.streaming_status,
        });
        self.compliance_fields.apply(&mut answer);
        answer
    }

    /// The row of the device in `/inventory/devices`.
    pub(crate) fn inventory_row(&self) -> Value {
        let mut row = json!({
            "hostname": self.hostname,
            "fqdn": self.fqdn(),
            "domainName": "example.net",
            "systemMacAddress": self.mac,
            "serialNumber": self.serial,
            "modelName": self.model,
            "version": "4.28.3M",
            "internalVersion": "4.28.3M",
            "internalBuild": "5c45d1b1",
            "architecture": "i386",
            "hardwareRevision": "11.00",
            "deviceType": "eos",
            "bootupTimestamp": 1_731_000_000.25,
            "danzEnabled": false,
            "mlagEnabled": false,
            "streamingStatus": self.streaming_status,
            "ztpMode": self.ztp_mode,
            "parentContainerKey": self.container.0,
            "status": self.status,
            "complianceCode": self.compliance_code,
            "complianceIndication": self.compliance_indication,
            "unAuthorized": self.unauthorized,
            "ipAddress": self.ip_address,
        });
        self.inventory_fields.apply(&mut row);
        row
    }

    /// The row of the device in `searchTopology.do`, in the format since 2021.3 or in the older one.
    pub(crate) fn topology_row(&self, new_form: bool) -> Value {
        let mut row = json!({
            "systemMacAddress": self.mac,
            "key": self.mac,
            "type": "netelement",
            "serialNumber": self.serial,
            "hostname": self.hostname,
            "fqdn": self.fqdn(),
            "ipAddress": self.ip_address,
            "version": "4.28.3M",
            "deviceStatus": self.status,
            "parentContainerId": self.container.0,
            "complianceCode": self.compliance_code,
            "complianceIndication": self.compliance_indication,
            "ztpMode": self.ztp_mode.to_string(),
        });
        if new_form {
            row["modelName"] = json!(self.model);
            row["mlagEnabled"] = json!(false);
        } else {
            row["modelName"] = json!("");
            row["isMLAGEnabled"] = json!("no");
            row["memTotal"] = json!(0);
            row["bootupTimeStamp"] = json!(1_731_000_000.25);
        }
        row
    }

    /// The value of the device in `arista.inventory.v1`.
    pub(crate) fn resource(&self) -> Value {
        let streaming = if self.streaming_status == "active" {
            "ACTIVE"
        } else {
            "INACTIVE"
        };
        json!({
            "key": {"deviceId": self.serial},
            "softwareVersion": "4.28.3M",
            "modelName": self.model,
            "fqdn": self.fqdn(),
            "hostname": self.hostname,
            "systemMacAddress": self.mac,
            "bootTime": BASE_TIME,
            "streamingStatus": format!("STREAMING_STATUS_{streaming}"),
        })
    }

    pub(crate) fn fqdn(&self) -> String {
        format!("{}.example.net", self.hostname)
    }
}

fn indication(code: &str) -> &'static str {
    match code {
        "0000" => "",
        "0005" | "0006" | "0011" => "ERROR",
        _ => "WARNING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_shown_code_follows_after_the_lag_while_the_device_streams() {
        let mut device = Device::new("aa:bb:cc:00:00:01", "leaf1");
        device.change_configuration("0001");
        let changed = Instant::now();
        device.settle(changed, LAG);
        assert_eq!(
            (device.compliance_code.as_str(), device.true_code()),
            ("0000", "0001")
        );

        device.streaming_status = "inactive".to_owned();
        device.settle(changed + 2 * LAG, LAG);
        assert_eq!(device.compliance_code, "0000");

        device.streaming_status = "active".to_owned();
        device.settle(changed + 2 * LAG, LAG);
        assert_eq!(device.compliance_code, "0001");
        assert_eq!(device.compliance_indication, "WARNING");
    }
}
