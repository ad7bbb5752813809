//! Reads the devices of a CloudVision cluster. CloudVision does not know their types in the network; a file or the operator names them.

use std::collections::HashMap;
use std::net::IpAddr;

use lockstep_cvp::wire::{Field, ListedDevice};
use lockstep_protocol::{DeviceType, Hostname};
use serde_json::{Map, Value};

use super::yaml::parse;
use super::{Inventory, InventoryError, entry, gather};

/// Which type a device has: by the file, else the one that it has already, else the default.
#[derive(Debug, Default)]
pub(crate) struct CvpTypes {
    /// Hostnames, and beginnings of hostnames with `*` behind them, in lower case.
    pub(crate) by_name: HashMap<String, DeviceType>,
    /// The types of devices that exist, by hostname in lower case.
    pub(crate) existing: HashMap<String, DeviceType>,
    pub(crate) default: Option<DeviceType>,
}

impl CvpTypes {
    /// Reads a file such as `sw1: ACCESS`, or `core-*: CORE` for all hostnames that begin so.
    ///
    /// # Errors
    /// All problems, each with its key.
    pub(crate) fn read(file: &str, text: &str) -> Result<HashMap<String, DeviceType>, InventoryError> {
        let Value::Object(pairs) = parse(file, text)? else {
            let problem = format!(
                "{file}: must be a map of hostnames to types, such as `sw1: ACCESS` or `core-*: CORE`"
            );
            return Err(InventoryError::one(problem));
        };
        let mut problems = Vec::new();
        let mut types = HashMap::new();
        for (name, value) in pairs {
            let beginning = name.strip_suffix('*').unwrap_or(&name);
            let device_type = value
                .as_str()
                .and_then(|text| text.to_ascii_uppercase().parse().ok());
            if beginning.contains('*') {
                problems.push(format!("{file}: {name}: a star may only stand at the end"));
            } else if let Some(device_type) = device_type {
                if types.insert(name.to_lowercase(), device_type).is_some() {
                    problems.push(format!("{file}: {name}: is listed twice"));
                }
            } else {
                problems.push(format!(
                    "{file}: {name}: {value} is not a device type such as {}",
                    entry::types()
                ));
            }
        }
        if problems.is_empty() {
            Ok(types)
        } else {
            Err(InventoryError(problems))
        }
    }

    /// A whole hostname counts more than a beginning, and a longer beginning more than a shorter one.
    fn of(&self, hostname: &str) -> Option<&DeviceType> {
        let name = hostname.to_lowercase();
        let beginnings = (0..=name.len()).rev().filter(|end| name.is_char_boundary(*end));
        self.by_name
            .get(&name)
            .or_else(|| {
                beginnings
                    .into_iter()
                    .find_map(|end| self.by_name.get(&format!("{}*", &name[..end])))
            })
            .or_else(|| self.existing.get(&name))
            .or(self.default.as_ref())
    }
}

/// The devices of a cluster. Those that boot without a configuration (ZTP) are left out with a warning: they have no name yet.
///
/// # Errors
/// All problems, each with the row and the device.
pub(crate) fn read(
    cluster: &str,
    devices: Vec<ListedDevice>,
    types: &CvpTypes,
) -> Result<Inventory, InventoryError> {
    let mut warnings = Vec::new();
    let mut results = Vec::new();
    for (index, device) in devices.into_iter().enumerate() {
        let name = [&device.hostname, &device.serial, &device.mac]
            .map(Field::text)
            .into_iter()
            .find(|name| !name.is_empty());
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        let place = format!("{cluster}: device {}{name}", index + 1);
        if device.ztp == Field::Is(true) {
            warnings.push(format!("{place}: left out, because it is in ZTP mode"));
            continue;
        }
        let read = fields(device, types).and_then(entry::read);
        results.push(match read {
            Ok(entry) => Ok((place, entry)),
            Err(problem) => Err(format!("{place}: {problem}")),
        });
    }
    Ok(Inventory {
        entries: gather(results)?,
        warnings,
        ..Inventory::default()
    })
}

