//! The files of an inventory: a folder, its `hosts.yaml`, or the `config.yaml` of Nornir that names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{InventoryError, document, yaml};

/// The sections of Nornir's configuration.
const SECTIONS: [&str; 6] = ["core", "inventory", "logging", "runner", "ssh", "user_defined"];

/// Where the files are. Those of groups and of defaults need not exist.
#[derive(Debug, PartialEq)]
pub(super) struct Files {
    pub(super) hosts: PathBuf,
    pub(super) groups: PathBuf,
    pub(super) defaults: PathBuf,
    encoding: Encoding,
    /// What the configuration asks for and Lockstep does not do.
    pub(super) warning: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    #[default]
    Utf8,
    Latin1,
}

/// The section `inventory` of Nornir's configuration.
#[derive(Debug, Default, Deserialize)]
struct Section {
    plugin: Option<String>,
    #[serde(default)]
    options: Option<Options>,
    transform_function: Option<String>,
}

/// The options of `SimpleInventory`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    host_file: Option<PathBuf>,
    group_file: Option<PathBuf>,
    defaults_file: Option<PathBuf>,
    encoding: Option<String>,
}

impl Files {
    /// Finds the files.
    ///
    /// # Errors
    /// The file cannot be read, or is a configuration of Nornir that cannot be followed.
    pub(super) fn of(path: &Path) -> Result<Self, InventoryError> {
        if path.is_dir() {
            let hosts = in_folder(path, "hosts");
            let configuration = in_folder(path, "config");
            return if !hosts.exists() && configuration.exists() {
                Self::of(&configuration)
            } else {
                Ok(Self::beside(hosts))
            };
        }
        let name = path.display().to_string();
        match document::value(&name, &document::text(path)?) {
            Ok(Value::Object(map)) if is_configuration(&map) => Self::configured(&name, path, map),
            // What else the file may be is said where its hosts are read.
            _ => Ok(Self::beside(path.to_owned())),
        }
    }

    fn beside(hosts: PathBuf) -> Self {
        let folder = hosts.parent().unwrap_or(Path::new("")).to_owned();
        Self {
            hosts,
            groups: in_folder(&folder, "groups"),
            defaults: in_folder(&folder, "defaults"),
            encoding: Encoding::Utf8,
            warning: None,
        }
    }

    fn configured(name: &str, path: &Path, mut map: Map<String, Value>) -> Result<Self, InventoryError> {
        let problem = |problem: String| InventoryError::one(format!("{name}: inventory{problem}"));
        let section = map.remove("inventory").unwrap_or_default();
        let section: Section = serde_path_to_error::deserialize(section)
            .map_err(|error| problem(format!(".{}: {}", error.path(), error.inner())))?;
        if let Some(plugin) = section.plugin.filter(|plugin| plugin != "SimpleInventory") {
            return Err(problem(format!(
                ".plugin: is {plugin}, which is a program of its own; only SimpleInventory is read. Write its hosts to a hosts.yaml \
                 (nornir.inventory.dict()), or import them from where the plugin gets them"
            )));
        }
        let options = section.options.unwrap_or_default();
        let encoding = encoding(options.encoding.as_deref()).map_err(problem)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = |file: Option<PathBuf>, usual: &str| {
            let file = file.unwrap_or_else(|| usual.into());
            // As Nornir, which is started in the folder of its configuration, as a rule.
            if file.exists() { file } else { folder.join(file) }
        };
        let function = section.transform_function.filter(|function| !function.is_empty());
        Ok(Self {
            hosts: file(options.host_file, "hosts.yaml"),
            groups: file(options.group_file, "groups.yaml"),
            defaults: file(options.defaults_file, "defaults.yaml"),
            encoding,
            warning: function.map(|function| {
                format!("{name}: inventory.transform_function: {function} is a Python function, which is not run: what it sets is missing")
            }),
        })
    }

    /// The elements of a file by name, each as it is there.
    ///
    /// # Errors
    /// The file cannot be read or is no map.
    pub(super) fn elements(&self, file: &Path) -> Result<BTreeMap<String, Value>, InventoryError> {
        match self.value(file)? {
            Value::Null => Ok(BTreeMap::new()),
            Value::Object(map) => Ok(map.into_iter().collect()),
            _ => Err(InventoryError::one(format!(
                "{}: must be a map of names, such as `sw1: {{hostname: 192.0.2.1}}`",
                file.display()
            ))),
        }
    }

    /// What a file contains.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn value(&self, file: &Path) -> Result<Value, InventoryError> {
        let text = match self.encoding {
            Encoding::Utf8 => document::text(file)?,
            Encoding::Latin1 => document::bytes(file)?.into_iter().map(char::from).collect(),
        };
        yaml::parse(&file.display().to_string(), &text)
    }
}

/// Whether it is Nornir's configuration, and no inventory with a host `inventory`.
fn is_configuration(map: &Map<String, Value>) -> bool {
    let is_section = |value: &Value| {
        let section = value.as_object();
        section.is_some_and(|section| section.contains_key("plugin") || section.contains_key("options"))
    };
    map.get("inventory").is_some_and(is_section) && map.keys().all(|key| SECTIONS.contains(&key.as_str()))
}

fn encoding(name: Option<&str>) -> Result<Encoding, String> {
    let Some(name) = name else {
        return Ok(Encoding::Utf8);
    };
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "utf8sig" | "ascii" | "usascii" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        _ => Err(format!(
            ".options.encoding: is {name}; save the files as UTF-8 and leave it out, or use latin-1"
        )),
    }
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
