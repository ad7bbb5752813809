//! Reads a Nornir `SimpleInventory`: `hosts.yaml`, and `groups.yaml` and `defaults.yaml` beside it if they exist. As in Nornir, a
//! value comes from the host, else from its groups in order and their groups in turn, else from the defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::DeviceType;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::yaml::parse;
use super::{Entry, Inventory, InventoryError, entry, gather};

/// Fields of a device that are taken from `data` under their own names.
const FROM_DATA: &[&str] = &[
    "state",
    "note",
    "until",
    "synchronized",
    "mac",
    "serial",
    "vendor",
    "model",
    "os_version",
    "interfaces",
    "management_ip",
    "controller",
];

/// Fields of `data` that say the type of a device. The first one must be a type.
const TYPE_FROM_DATA: [&str; 2] = ["device_type", "role"];

/// A host, a group or the defaults. Credentials are not read.
#[derive(Clone, Debug, Default, Deserialize)]
struct Element {
    hostname: Option<String>,
    platform: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

/// Reads an inventory from its folder, or from its `hosts.yaml`.
///
/// # Errors
/// All problems, each with its file and host.
pub(crate) fn read(
    path: &Path,
    default_type: Option<DeviceType>,
    types: &DeviceTypes,
) -> Result<Inventory, InventoryError> {
    let hosts_file = if path.is_dir() {
        in_folder(path, "hosts")
    } else {
        path.to_owned()
    };
    let folder = hosts_file.parent().unwrap_or(Path::new("")).to_owned();
    let hosts = elements(&hosts_file)?;
    let optional = |name: &str| Some(in_folder(&folder, name)).filter(|file| file.exists());
    let groups = match optional("groups") {
        Some(file) => elements(&file)?,
        None => BTreeMap::new(),
    };
    let defaults = match optional("defaults") {
        Some(file) => typed(&file, load(&file)?)?,
        None => Element::default(),
    };
    if let Some(cycle) = group_cycle(&groups) {
        let problem = format!(
            "groups.yaml: each of these groups is in the next: {cycle}; remove one of them from its `groups`"
        );
        return Err(InventoryError::one(problem));
    }
    let all = All {
        types,
        groups,
        defaults,
        default_type,
    };
    let file = hosts_file.display();
    let results = hosts.into_iter().map(|(name, host)| {
        let place = format!("{file}: host {name}");
        match all.entry(&name, &host) {
            Ok(entry) => Ok((place, entry)),
            Err(problem) => Err(format!("{place}: {problem}")),
        }
    });
    Ok(Inventory {
        entries: gather(results)?,
        ..Inventory::default()
    })
}

/// `NAME.yml` if it exists, else `NAME.yaml`.
fn in_folder(folder: &Path, name: &str) -> PathBuf {
    let short = folder.join(format!("{name}.yml"));
    if short.exists() {
        short
    } else {
        folder.join(format!("{name}.yaml"))
    }
}

fn load(file: &Path) -> Result<Value, InventoryError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| InventoryError::one(format!("cannot read {}: {error}", file.display())))?;
    parse(&file.display().to_string(), &text)
}

fn elements(file: &Path) -> Result<BTreeMap<String, Element>, InventoryError> {
    let named: BTreeMap<String, Option<Element>> = typed(file, load(file)?)?;
    Ok(named
        .into_iter()
        .map(|(name, element)| (name, element.unwrap_or_default()))
        .collect())
}

fn typed<T: serde::de::DeserializeOwned + Default>(file: &Path, value: Value) -> Result<T, InventoryError> {
    if value.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        InventoryError::one(format!("{}: {}: {}", file.display(), error.path(), error.inner()))
    })
}

/// A cycle of groups, as text. Nornir would follow it without an end.
fn group_cycle(groups: &BTreeMap<String, Element>) -> Option<String> {
    fn follow<'a>(
        name: &'a str,
        groups: &'a BTreeMap<String, Element>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<String> {
        if let Some(start) = path.iter().position(|before| *before == name) {
            return Some([&path[start..], &[name]].concat().join(" → "));
        }
        // A group that does not exist is a problem of the hosts that are in it.
        let next = groups.get(name).filter(|_| !done.contains(name))?;
        path.push(name);
        let found = next
            .groups
            .iter()
            .flatten()
            .find_map(|group| follow(group, groups, path, done));
        path.pop();
        done.insert(name);
        found
    }
    let mut done = BTreeSet::new();
    groups
        .keys()
        .find_map(|name| follow(name, groups, &mut Vec::new(), &mut done))
}

