//! Reads dumps of CNaaS NMS: the answers of `GET /api/v1.0/devices`, `/linknets` and `/mgmtdomains`, or only their lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lockstep_protocol::events::{ImportedLink, ImportedManagementDomain};
use lockstep_protocol::{DeviceState, DeviceType};
use serde_json::{Map, Value, json};

use super::surroundings::{self, Surroundings};
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

/// Fields that only templates need.
const DATA: [&str; 3] = ["infra_ip", "secondary_management_ip", "stack_members"];

/// Fields of CNaaS NMS that Lockstep has no use for.
const UNUSED: [&str; 11] = [
    "id",
    "site_id",
    "description",
    "dhcp_ip",
    "oob_ip",
    "confhash",
    "last_seen",
    "port",
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

/// Reads dumps that belong together, each with the name of its file, with which problems begin.
///
/// # Errors
/// All problems: a syntax error with line and column, others with the place in the dump and the hostname.
pub(crate) fn read(files: &[(String, String)]) -> Result<Inventory, InventoryError> {
    let mut lists = Vec::new();
    for (file, text) in files {
        let dump: Value = serde_json::from_str(text).map_err(|error| {
            InventoryError::one(format!("{file}:{}:{}: {error}", error.line(), error.column()))
        })?;
        lists
            .extend(listed(file, dump).map_err(|problem| InventoryError::one(format!("{file}: {problem}")))?);
    }
    let (devices, others): (Vec<List>, Vec<List>) =
        lists.into_iter().partition(|list| list.kind == Kind::Devices);
    let mut known = Known {
        hostnames: hostnames(&devices),
        unknown: BTreeMap::new(),
    };
    let mut results = Vec::new();
    for List {
        file, place, items, ..
    } in devices
    {
        for (index, item) in items.into_iter().enumerate() {
            results.push(one(
                &format!("{file}: {place}[{index}]"),
                item,
                known.unknown.entry(file).or_default(),
            ));
        }
    }
    let mut problems = Vec::new();
    let entries = gather(results).unwrap_or_else(|error| {
        problems = error.0;
        Vec::new()
    });
    let mut surroundings = Surroundings::default();
    for List {
        file,
        place,
        items,
        kind,
    } in others
    {
        for (index, item) in items.into_iter().enumerate() {
            let place = format!("{file}: {place}[{index}]");
            let Value::Object(fields) = item else {
                problems.push(format!("{place}: must be an object"));
                continue;
            };
            let read = match kind {
                Kind::Linknets => known
                    .linknet(file, &fields)
                    .map(|link| surroundings.links.push((place.clone(), link))),
                Kind::Mgmtdomains | Kind::Devices => known
                    .mgmtdomain(file, &fields)
                    .map(|domain| surroundings.management_domains.push((place.clone(), domain))),
            };
            if let Err(problem) = read {
                problems.push(format!("{place}: {problem}"));
            }
        }
    }
    let (links, management_domains) = surroundings.checked(problems)?;
    let warnings = known.unknown.into_iter().filter(|(_, fields)| !fields.is_empty());
    let warnings = warnings.map(|(file, fields)| {
        let fields: Vec<String> = fields.into_iter().collect();
        format!("{file}: ignored unknown fields: {}", fields.join(", "))
    });
    Ok(Inventory {
        entries,
        links,
        management_domains,
        warnings: warnings.collect(),
    })
}

/// What a list of a dump has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Devices,
    Linknets,
    Mgmtdomains,
}

/// The lists in an answer by their keys.
const KINDS: [(&str, Kind); 3] = [
    ("devices", Kind::Devices),
    ("linknets", Kind::Linknets),
    ("mgmtdomains", Kind::Mgmtdomains),
];

/// A list of a dump, and its place in it.
struct List<'a> {
    file: &'a str,
    place: String,
    kind: Kind,
    items: Vec<Value>,
}

