//! Reads a Nornir `SimpleInventory`: `hosts.yaml`, and `groups.yaml` and `defaults.yaml` if they exist, with the rules by which Nornir
//! resolves what a host inherits. `docs/how-to/inventories.md` has them, and the differences.

mod element;
mod files;
mod management;
mod resolution;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{DeviceType, counted};
use serde_json::{Map, Value};

use super::{Entry, Inventory, InventoryError, entry, gather};
use element::{Element, Remarks};
use files::Files;
use management::Management;
use resolution::{Host, Parents};

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

/// The field of `data` that has the options of connections.
const CONNECTION_OPTIONS: &str = "connection_options";

/// The most places that a warning names.
const MOST_NAMED: usize = 5;

/// Reads an inventory from its folder, from its `hosts.yaml`, or from the `config.yaml` of Nornir.
///
/// # Errors
/// All problems, each with its file and host.
pub(crate) fn read(
    path: &Path,
    default_type: Option<DeviceType>,
    types: &DeviceTypes,
) -> Result<Inventory, InventoryError> {
    let files = Files::of(path)?;
    let (hosts, parents, mut warnings) = load(&files)?;
    let file = files.hosts.display();
    let devices = Devices { types, default_type };
    let mut other_interfaces = 0;
    let results = hosts.iter().map(|(name, host)| {
        let place = format!("{file}: host {name}");
        let resolved = parents.resolve(name, host);
        let read = resolved.and_then(|host| devices.entry(host, &mut other_interfaces));
        match read {
            Ok(entry) => Ok((place, entry)),
            Err(problem) => Err(format!("{place}: {problem}")),
        }
    });
    let entries = gather(results)?;
    if other_interfaces > 0 {
        warnings.push(format!(
            "{file}: data.interfaces of {} is no list of names, or of {{name, configuration}}: it stays in data, and no interface is imported \
             of it",
            counted(other_interfaces, "host")
        ));
    }
    Ok(Inventory {
        entries,
        warnings,
        ..Inventory::default()
    })
}

/// Hosts, groups or what else has elements, by name.
type Elements = BTreeMap<String, Element>;

/// The hosts, what they inherit from, and warnings.
fn load(files: &Files) -> Result<(Elements, Parents, Vec<String>), InventoryError> {
    let mut loaded = Loaded::default();
    let hosts = loaded.elements(files, &files.hosts, "host")?;
    let groups = if files.groups.exists() {
        loaded.elements(files, &files.groups, "group")?
    } else {
        BTreeMap::new()
    };
    let defaults = if files.defaults.exists() {
        let place = files.defaults.display().to_string();
        loaded.element(&place, files.value(&files.defaults)?)
    } else {
        Element::default()
    };
    let parents = Parents::new(&files.groups.display().to_string(), groups, defaults);
    let parents = parents.unwrap_or_else(|problems| {
        loaded.problems.extend(problems);
        Parents::default()
    });
    if !loaded.problems.is_empty() {
        return Err(InventoryError(loaded.problems));
    }
    let mut warnings: Vec<String> = files.warning.iter().cloned().collect();
    warnings.extend(loaded.warnings());
    Ok((hosts, parents, warnings))
}

/// What was noticed while files were read.
#[derive(Debug, Default)]
struct Loaded {
    problems: Vec<String>,
    secrets: Vec<String>,
    doubtful: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Loaded {
    fn elements(
        &mut self,
        files: &Files,
        file: &Path,
        what: &str,
    ) -> Result<BTreeMap<String, Element>, InventoryError> {
        let elements = files.elements(file)?.into_iter();
        let named = elements.map(|(name, value)| {
            let place = format!("{}: {what} {name}", file.display());
            let element = self.element(&place, value);
            (name, element)
        });
        Ok(named.collect())
    }

    /// An element; an empty one if it has a problem.
    fn element(&mut self, place: &str, value: Value) -> Element {
        match element::read(value) {
            Err(problem) => {
                self.problems.push(format!("{place}: {problem}"));
                Element::default()
            }
            Ok((element, remarks)) => {
                let Remarks {
                    secrets,
                    doubtful,
                    unknown,
                } = remarks;
                let secrets = secrets.into_iter().map(|path| format!("{place}: {path}"));
                self.secrets.extend(secrets);
                self.doubtful.extend(doubtful);
                self.unknown.extend(unknown);
                element
            }
        }
    }

    fn warnings(&self) -> impl Iterator<Item = String> {
        let secrets = (!self.secrets.is_empty()).then(|| {
            format!(
                "left out {}, such as passwords, because Lockstep stores none: workers log in with the credentials in \
                 [devices.credentials] of their configuration ({})",
                counted(self.secrets.len(), "secret"),
                first_of(&self.secrets)
            )
        });
        let doubtful = (!self.doubtful.is_empty()).then(|| {
            format!(
                "everybody who may read devices may read their data, which has keys that seem to be secrets: {}",
                first_of(&self.doubtful)
            )
        });
        let unknown = (!self.unknown.is_empty()).then(|| {
            format!(
                "ignored keys that Nornir ignores, too: {}; what is for templates belongs into data",
                first_of(&self.unknown)
            )
        });
        [secrets, doubtful, unknown].into_iter().flatten()
    }
}

/// The first ones of a list.
fn first_of<'a>(list: impl IntoIterator<Item = &'a String>) -> String {
    let mut list = list.into_iter().map(String::as_str);
    let mut first: Vec<&str> = list.by_ref().take(MOST_NAMED).collect();
    if list.next().is_some() {
        first.push("…");
    }
    first.join(", ")
}

