use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use lockstep_intent::IntentProblem;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_intent::templates::{MAPPING_FILE, Mapping};
use lockstep_protocol::DeviceType;

use crate::{Files, TemplateSet, Undefined};

/// The templates of one commit: those of each platform with its mapping. A platform is read when a device first needs it; many threads may
/// use it.
#[derive(Debug)]
pub struct Platforms {
    files: Arc<Files>,
    types: DeviceTypes,
    undefined: Undefined,
    read: BTreeMap<String, OnceLock<Read>>,
}

type Read = Result<Platform, Vec<IntentProblem>>;

/// The templates of a platform.
#[derive(Debug)]
pub(crate) struct Platform {
    mapping: Mapping,
    pub(crate) templates: TemplateSet,
}

impl Platform {
    /// The template of a device type.
    pub(crate) fn entrypoint(&self, device_type: &DeviceType) -> Option<&str> {
        let mut types = self.mapping.types();
        types.find_map(|(known, mapping)| (known == device_type).then_some(&*mapping.entrypoint))
    }
}

impl Platforms {
    /// The templates in these files.
    pub fn new(files: Arc<Files>, types: DeviceTypes, undefined: Undefined) -> Self {
        let mappings = files
            .below("")
            .filter_map(|(path, _)| path.strip_suffix(MAPPING_FILE)?.strip_suffix('/'));
        let names = mappings.filter(|name| !name.contains('/') && !name.starts_with('.'));
        let read = names.map(|name| (name.to_owned(), OnceLock::new())).collect();
        Self {
            files,
            types,
            undefined,
            read,
        }
    }

    /// All bytes of all files. What is kept of them needs about ten times as much.
    pub fn bytes(&self) -> usize {
        self.files.bytes()
    }

    /// The names of the platforms.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.read.keys().map(String::as_str)
    }

    /// A platform; none if it has no mapping.
    pub(crate) fn get(&self, name: &str) -> Option<Result<&Platform, &[IntentProblem]>> {
        let (name, read) = self.read.get_key_value(name)?;
        let read = read.get_or_init(|| self.read(name));
        Some(read.as_ref().map_err(Vec::as_slice))
    }

    fn read(&self, name: &str) -> Read {
        let path = format!("{name}/{MAPPING_FILE}");
        let text = self.files.get(&path).map_or("", |text| text);
        Ok(Platform {
            mapping: Mapping::read(path.as_bytes(), text.as_bytes(), &self.types)?,
            templates: TemplateSet::new(self.files.clone(), name, self.undefined),
        })
    }
}