/// The lists of a dump.
fn listed(file: &str, dump: Value) -> Result<Vec<List<'_>>, String> {
    const EXPECTED: &str = "expected {\"status\": \"success\", \"data\": {\"devices\": […]}}, which `GET /api/v1.0/devices` of CNaaS NMS \
        answers, with `linknets` and `mgmtdomains` beside or instead of `devices`, or one of the lists alone";
    let mut answer = match dump {
        Value::Array(items) => {
            let kind = kind_of(&items);
            return Ok(vec![List {
                file,
                place: "$".to_owned(),
                kind,
                items,
            }]);
        }
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
    let mut lists = Vec::new();
    for (key, kind) in KINDS {
        match answer.get_mut("data").and_then(|data| data.get_mut(key)) {
            Some(Value::Array(items)) => lists.push(List {
                file,
                place: format!("$.data.{key}"),
                kind,
                items: std::mem::take(items),
            }),
            Some(_) => return Err(format!("$.data.{key}: must be a list; {EXPECTED}")),
            None => {}
        }
    }
    if lists.is_empty() {
        return Err(format!("$.data.devices is missing; {EXPECTED}"));
    }
    Ok(lists)
}

/// What a list without a key has, by its first entry.
fn kind_of(items: &[Value]) -> Kind {
    let has = |key: &str| items.first().is_some_and(|first| first.get(key).is_some());
    if has("device_a_port") {
        Kind::Linknets
    } else if has("ipv4_gw") || has("ipv6_gw") {
        Kind::Mgmtdomains
    } else {
        Kind::Devices
    }
}

/// The hostnames by the numbers that CNaaS NMS gave to the devices.
fn hostnames(devices: &[List<'_>]) -> HashMap<u64, String> {
    let items = devices.iter().flat_map(|list| &list.items);
    let named = items.filter_map(|item| {
        Some((
            item.get("id")?.as_u64()?,
            item.get("hostname")?.as_str()?.to_owned(),
        ))
    });
    named.collect()
}

/// What is known while linknets and management domains are read.
struct Known<'a> {
    hostnames: HashMap<u64, String>,
    /// The unknown fields of each file.
    unknown: BTreeMap<&'a str, BTreeSet<String>>,
}

impl<'a> Known<'a> {
    fn linknet(&mut self, file: &'a str, fields: &Map<String, Value>) -> Result<ImportedLink, String> {
        const UNUSED: [&str; 3] = ["id", "site_id", "description"];
        const USED: [&str; 9] = [
            "device_a_hostname",
            "device_b_hostname",
            "device_a_id",
            "device_b_id",
            "device_a_port",
            "device_b_port",
            "device_a_ip",
            "device_b_ip",
            "ipv4_network",
        ];
        self.note_unknown(file, fields, &[&UNUSED, &USED]);
        let end = |end: &str| -> Result<Value, String> {
            let (hostname, port, ip) = (
                self.device(
                    fields,
                    &format!("device_{end}_hostname"),
                    &format!("device_{end}_id"),
                )?,
                field(fields, &format!("device_{end}_port")),
                field(fields, &format!("device_{end}_ip")),
            );
            let port = port.ok_or_else(|| format!("device_{end}_port is missing"))?;
            let mut read = Map::from_iter([
                ("hostname".to_owned(), hostname.into()),
                ("interface".to_owned(), port.clone()),
            ]);
            if let Some(ip) = ip {
                let network = field(fields, "ipv4_network").and_then(Value::as_str);
                let length = network
                    .and_then(|network| network.split_once('/'))
                    .map(|(_, length)| length);
                let length = length.ok_or_else(|| {
                    format!("device_{end}_ip is {ip}, but ipv4_network does not say the length of the prefix")
                })?;
                let ip = ip
                    .as_str()
                    .ok_or_else(|| format!("device_{end}_ip: is {ip}, must be text"))?;
                read.insert("address".to_owned(), format!("{ip}/{length}").into());
            }
            Ok(read.into())
        };
        let (a, b) = (end("a")?, end("b")?);
        surroundings::read(json!({"a": a, "b": b}))
    }

    fn mgmtdomain(
        &mut self,
        file: &'a str,
        fields: &Map<String, Value>,
    ) -> Result<ImportedManagementDomain, String> {
        const UNUSED: [&str; 3] = ["site_id", "device_a_id", "device_b_id"];
        const SAME: [&str; 8] = [
            "id",
            "ipv4_gw",
            "ipv6_gw",
            "vlan",
            "description",
            "esi_mac",
            "device_a_ip",
            "device_b_ip",
        ];
        self.note_unknown(file, fields, &[&UNUSED, &SAME, &["device_a", "device_b"]]);
        let mut read = Map::new();
        for name in SAME {
            if let Some(value) = field(fields, name) {
                read.insert(name.to_owned(), value.clone());
            }
        }
        for end in ["device_a", "device_b"] {
            let hostname = self.device(fields, end, &format!("{end}_id"))?;
            read.insert(end.to_owned(), hostname.into());
        }
        surroundings::read(read.into())
    }