/// Makes devices of hosts.
struct Devices<'a> {
    types: &'a DeviceTypes,
    default_type: Option<DeviceType>,
}

impl Devices<'_> {
    /// Counts a host whose interfaces have another form than those of devices.
    fn entry(&self, host: Host, other_interfaces: &mut usize) -> Result<Entry, String> {
        let device_type = self.device_type(&host.data)?;
        let management = Management::of(&host)?;
        let connections = host.options.keys();
        let connections: Map<String, Value> = connections
            .map(|name| (name.clone(), serde_json::json!(host.parameters(name))))
            .collect();
        let Host {
            name,
            port,
            username,
            platform,
            groups,
            mut data,
            ..
        } = host;

        let mut fields = Map::new();
        for key in FROM_DATA {
            let is_field = match (*key, data.get(*key)) {
                ("interfaces", Some(interfaces)) => are_interfaces(interfaces),
                (_, found) => found.is_some(),
            };
            if is_field {
                fields.extend(data.remove_entry(*key));
            }
        }
        if data.contains_key("interfaces") {
            *other_interfaces += 1;
        }
        data.remove(TYPE_FROM_DATA[0]);

        if !connections.is_empty()
            && data
                .insert(CONNECTION_OPTIONS.to_owned(), connections.into())
                .is_some()
        {
            return Err(format!(
                "data.{CONNECTION_OPTIONS}: is the place of the connection options of the host; give that key of data another name"
            ));
        }
        // What `data` says itself counts.
        let attributes: [(&str, Option<Value>); 4] = [
            ("port", port.map(Value::from)),
            ("username", username.map(Value::from)),
            ("management_host", management.host.map(Value::from)),
            ("management_port", management.port.map(Value::from)),
        ];
        for (key, value) in attributes {
            if let (Some(value), false) = (value, data.contains_key(key)) {
                data.insert(key.to_owned(), value);
            }
        }
        if !data.is_empty() {
            fields.insert("data".to_owned(), data.into());
        }
        fields.insert("hostname".to_owned(), name.into());
        fields.insert("device_type".to_owned(), device_type.as_str().into());
        if let Some(platform) = platform.filter(|platform| !platform.is_empty()) {
            fields.insert("platform".to_owned(), platform.into());
        }
        if let Some(ip) = management.ip {
            fields.insert("management_ip".to_owned(), ip.to_string().into());
        }
        if !groups.is_empty() {
            fields.insert("groups".to_owned(), groups.into());
        }
        entry::read(fields)
    }

    /// `data.device_type`, else `data.role`, else `--default-type`.
    fn device_type(&self, data: &Map<String, Value>) -> Result<DeviceType, String> {
        let mut reason = "has neither data.device_type nor data.role".to_owned();
        for key in TYPE_FROM_DATA {
            let Some(value) = data.get(key) else { continue };
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

/// Whether it is a list of names, or of {name, configuration}.
fn are_interfaces(value: &Value) -> bool {
    let is_interface = |item: &Value| match item {
        Value::String(_) => true,
        Value::Object(fields) => {
            fields.contains_key("name") && fields.keys().all(|key| key == "name" || key == "configuration")
        }
        _ => false,
    };
    value.is_null()
        || value
            .as_array()
            .is_some_and(|items| items.iter().all(is_interface))
}

#[cfg(test)]
mod tests;
