//! Reads a dump of CNaaS NMS's devices: the answer of `GET /api/v1.0/devices`, or only its list.

use std::collections::BTreeSet;

use lockstep_protocol::{DeviceState, DeviceType};
use serde_json::{Map, Value};

use super::{Entry, Inventory, InventoryError, entry, gather};

/// Fields that have the same name and meaning in Lockstep.
const SAME: [&str; 7] = [
    "hostname",
    "platform",
    "management_ip",
    "serial",
    "vendor",
    "model",
    "os_version",
];

/// Fields of CNaaS NMS that Lockstep has no use for.
const UNUSED: [&str; 14] = [
    "id",
    "site_id",
    "description",
    "secondary_management_ip",
    "dhcp_ip",
    "infra_ip",
    "oob_ip",
    "confhash",
    "last_seen",
    "port",
    "stack_members",
    "cpe_mac",
    "deleted",
    "primary_group",
];

/// The states and types by the numbers that CNaaS NMS stores.
const STATES: [(u64, DeviceState); 8] = [
    (0, DeviceState::Unknown),
    (1, DeviceState::PreConfigured),
    (2, DeviceState::DhcpBoot),
    (3, DeviceState::Discovered),
    (4, DeviceState::Init),
    (5, DeviceState::Managed),
    (6, DeviceState::ManagedNoif),
    (99, DeviceState::Unmanaged),
];
const TYPES: [(u64, DeviceType); 4] = [
    (0, DeviceType::UNKNOWN),
    (1, DeviceType::ACCESS),
    (2, DeviceType::DIST),
    (3, DeviceType::CORE),
];

/// Reads a dump. Problems begin with the name of the `file`.
///
/// # Errors
/// All problems: a syntax error with line and column, others with the place in the dump and the hostname.
pub(crate) fn read(file: &str, text: &str) -> Result<Inventory, InventoryError> {
    let dump: Value = serde_json::from_str(text).map_err(|error| {
        InventoryError::one(format!("{file}:{}:{}: {error}", error.line(), error.column()))
    })?;
    let (place, items) =
        devices(dump).map_err(|problem| InventoryError::one(format!("{file}: {problem}")))?;
    let mut unknown = BTreeSet::new();
    let results: Vec<_> = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| one(&format!("{file}: {place}[{index}]"), item, &mut unknown))
        .collect();
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.into_iter().collect();
        warnings.push(format!("{file}: ignored unknown fields: {}", unknown.join(", ")));
    }
    Ok(Inventory {
        entries: gather(results)?,
        warnings,
    })
}

/// The list of devices, and its place in the dump.
fn devices(dump: Value) -> Result<(&'static str, Vec<Value>), String> {
    const EXPECTED: &str = "expected {\"status\": \"success\", \"data\": {\"devices\": […]}}, which `GET /api/v1.0/devices` of CNaaS NMS \
        answers, or the list alone";
    let mut answer = match dump {
        Value::Array(items) => return Ok(("$", items)),
        Value::Object(answer) => answer,
        _ => return Err(EXPECTED.to_owned()),
    };
    if let Some(status) = answer.get("status").filter(|status| *status != "success") {
        let message = answer
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no message");
        return Err(format!(
            "status is {status}: CNaaS NMS refused the request: {message}"
        ));
    }
    match answer.get_mut("data").and_then(|data| data.get_mut("devices")) {
        Some(Value::Array(items)) => Ok(("$.data.devices", std::mem::take(items))),
        Some(_) => Err(format!("$.data.devices: must be a list; {EXPECTED}")),
        None => Err(format!("$.data.devices is missing; {EXPECTED}")),
    }
}

fn one(place: &str, item: Value, unknown: &mut BTreeSet<String>) -> Result<(String, Entry), String> {
    let Value::Object(device) = item else {
        return Err(format!("{place}: must be an object"));
    };
    let hostname = device.get("hostname").and_then(Value::as_str);
    let place = hostname.map_or_else(|| place.to_owned(), |hostname| format!("{place} ({hostname})"));
    let read = fields(device, unknown).and_then(entry::read);
    match read {
        Ok(entry) => Ok((place, entry)),
        Err(problem) => Err(format!("{place}: {problem}")),
    }
}

/// The fields as Lockstep has them. An empty text counts as absent, and `synchronized` that CNaaS NMS never set as false.
fn fields(device: Map<String, Value>, unknown: &mut BTreeSet<String>) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    fields.insert("synchronized".to_owned(), false.into());
    for (name, value) in device {
        let is_empty = value.is_null() || value == "";
        match name.as_str() {
            "state" => {
                let state = word("state", &value, &STATES)?;
                fields.insert(name, state.as_str().into());
            }
            "device_type" => {
                let device_type = word("device_type", &value, &TYPES)?;
                fields.insert(name, device_type.as_str().into());
            }
            "synchronized" if is_empty => {}
            "synchronized" => {
                let flag = value
                    .as_bool()
                    .ok_or_else(|| format!("synchronized: is {value}, must be true, false or null"))?;
                fields.insert(name, flag.into());
            }
            "ztp_mac" if !is_empty => {
                let mac = value
                    .as_str()
                    .ok_or_else(|| format!("ztp_mac: is {value}, must be text"))?;
                lockstep_protocol::Mac::try_from(mac.to_owned())
                    .map_err(|error| format!("ztp_mac: {error}"))?;
                fields.insert("mac".to_owned(), mac.into());
            }
            same if SAME.contains(&same) => {
                if !is_empty {
                    fields.insert(name, value);
                }
            }
            "ztp_mac" => {}
            unused if UNUSED.contains(&unused) => {}
            _ => {
                unknown.insert(name);
            }
        }
    }
    Ok(fields)
}