fn fields(device: ListedDevice, types: &CvpTypes) -> Result<Map<String, Value>, String> {
    let text = |name: &str, field: Field<String>| match field {
        Field::Is(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Field::Missing => Ok(None),
        Field::Unreadable => Err(format!("{name}: cannot be read; it must be text")),
    };
    let hostname = text("hostname", device.hostname)?
        .ok_or("hostname: is missing; give the device one in CloudVision")?;
    let hostname: Hostname = hostname.parse().map_err(|error| format!("hostname: {error}"))?;
    let device_type = types.of(hostname.as_str()).ok_or(
        "has no type; set one for all new devices with --default-type, or name it in the file, such as `sw1: ACCESS`",
    )?;
    let address = text("ipAddress", device.ip)?;
    if let Some(address) = &address {
        address
            .parse::<IpAddr>()
            .map_err(|error| format!("ipAddress: {address:?}: {error}"))?;
    }
    let platform =
        text("deviceType", device.kind)?.map_or_else(|| "eos".to_owned(), |kind| kind.to_lowercase());
    let vendor = (platform == "eos").then(|| "Arista".to_owned());
    let optional = [
        ("mac", text("systemMacAddress", device.mac)?),
        ("serial", text("serialNumber", device.serial)?),
        ("model", text("modelName", device.model)?),
        ("os_version", text("version", device.version)?),
        ("management_ip", address),
        ("platform", Some(platform)),
        ("vendor", vendor),
    ];
    let mut fields = Map::new();
    fields.insert("hostname".to_owned(), hostname.as_str().into());
    fields.insert("device_type".to_owned(), device_type.as_str().into());
    for (name, value) in optional {
        fields.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(row: Value) -> ListedDevice {
        serde_json::from_value(row).unwrap()
    }

    fn access() -> CvpTypes {
        CvpTypes {
            default: Some(DeviceType::ACCESS),
            ..CvpTypes::default()
        }
    }

    #[test]
    fn devices_have_what_cloudvision_knows() {
        let full = listed(json!({
            "hostname": "sw1", "fqdn": "sw1.example.net", "systemMacAddress": "44:4c:a8:00:00:01", "serialNumber": "JPE1",
            "modelName": "DCS-7050SX3", "version": "4.28.3M", "deviceType": "eos", "ipAddress": "192.0.2.1", "ztpMode": false,
        }));
        let bare = listed(json!({"hostname": "sw2", "modelName": "", "deviceType": "thirdParty"}));
        let booting = listed(json!({"hostname": "localhost", "serialNumber": "JPE3", "ztpMode": "true"}));
        let inventory = read("oslo", vec![full, bare, booting], &access()).unwrap();
        let devices: Vec<Value> = inventory
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.device).unwrap())
            .collect();
        let expected = [
            json!({
                "hostname": "sw1", "device_type": "ACCESS", "platform": "eos", "vendor": "Arista", "mac": "44:4c:a8:00:00:01",
                "serial": "JPE1", "model": "DCS-7050SX3", "os_version": "4.28.3M", "management_ip": "192.0.2.1",
            }),
            json!({"hostname": "sw2", "device_type": "ACCESS", "platform": "thirdparty"}),
        ];
        assert_eq!(devices, expected);
        assert_eq!(
            inventory.warnings,
            ["oslo: device 3 (localhost): left out, because it is in ZTP mode"]
        );
    }

    #[test]
    fn the_type_is_that_of_the_file_else_the_present_one_else_the_default() {
        let text = "sw1: core\nsw*: DIST\n'sw-b*': SPINE\n";
        let types = CvpTypes {
            by_name: CvpTypes::read("types.yml", text).unwrap(),
            existing: [("old", DeviceType::FIREWALL), ("sw9", DeviceType::CORE)]
                .map(|(name, device_type)| (name.to_owned(), device_type))
                .into(),
            default: Some(DeviceType::ACCESS),
        };
        for (hostname, expected) in [
            ("sw1", "CORE"),
            ("SW1", "CORE"),
            ("sw10", "DIST"),
            ("sw9", "DIST"),
            ("sw-b7", "SPINE"),
            ("old", "FIREWALL"),
            ("new", "ACCESS"),
        ] {
            assert_eq!(
                types.of(hostname).map(DeviceType::as_str),
                Some(expected),
                "{hostname}"
            );
        }
        assert_eq!(CvpTypes::default().of("sw1"), None);
        let problems = CvpTypes::read("types.yml", "sw1: 7\n'a*b': CORE\nsw2: CORE\nSW2: CORE\n")
            .unwrap_err()
            .0;
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems.iter().all(|problem| problem.starts_with("types.yml: ")),
            "{problems:?}"
        );
        assert!(CvpTypes::read("types.yml", "[sw1]").is_err());
    }

    #[test]
    fn problems_name_the_device_and_what_to_do() {
        let table = [
            (
                json!({"serialNumber": "JPE1"}),
                "oslo: device 1 (JPE1): hostname: is missing",
            ),
            (
                json!({"hostname": "a_b"}),
                "oslo: device 1 (a_b): hostname: \"a_b\" is not a hostname",
            ),
            (
                json!({"hostname": "sw1", "ipAddress": "here"}),
                "oslo: device 1 (sw1): ipAddress: \"here\": invalid IP",
            ),
            (
                json!({"hostname": "sw1", "version": [1]}),
                "oslo: device 1 (sw1): version: cannot be read",
            ),
            (
                json!({"hostname": "sw1", "systemMacAddress": "x"}),
                "oslo: device 1 (sw1): mac: ",
            ),
        ];
        for (row, said) in table {
            let problems = read("oslo", vec![listed(row)], &access()).unwrap_err().0;
            assert!(
                problems.len() == 1 && problems[0].starts_with(said),
                "{problems:?}"
            );
        }
        let twice = vec![
            listed(json!({"hostname": "sw1"})),
            listed(json!({"hostname": "SW1"})),
        ];
        assert_eq!(read("oslo", twice.clone(), &access()).unwrap_err().0.len(), 1);
        let problems = read("oslo", twice, &CvpTypes::default()).unwrap_err().0;
        assert!(
            problems.len() == 2 && problems[0].contains("--default-type"),
            "{problems:?}"
        );
    }
}
