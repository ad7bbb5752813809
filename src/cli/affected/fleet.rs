use std::collections::BTreeMap;
use std::path::Path;

use lockstep_intent::fleet::{Candidate, DeviceTypes};
use lockstep_protocol::{DeviceType, Hostname};
use serde::Deserialize;

use crate::inventory;

/// The devices of an inventory, by hostname.
#[derive(Debug)]
pub(super) struct Fleet(BTreeMap<Hostname, Device>);

/// The fields of a device that decide whether a change affects it.
#[derive(Debug, Deserialize)]
pub(super) struct Device {
    hostname: Hostname,
    #[serde(rename = "device_type")]
    pub(super) kind: DeviceType,
    #[serde(default)]
    pub(super) platform: Option<String>,
}

impl Fleet {
    /// Reads a YAML list, a Nornir inventory, or the output of `lockstep devices list --json`.
    pub(super) fn read(
        file: &Path,
        default_type: Option<DeviceType>,
        types: &DeviceTypes,
    ) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).ok();
        let devices = match text.as_deref().and_then(listed) {
            Some(devices) => devices,
            None => devices_of(inventory::read_file(file, default_type, types)?),
        };
        let devices = devices
            .into_iter()
            .map(|device| (device.hostname.clone(), device));
        Ok(Self(devices.collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, hostname: &Hostname) -> Option<&Device> {
        self.0.get(hostname)
    }

    /// All devices, sorted by hostname.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.0.values().map(|device| Candidate {
            hostname: &device.hostname,
            device_type: &device.kind,
            platform: device.platform.as_deref(),
        })
    }
}

/// Reads the output of `lockstep devices list --json`, also of another version: most fields are ignored.
fn listed(text: &str) -> Option<Vec<Device>> {
    text.trim_start().starts_with('[').then_some(())?;
    serde_json::from_str(text).ok()
}

fn devices_of(inventory: inventory::Inventory) -> Vec<Device> {
    let device = |entry: inventory::Entry| Device {
        hostname: entry.device.hostname,
        kind: entry.device.device_type,
        platform: entry.device.platform,
    };
    inventory.entries.into_iter().map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The devices of a file, or the error.
    fn read(name: &str, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        match Fleet::read(&file, None, &DeviceTypes::default()) {
            Ok(fleet) => {
                let devices = fleet.candidates().map(|device| {
                    format!(
                        "{} {} {}",
                        device.hostname,
                        device.device_type,
                        device.platform.unwrap_or("-")
                    )
                });
                devices.collect::<Vec<_>>().join(", ")
            }
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn inventories_of_three_kinds_are_read() {
        let expected = "sw1 ACCESS eos, sw2 DIST -";
        let table = [
            (
                "fleet.yml",
                "- {hostname: sw2, device_type: dist}\n- {hostname: sw1, device_type: ACCESS, platform: eos}\n",
            ),
            (
                "flow.yml",
                "[{hostname: sw1, device_type: ACCESS, platform: eos}, {hostname: sw2, device_type: DIST}]",
            ),
            (
                "list.json",
                "[{\"id\": 1, \"hostname\": \"sw1\", \"device_type\": \"ACCESS\", \"platform\": \"eos\", \"added\": {}}, \
                 {\"hostname\": \"sw2\", \"device_type\": \"DIST\", \"platform\": null}]",
            ),
            (
                "hosts.yaml",
                "sw1: {platform: eos, data: {device_type: ACCESS}}\nsw2: {data: {role: dist}}\n",
            ),
        ];
        for (name, text) in table {
            assert_eq!(read(name, text), expected, "{name}");
        }
        assert_eq!(read("empty.yml", ""), "");
        assert_eq!(read("empty.json", "[]"), "");
    }

    #[test]
    fn problems_of_an_inventory_name_their_place() {
        for (text, expected) in [
            (
                "- {hostname: sw1}",
                "fleet.yml: entry 1 (sw1): device_type is missing",
            ),
            (
                "[{\"hostname\": \"a_b\", \"device_type\": \"ACCESS\"}]",
                "entry 1 (a_b): hostname: ",
            ),
            ("- [", "fleet.yml:2:1: "),
            ("text", "must be a list of devices"),
        ] {
            let error = read("fleet.yml", text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