/// A state or a type by its name, or by its number. A site may declare more types than CNaaS NMS has; the worker knows them.
fn word<T: Clone + std::str::FromStr + std::fmt::Display>(
    field: &str,
    value: &Value,
    numbers: &[(u64, T)],
) -> Result<T, String> {
    let known = || {
        let names: Vec<String> = numbers.iter().map(|(_, word)| word.to_string()).collect();
        format!("{field}: is {value}, must be one of {}", names.join(", "))
    };
    let found = match value {
        Value::String(name) => name.to_ascii_uppercase().parse().ok(),
        value => value.as_u64().and_then(|number| {
            let found = numbers.iter().find(|(known, _)| *known == number);
            found.map(|(_, word)| word.clone())
        }),
    };
    found.ok_or_else(known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump(devices: &Value) -> String {
        json!({"status": "success", "data": {"devices": devices}}).to_string()
    }

    fn problems(text: &str) -> Vec<String> {
        read("d.json", text).unwrap_err().0
    }

    #[test]
    fn a_dump_is_read_with_its_names_for_fields() {
        let list = json!([
            {
                "id": 7, "hostname": "eosdist1", "site_id": null, "description": null, "management_ip": "10.100.3.101",
                "secondary_management_ip": null, "dhcp_ip": null, "infra_ip": "10.199.1.1", "oob_ip": null, "serial": "",
                "ztp_mac": "08002708a8be", "platform": "eos", "vendor": "Arista", "model": "veos", "os_version": "4.22.3M-14418192",
                "synchronized": true, "state": "MANAGED", "device_type": "DIST", "confhash": "ab12", "last_seen": "2020-01-01T00:00:00",
                "port": null, "color": 7,
            },
            {"hostname": "mac-080027F60C55", "ztp_mac": null, "synchronized": null, "state": "DHCP_BOOT", "device_type": "UNKNOWN"},
            {"hostname": "old", "state": 99, "device_type": 3},
        ]);
        let inventory = read("d.json", &dump(&list)).unwrap();
        let devices: Vec<Value> = inventory
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.device).unwrap())
            .collect();
        let expected = [
            json!({
                "hostname": "eosdist1", "device_type": "DIST", "platform": "eos", "state": "MANAGED", "synchronized": true,
                "management_ip": "10.100.3.101", "mac": "08:00:27:08:a8:be", "vendor": "Arista", "model": "veos",
                "os_version": "4.22.3M-14418192",
            }),
            json!({"hostname": "mac-080027F60C55", "device_type": "UNKNOWN", "state": "DHCP_BOOT", "synchronized": false}),
            json!({"hostname": "old", "device_type": "CORE", "state": "UNMANAGED", "synchronized": false}),
        ];
        assert_eq!(devices, expected);
        assert_eq!(inventory.warnings, ["d.json: ignored unknown fields: color"]);
        assert_eq!(read("d.json", &list.to_string()).unwrap(), inventory);
        assert_eq!(read("d.json", &dump(&json!([]))).unwrap().entries, []);
    }

    #[test]
    fn every_problem_names_its_place_and_all_are_reported() {
        let valid = json!({"hostname": "sw1", "state": "MANAGED", "device_type": "ACCESS"});
        let with = |name: &str, value: Value| {
            let mut device = valid.clone();
            device[name] = value;
            device
        };
        for (name, value, said) in [
            (
                "state",
                json!("GONE"),
                "state: is \"GONE\", must be one of UNKNOWN, PRE_CONFIGURED",
            ),
            ("state", json!(7), "state: is 7, must be one of"),
            ("state", json!(null), "state: is null"),
            (
                "device_type",
                json!("a b"),
                "device_type: is \"a b\", must be one of UNKNOWN, ACCESS",
            ),
            ("device_type", json!(9), "device_type: is 9"),
            ("hostname", json!("a_b"), "hostname: \"a_b\" is not a hostname"),
            (
                "synchronized",
                json!("yes"),
                "synchronized: is \"yes\", must be true, false or null",
            ),
            ("ztp_mac", json!("0800"), "ztp_mac: "),
            ("ztp_mac", json!(8), "ztp_mac: is 8, must be text"),
            ("management_ip", json!("here"), "management_ip: invalid IP"),
        ] {
            let found = problems(&dump(&json!([valid, with(name, value.clone())])));
            let hostname = if name == "hostname" { "a_b" } else { "sw1" };
            let place = format!("d.json: $.data.devices[1] ({hostname}): {said}");
            assert!(
                found.len() == 1 && found[0].starts_with(&place),
                "{found:?}\n{place}"
            );
        }
        let many = json!([7, {"hostname": "sw1"}, valid, with("os_version", json!(1.5)), valid]);
        assert_eq!(problems(&many.to_string()).len(), 4);
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        for (text, said) in [
            ("{", "d.json:1:1: EOF"),
            ("7", "d.json: expected {"),
            ("{}", "d.json: $.data.devices is missing"),
            (
                "{\"data\": {\"devices\": {}}}",
                "d.json: $.data.devices: must be a list",
            ),
            (
                "{\"status\": \"error\", \"message\": \"no token\"}",
                "d.json: status is \"error\": CNaaS NMS refused the request: no token",
            ),
        ] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(said), "{found:?}");
        }
    }
}