struct All<'a> {
    types: &'a DeviceTypes,
    groups: BTreeMap<String, Element>,
    defaults: Element,
    default_type: Option<DeviceType>,
}

/// What else `data` says, for templates.
fn other_data(lineage: &[&Element]) -> Map<String, Value> {
    let mut data = Map::new();
    for (key, value) in lineage
        .iter()
        .rev()
        .filter_map(|element| element.data.as_ref())
        .flatten()
    {
        if !FROM_DATA.contains(&key.as_str()) && !TYPE_FROM_DATA.contains(&key.as_str()) {
            data.insert(key.clone(), value.clone());
        }
    }
    data
}

impl All<'_> {
    fn entry(&self, name: &str, host: &Element) -> Result<Entry, String> {
        let mut groups = Vec::new();
        self.add_groups(host, &mut groups)?;
        let lineage: Vec<&Element> = std::iter::once(host)
            .chain(groups.iter().map(|name| &self.groups[*name]))
            .chain([&self.defaults])
            .collect();
        let datum = |key: &str| {
            lineage
                .iter()
                .find_map(|element| element.data.as_ref()?.get(key))
                .cloned()
        };

        let mut fields = Map::new();
        fields.extend(
            FROM_DATA
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), datum(key)?))),
        );
        let data = other_data(&lineage);
        if !data.is_empty() {
            fields.insert("data".to_owned(), data.into());
        }
        fields.insert("hostname".to_owned(), name.into());
        fields.insert(
            "device_type".to_owned(),
            self.device_type(&datum)?.as_str().into(),
        );
        if let Some(platform) = lineage.iter().find_map(|element| element.platform.as_deref()) {
            fields.insert("platform".to_owned(), platform.into());
        }
        // Nornir's `hostname` is where it connects to; it becomes the management IP if it is an IP address.
        let address = lineage.iter().find_map(|element| element.hostname.as_deref());
        if let Some(address) = address.filter(|text| text.parse::<IpAddr>().is_ok()) {
            fields.insert("management_ip".to_owned(), address.into());
        }
        if !groups.is_empty() {
            fields.insert("groups".to_owned(), groups.into());
        }
        entry::read(fields)
    }

    /// Adds the groups of an element and their groups in turn, in Nornir's order, each once.
    fn add_groups<'a>(&'a self, element: &'a Element, found: &mut Vec<&'a str>) -> Result<(), String> {
        for name in element.groups.iter().flatten() {
            if found.contains(&name.as_str()) {
                continue;
            }
            let group = self
                .groups
                .get(name)
                .ok_or_else(|| format!("group {name:?} is not in groups.yaml"))?;
            found.push(name);
            self.add_groups(group, found)?;
        }
        Ok(())
    }

    /// `data.device_type`, else `data.role`, else `--default-type`.
    fn device_type(&self, datum: &impl Fn(&str) -> Option<Value>) -> Result<DeviceType, String> {
        let mut reason = "has neither data.device_type nor data.role".to_owned();
        for key in TYPE_FROM_DATA {
            let Some(value) = datum(key) else { continue };
            let text = value.as_str().unwrap_or_default();
            match text.parse::<DeviceType>() {
                // Roles have other words, too, for which there is the default.
                Ok(kind) if key == TYPE_FROM_DATA[0] || self.types.contains(&kind) => return Ok(kind),
                Ok(_) => reason = format!("data.{key} is {value}, which is no device type of this site"),
                Err(_) if key == TYPE_FROM_DATA[0] => {
                    return Err(format!(
                        "data.device_type is {value}, must be a type such as {}",
                        entry::types()
                    ));
                }
                Err(_) => reason = format!("data.{key} is {value}, which is not a device type"),
            }
        }
        self.default_type.clone().ok_or_else(|| {
            format!("{reason}; set data.device_type (in the host, a group or the defaults) to a type such as {}, or add --default-type ACCESS", entry::types())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn values_come_from_host_groups_and_defaults_in_nornirs_order() {
        let folder = folder(&[
            (
                "hosts.yaml",
                "sw1:\n  hostname: 192.0.2.1\n  password: secret\n  groups: [leaf]\n  data: {serial: S1, infra_ip: 10.199.1.1}\nsw2:\n  platform: junos\n  hostname: sw2.example.org\n  data: {device_type: core}\nap1:\n  data: {role: access, controller: sw1}\n",
            ),
            (
                "groups.yaml",
                "leaf:\n  groups: [campus]\n  data: {role: access, site: lund}\ncampus:\n  data: {role: dist, vendor: Arista, site: oslo}\nempty:\n",
            ),
            (
                "defaults.yaml",
                "platform: eos\ndata: {vendor: Nobody, ntp: [10.0.0.1]}\n",
            ),
        ]);
        let inventory = read(folder.path(), None, &DeviceTypes::default()).unwrap();
        let devices: Vec<Value> = inventory
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.device).unwrap())
            .collect();
        let expected = [
            json!({
                "hostname": "ap1", "device_type": "ACCESS", "platform": "eos", "vendor": "Nobody", "controller": "sw1",
                "data": {"ntp": ["10.0.0.1"]},
            }),
            json!({
                "hostname": "sw1", "device_type": "ACCESS", "platform": "eos", "management_ip": "192.0.2.1", "serial": "S1",
                "vendor": "Arista", "groups": ["leaf", "campus"],
                "data": {"infra_ip": "10.199.1.1", "ntp": ["10.0.0.1"], "site": "lund"},
            }),
            json!({
                "hostname": "sw2", "device_type": "CORE", "platform": "junos", "vendor": "Nobody", "data": {"ntp": ["10.0.0.1"]},
            }),
        ];
        assert_eq!(devices, expected);
        assert_eq!(
            read(&folder.path().join("hosts.yaml"), None, &DeviceTypes::default()).unwrap(),
            inventory
        );
    }

    #[test]
    fn a_cycle_of_groups_is_named() {
        let table = [
            (
                "a: {groups: [b]}\nb: {groups: [c]}\nc: {groups: [b]}\n",
                Some("b → c → b"),
            ),
            ("a: {groups: [a]}\n", Some("a → a")),
            (
                "a: {groups: [b, c]}\nb: {groups: [d]}\nc: {groups: [d]}\nd:\n",
                None,
            ),
            ("a: {groups: [gone]}\n", None),
        ];
        for (groups, cycle) in table {
            let folder = folder(&[
                ("hosts.yaml", "sw1: {data: {role: access}}\n"),
                ("groups.yaml", groups),
            ]);
            let problem = read(folder.path(), None, &DeviceTypes::default())
                .err()
                .map(|error| error.to_string());
            assert_eq!(problem.is_some(), cycle.is_some(), "{groups}{problem:?}");
            if let (Some(problem), Some(cycle)) = (problem, cycle) {
                assert!(
                    problem.starts_with("groups.yaml: ") && problem.contains(cycle),
                    "{problem}"
                );
            }
        }
    }

    #[test]
    fn problems_name_the_host_and_the_fix() {
        let folder = folder(&[(
            "hosts.yaml",
            "sw1:\nsw2: {data: {role: leaf}}\nsw3: {groups: [gone]}\nsw4: {data: {device_type: leaf switch}}\n",
        )]);
        let problems = read(folder.path(), None, &DeviceTypes::default()).unwrap_err().0;
        let expected = [
            "host sw1: has neither data.device_type nor data.role; set data.device_type",
            "host sw2: data.role is \"leaf\", which is no device type of this site",
            "host sw3: group \"gone\" is not in groups.yaml",
            "host sw4: data.device_type is \"leaf switch\", must be a type such as UNKNOWN, ACCESS",
        ];
        assert_eq!(problems.len(), expected.len());
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(problems[0].contains("--default-type ACCESS"));
        let rest = read(folder.path(), Some(DeviceType::ACCESS), &DeviceTypes::default())
            .unwrap_err()
            .0;
        assert_eq!(rest.len(), 2, "{rest:?}");
    }
}
