//! Reads one device as people write it: the fields of [`ImportedDevice`] and its interfaces, with words in any case, and numbers
//! instead of text.

use std::collections::HashSet;

use lockstep_device::DeviceAddress;
use lockstep_protocol::events::{ImportedDevice, ImportedInterface};
use lockstep_protocol::{DeviceType, InterfaceName};
use serde_json::{Map, Value};

use super::Entry;

/// The known fields. Others are ignored with a warning.
const FIELDS: &[&str] = &[
    "hostname",
    "device_type",
    "platform",
    "state",
    "note",
    "until",
    "synchronized",
    "controller",
    "management_ip",
    "mac",
    "serial",
    "vendor",
    "model",
    "os_version",
    "groups",
    "interfaces",
    "data",
];

/// Fields that only Lockstep sets. `lockstep devices list --json` prints them, so that its output can be imported.
const READ_ONLY: &[&str] = &[
    "id",
    "unsynchronized_since",
    "desired_generation",
    "synced_generation",
    "checked_at",
    "primary_group",
    "causes",
    "marked",
];

/// Fields that are text even where they look like numbers.
const TEXTS: &[&str] = &[
    "hostname",
    "controller",
    "platform",
    "mac",
    "serial",
    "vendor",
    "model",
    "os_version",
    "management_ip",
    "note",
];

/// Fields whose values are upper-case words.
const WORDS: &[&str] = &["device_type", "state"];

/// The unknown fields of an entry.
pub(super) fn unknown(fields: &Map<String, Value>) -> Vec<&str> {
    fields
        .keys()
        .map(String::as_str)
        .filter(|name| !FIELDS.contains(name) && !READ_ONLY.contains(name))
        .collect()
}

/// Reads one device. An error begins with the name of the field.
pub(super) fn read(mut fields: Map<String, Value>) -> Result<Entry, String> {
    // `key:` without a value counts as absent.
    fields.retain(|name, value| FIELDS.contains(&name.as_str()) && !value.is_null());
    let interfaces = fields.remove("interfaces");
    for (name, value) in &mut fields {
        // Fractions are refused, because 4.30 would become 4.3; they must be in quotes.
        if let Value::Number(number) = value
            && TEXTS.contains(&name.as_str())
            && !number.is_f64()
        {
            *value = Value::String(number.to_string());
        }
        if let Value::String(text) = value
            && WORDS.contains(&name.as_str())
        {
            *text = text.to_ascii_uppercase();
        }
    }
    if let Some(Value::Array(groups)) = fields.get_mut("groups") {
        for group in groups {
            if let Value::Number(number) = group {
                *group = Value::String(number.to_string());
            }
        }
    }
    if !fields.contains_key("device_type") {
        return Err(format!(
            "device_type is missing; expected one such as {}",
            types()
        ));
    }
    let device: ImportedDevice =
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." {
                String::new()
            } else {
                format!("{path}: ")
            };
            format!("{place}{}", error.inner())
        })?;
    device.data.as_ref().map_or(Ok(()), check_endpoint)?;
    let interfaces = read_interfaces(&device, interfaces)?;
    Ok(Entry { device, interfaces })
}

/// Workers connect to what the data says.
fn check_endpoint(data: &Map<String, Value>) -> Result<(), String> {
    let is_host = |value: &Value| {
        value
            .as_str()
            .is_some_and(|host| host.parse::<DeviceAddress>().is_ok())
    };
    if let Some(host) = data.get("management_host").filter(|host| !is_host(host)) {
        return Err(format!(
            "data.management_host: {host} must be a host name or an IP address, such as sw1.example.org"
        ));
    }
    let is_port = |value: &Value| value.as_u64().is_some_and(|port| (1..=65535).contains(&port));
    match data.get("management_port").filter(|port| !is_port(port)) {
        Some(port) => Err(format!(
            "data.management_port: {port} must be a number from 1 to 65535"
        )),
        None => Ok(()),
    }
}

/// The types that every site has. A site may declare more, which its workers know.
pub(super) fn types() -> String {
    DeviceType::CNAAS.map(|kind| kind.to_string()).join(", ")
}

/// Reads interfaces: names, or maps with a name and a configuration.
fn read_interfaces(device: &ImportedDevice, value: Option<Value>) -> Result<Vec<ImportedInterface>, String> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err("interfaces: must be a list of names, or of {name, configuration}".to_owned()),
    };
    let read = |(index, item): (usize, Value)| {
        let (name, configuration) = match item {
            Value::String(name) => (name, None),
            Value::Object(mut fields) => match (fields.remove("name"), fields.remove("configuration")) {
                (Some(Value::String(name)), configuration) => {
                    (name, configuration.filter(|value| !value.is_null()))
                }
                _ => return Err(format!("interfaces[{index}].name: must be text")),
            },
            _ => {
                return Err(format!(
                    "interfaces[{index}]: must be a name, or {{name, configuration}}"
                ));
            }
        };
        let name =
            InterfaceName::try_from(name).map_err(|error| format!("interfaces[{index}].name: {error}"))?;
        Ok(ImportedInterface {
            hostname: device.hostname.clone(),
            name,
            configuration,
        })
    };
    let interfaces = items
        .into_iter()
        .enumerate()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    match interfaces.iter().find(|interface| !names.insert(&interface.name)) {
        Some(twice) => Err(format!("interfaces: {} is listed twice", twice.name)),
        None => Ok(interfaces),
    }
}