    /// A device by its hostname, else by its number, if a dump has the device.
    fn device(&self, fields: &Map<String, Value>, name: &str, number: &str) -> Result<String, String> {
        if let Some(hostname) = field(fields, name) {
            let text = hostname.as_str().map(str::to_owned);
            return text.ok_or_else(|| format!("{name}: is {hostname}, must be text"));
        }
        let id = field(fields, number).and_then(Value::as_u64);
        let known = id.and_then(|id| self.hostnames.get(&id));
        known
            .cloned()
            .ok_or_else(|| format!("{name} is missing, and no device of the dump has the number in {number}"))
    }

    fn note_unknown(&mut self, file: &'a str, fields: &Map<String, Value>, known: &[&[&str]]) {
        let unknown = fields
            .keys()
            .filter(|name| !known.iter().any(|names| names.contains(&name.as_str())));
        self.unknown.entry(file).or_default().extend(unknown.cloned());
    }
}

/// A field that is neither null nor empty.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !is_empty(value))
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || *value == "" || value.as_array().is_some_and(Vec::is_empty)
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
    let mut data = Map::new();
    for (name, value) in device {
        let is_empty = is_empty(&value);
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
            of_templates if DATA.contains(&of_templates) => {
                if !is_empty {
                    data.insert(name, value);
                }
            }
            unused if UNUSED.contains(&unused) => {}
            _ => {
                unknown.insert(name);
            }
        }
    }
    if !data.is_empty() {
        fields.insert("data".to_owned(), data.into());
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

    fn reading(text: &str) -> Result<Inventory, InventoryError> {
        read(&[("d.json".to_owned(), text.to_owned())])
    }

    fn problems(text: &str) -> Vec<String> {
        reading(text).unwrap_err().0
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
        let inventory = reading(&dump(&list)).unwrap();
        let devices: Vec<Value> = inventory
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.device).unwrap())
            .collect();
        let expected = [
            json!({
                "hostname": "eosdist1", "device_type": "DIST", "platform": "eos", "state": "MANAGED", "synchronized": true,
                "management_ip": "10.100.3.101", "mac": "08:00:27:08:a8:be", "vendor": "Arista", "model": "veos",
                "os_version": "4.22.3M-14418192", "data": {"infra_ip": "10.199.1.1"},
            }),
            json!({"hostname": "mac-080027F60C55", "device_type": "UNKNOWN", "state": "DHCP_BOOT", "synchronized": false}),
            json!({"hostname": "old", "device_type": "CORE", "state": "UNMANAGED", "synchronized": false}),
        ];
        assert_eq!(devices, expected);
        assert_eq!(inventory.warnings, ["d.json: ignored unknown fields: color"]);
        assert_eq!(reading(&list.to_string()).unwrap(), inventory);
        assert_eq!(reading(&dump(&json!([]))).unwrap().entries, []);
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

    #[test]
    fn linknets_and_management_domains_are_read_beside_the_devices_or_from_files_of_their_own() {
        let devices = json!([
            {"id": 1, "hostname": "d1", "state": "MANAGED", "device_type": "DIST", "infra_ip": "10.199.1.1", "secondary_management_ip": "",
                "stack_members": []},
            {"id": 2, "hostname": "d2", "state": "MANAGED", "device_type": "DIST", "secondary_management_ip": "10.1.1.1",
                "stack_members": [{"hardware_id": "A", "member_no": 0, "priority": 3}]},
        ]);
        let linknets = json!([
            {"id": 9, "description": null, "ipv4_network": "10.198.0.0/31", "site_id": null, "color": 1,
                "device_a_id": 1, "device_a_hostname": "d1", "device_a_ip": "10.198.0.0", "device_a_port": "Ethernet3",
                "device_b_id": 2, "device_b_hostname": "d2", "device_b_ip": "10.198.0.1", "device_b_port": "Ethernet3"},
            {"id": 10, "ipv4_network": null, "device_a_id": 1, "device_a_ip": null, "device_a_port": "Ethernet4",
                "device_b_id": 2, "device_b_ip": "", "device_b_port": "Ethernet4"},
        ]);
        let mgmtdomains = json!([
            {"id": 4, "ipv4_gw": "10.0.6.1/24", "ipv6_gw": null, "device_a_id": 1, "device_a": "d1", "device_a_ip": "10.0.6.2",
                "device_b_id": 2, "device_b": "d2", "device_b_ip": null, "site_id": null, "vlan": 600, "description": "", "esi_mac": "000000000600"},
        ]);
        let all = json!({"status": "success", "data": {"devices": devices, "linknets": linknets, "mgmtdomains": mgmtdomains}});
        let inventory = reading(&all.to_string()).unwrap();
        let data: Vec<Value> = inventory
            .entries
            .iter()
            .map(|entry| json!(entry.device.data))
            .collect();
        assert_eq!(
            data,
            [
                json!({"infra_ip": "10.199.1.1"}),
                json!({"secondary_management_ip": "10.1.1.1", "stack_members": [{"hardware_id": "A", "member_no": 0, "priority": 3}]}),
            ]
        );
        let expected = json!([
            {"a": {"hostname": "d1", "interface": "Ethernet3", "address": "10.198.0.0/31"},
                "b": {"hostname": "d2", "interface": "Ethernet3", "address": "10.198.0.1/31"}},
            {"a": {"hostname": "d1", "interface": "Ethernet4"}, "b": {"hostname": "d2", "interface": "Ethernet4"}},
        ]);
        assert_eq!(json!(inventory.links), expected);
        let expected = json!([{"id": 4, "device_a": "d1", "device_b": "d2", "ipv4_gw": "10.0.6.1/24", "vlan": 600,
            "esi_mac": "00:00:00:00:06:00", "device_a_ip": "10.0.6.2"}]);
        assert_eq!(json!(inventory.management_domains), expected);
        assert_eq!(inventory.warnings, ["d.json: ignored unknown fields: color"]);
        let apart = [
            ("domains", mgmtdomains),
            ("links", linknets),
            ("devices", devices),
        ];
        let apart = apart.map(|(name, list)| (name.to_owned(), list.to_string()));
        let from_files = read(&apart).unwrap();
        assert_eq!(from_files.warnings, ["links: ignored unknown fields: color"]);
        let warnings = inventory.warnings.clone();
        assert_eq!(
            Inventory {
                warnings,
                ..from_files
            },
            inventory
        );
    }

    #[test]
    fn problems_of_linknets_and_management_domains_have_their_places() {
        let link = json!({"device_a_hostname": "d1", "device_a_port": "E1", "device_b_hostname": "d2", "device_b_port": "E1"});
        let domain = json!({"id": 4, "ipv4_gw": "10.0.6.1/24", "device_a": "d1", "device_b": "d2"});
        let with = |item: &Value, name: &str, value: Value| {
            let mut item = item.clone();
            item[name] = value;
            json!([item])
        };
        let twice = |item: &Value| json!([item, item]);
        for (key, list, said) in [
            (
                "linknets",
                with(&link, "device_a_hostname", json!(null)),
                "[0]: device_a_hostname is missing, and no device",
            ),
            (
                "linknets",
                with(&link, "device_b_port", json!("")),
                "[0]: device_b_port is missing",
            ),
            (
                "linknets",
                with(&link, "device_a_ip", json!("10.0.0.1")),
                "[0]: device_a_ip is \"10.0.0.1\", but ipv4_network",
            ),
            (
                "linknets",
                with(&link, "device_b_hostname", json!("a_b")),
                "[0]: b.hostname: \"a_b\" is not a hostname",
            ),
            (
                "linknets",
                twice(&link),
                "[1]: ends at E1 of d1, as does d.json: $.data.linknets[0]",
            ),
            ("linknets", json!([7]), "[0]: must be an object"),
            (
                "mgmtdomains",
                with(&domain, "ipv4_gw", json!("10.0.6.1")),
                "[0]: ipv4_gw: \"10.0.6.1\" is not an address",
            ),
            (
                "mgmtdomains",
                with(&domain, "vlan", json!(5000)),
                "[0]: vlan: is 5000",
            ),
            (
                "mgmtdomains",
                with(&domain, "device_b", json!("d1")),
                "[0]: names d1 twice",
            ),
            ("mgmtdomains", twice(&domain), "[1]: has the same id as"),
        ] {
            let found = problems(&json!({"data": {key: list}}).to_string());
            let place = format!("d.json: $.data.{key}{said}");
            assert!(
                found.iter().any(|problem| problem.starts_with(&place)),
                "{found:?}\n{place}"
            );
        }
    }
}
