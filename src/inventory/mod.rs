//! Reads inventories from files, validates them as a whole, and splits them into messages.

mod chunk;
mod cnaas;
mod cvp;
mod document;
mod entry;
mod netbox;
mod nornir;
mod surroundings;
mod yaml;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::DeviceType;
use lockstep_protocol::events::{ImportedDevice, ImportedInterface, ImportedLink, ImportedManagementDomain};

pub(crate) use chunk::chunks;
pub(crate) use cnaas::read as read_cnaas;
pub(crate) use cvp::{CvpTypes, read as read_cvp};
pub(crate) use document::text as read_text;
pub(crate) use netbox::{DcimObjects, read as read_dcim};
pub(crate) use nornir::read as read_nornir;
pub(crate) use yaml::read as read_yaml;

use crate::terminal::visible;

/// A device of an inventory with its interfaces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) device: ImportedDevice,
    pub(crate) interfaces: Vec<ImportedInterface>,
}

/// The devices of an inventory and what is between them, and warnings about ignored fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inventory {
    pub(crate) entries: Vec<Entry>,
    pub(crate) links: Vec<ImportedLink>,
    pub(crate) management_domains: Vec<ImportedManagementDomain>,
    pub(crate) warnings: Vec<String>,
}

impl Inventory {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.links.is_empty() && self.management_domains.is_empty()
    }
}

/// Reads a file of devices as people keep it beside a repository: a YAML list, or a map with lists of devices, links and management domains;
/// the output of `lockstep devices list --json`; or a Nornir inventory, which is a folder or a map of hosts.
///
/// # Errors
/// If the file cannot be read or is not valid.
pub(crate) fn read_file(
    file: &Path,
    default_type: Option<DeviceType>,
    types: &DeviceTypes,
) -> anyhow::Result<Inventory> {
    let invalid = "cannot read the inventory";
    if file.is_dir() {
        return read_nornir(file, default_type, types).context(invalid);
    }
    let name = file.display().to_string();
    let text = read_text(file)?;
    if is_nornir(&text) {
        return read_nornir(file, default_type, types).context(invalid);
    }
    read_yaml(&name, &text).context(invalid)
}

/// Whether the text is a YAML map of hosts. Text that is not YAML is refused later.
fn is_nornir(text: &str) -> bool {
    let value = document::value("", text);
    let map = value.as_ref().ok().and_then(serde_json::Value::as_object);
    map.is_some_and(|map| !map.keys().any(|key| yaml::KEYS.contains(&key.as_str())))
}

/// All problems of an inventory, each with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InventoryError(pub(crate) Vec<String>);

/// The most problems that are printed.
const SHOWN: usize = 20;

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => return f.write_str(&visible(problem)),
            problems => write!(
                f,
                "the inventory has {} problems, nothing was imported:",
                problems.len()
            )?,
        }
        for problem in self.0.iter().take(SHOWN) {
            write!(f, "\n  {}", visible(problem))?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
    }
}

impl std::error::Error for InventoryError {}

impl InventoryError {
    fn one(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }
}

/// Returns all entries, or all problems, duplicate hostnames included; upper and lower case make no difference.
fn gather(
    results: impl IntoIterator<Item = Result<(String, Entry), String>>,
) -> Result<Vec<Entry>, InventoryError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut problems = Vec::new();
    let mut places = std::collections::HashMap::new();
    for result in results {
        match result {
            Ok((place, entry)) => {
                let hostname = entry.device.hostname.folded();
                if let Some(before) = places.insert(hostname, place.clone()) {
                    problems.push(format!("{place}: has the same hostname as {before}"));
                }
                entries.push(entry);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(entries)
    } else {
        Err(InventoryError(problems))
    }
}
