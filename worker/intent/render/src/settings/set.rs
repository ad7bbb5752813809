use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use lockstep_intent::IntentProblem;
use lockstep_intent::fleet::{DeviceTypes, TypeRule};
use lockstep_intent::settings::{completed, defaults};
use lockstep_intent::yaml::{self, Value as Yaml};
use lockstep_protocol::{DeviceType, GroupName, Hostname};
use minijinja::Value;
use minijinja::value::ValueKind;

use super::layers::{Subject, conditions, layers, rule};
use super::membership::{Membership, Memberships};
use super::tree::{Tree, value};
use crate::{DeviceFacts, Files, PeerFacts};

/// The settings of one commit. Each file is parsed once, when a device first needs it; many threads may use it.
#[derive(Debug)]
pub struct SettingsSet {
    files: Arc<Files>,
    types: DeviceTypes,
    defaults: Vec<(Arc<str>, Value)>,
    parsed: HashMap<Arc<str>, OnceLock<Parsed>>,
    /// The folders of devices, by hostname in lower case.
    folders: HashMap<String, String>,
    memberships: OnceLock<Result<Memberships, Vec<IntentProblem>>>,
}

/// The key of the settings that names the peers of EVPN.
pub(crate) const EVPN_PEERS: &str = "evpn_peers";

/// The keys of a file.
type Parsed = Result<Vec<(Arc<str>, Tree)>, IntentProblem>;

/// The settings of a device, by key.
#[derive(Clone, Debug, Default)]
pub struct DeviceSettings(BTreeMap<Arc<str>, (Value, Origin)>);

/// Where the value of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No file sets it.
    Default,
    /// This file, by its path in the repository.
    File(Arc<str>),
    /// This file, with what devices linked to this one add.
    FileAndNeighbors(Arc<str>),
    /// Only devices linked to this one.
    Neighbors,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::FileAndNeighbors(path) => write!(f, "{path} and the settings of neighbors"),
            Self::Neighbors => f.write_str("the settings of neighbors"),
        }
    }
}

impl DeviceSettings {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|(value, _)| value)
    }

    /// The keys with their values and where these come from, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value, &Origin)> {
        self.0.iter().map(|(key, (value, origin))| (key, value, origin))
    }
}

impl SettingsSet {
    /// Whether a file may have settings, by its path.
    pub fn reads(path: &str) -> bool {
        path.as_bytes().ends_with(b".yml")
    }

    /// The settings in these files.
    pub fn new(files: Arc<Files>, types: DeviceTypes) -> Self {
        let mut parsed = HashMap::new();
        let mut folders = HashMap::new();
        for (path, _) in files.below("") {
            if Self::reads(path) {
                parsed.insert(Arc::from(path), OnceLock::new());
            }
            let below = path.strip_prefix("devices/");
            if let Some((folder, _)) = below.and_then(|path| path.split_once('/')) {
                folders.insert(folder.to_ascii_lowercase(), folder.to_owned());
            }
        }
        let defaults = defaults();
        let defaults = defaults
            .iter()
            .map(|pair| (Arc::from(&*pair.key), value(&pair.value)));
        Self {
            types,
            defaults: defaults.collect(),
            parsed,
            folders,
            memberships: OnceLock::new(),
            files,
        }
    }

    /// All bytes of all files. What is kept of them needs about ten times as much.
    pub fn bytes(&self) -> usize {
        self.files.bytes()
    }

    /// Matches the rules of groups with many devices together, which is faster than one by one.
    ///
    /// # Errors
    /// All problems of the file of groups.
    pub fn prepare(&self, hostnames: &[&Hostname]) -> Result<(), Vec<IntentProblem>> {
        self.memberships()?.prepare(hostnames);
        Ok(())
    }

    /// The settings of a device.
    ///
    /// # Errors
    /// The problems of the files that apply to it.
    pub fn of_device(&self, device: &DeviceFacts) -> Result<DeviceSettings, Vec<IntentProblem>> {
        let membership = self.membership(&device.hostname, &device.groups)?;
        let subject = self.subject(&device.device_type, device.model.as_deref(), &membership);
        let layers = layers(&subject, &self.types);
        let mut problems = Vec::new();
        let mut settings = DeviceSettings::default();
        for (key, value) in &self.defaults {
            settings.0.insert(key.clone(), (value.clone(), Origin::Default));
        }
        for path in &layers.shared {
            self.lay(&mut settings, path, &membership, &mut problems);
        }
        if device.device_type == DeviceType::DIST {
            let peers = device.links.iter().map(|link| &link.peer);
            for peer in peers.filter(|peer| peer.device_type == DeviceType::ACCESS) {
                self.add_vxlans(&mut settings, peer, &mut problems);
            }
        }
        for path in &layers.own {
            self.lay(&mut settings, path, &membership, &mut problems);
        }
        if problems.is_empty() {
            return Ok(settings);
        }
        problems.sort();
        problems.dedup();
        Err(problems)
    }

    /// The branch of the templates repository that the primary group of a device names.
    ///
    /// # Errors
    /// All problems of the file of groups.
    pub fn templates_branch(&self, hostname: &Hostname) -> Result<Option<&str>, Vec<IntentProblem>> {
        let primary = self.membership(hostname, &[])?.primary;
        let memberships = self.memberships()?;
        Ok(primary.and_then(|primary| memberships.branch(&primary)))
    }

    /// The groups of a device: by the rules of this commit, and of the others those without a rule.
    ///
    /// # Errors
    /// All problems of the file of groups.
    pub fn groups(
        &self,
        hostname: &Hostname,
        others: &[GroupName],
    ) -> Result<Vec<GroupName>, Vec<IntentProblem>> {
        Ok(self.membership(hostname, others)?.groups)
    }

    /// The devices that the settings of a device of the fabric name as peers of EVPN, and that its facts do not have yet.
    ///
    /// # Errors
    /// The problems of the files that apply to it.
    pub fn unknown_peers(&self, device: &DeviceFacts) -> Result<Vec<Hostname>, Vec<IntentProblem>> {
        if !self.rule(&device.device_type).is_some_and(|rule| rule.fabric) {
            return Ok(Vec::new());
        }
        let membership = self.membership(&device.hostname, &device.groups)?;
        let mut problems = Vec::new();
        let (device_type, model) = (&device.device_type, device.model.as_deref());
        let peers = self.value(EVPN_PEERS, device_type, model, &membership, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let names = peers.as_ref().map(peer_names).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.parse().ok());
        let unknown = |name: &Hostname| {
            !name.as_str().eq_ignore_ascii_case(device.hostname.as_str())
                && device.peer(name.as_str()).is_none()
        };
        Ok(names.filter(unknown).collect())
    }

    /// The rule of a device type.
    pub(crate) fn rule(&self, device_type: &DeviceType) -> Option<&TypeRule> {
        rule(&self.types, device_type)
    }

    /// The device types of the site.
    pub fn types(&self) -> &DeviceTypes {
        &self.types
    }

    fn memberships(&self) -> Result<&Memberships, Vec<IntentProblem>> {
        let read = self.memberships.get_or_init(|| Memberships::read(&self.files));
        read.as_ref().map_err(Clone::clone)
    }

    fn membership(
        &self,
        hostname: &Hostname,
        others: &[GroupName],
    ) -> Result<Membership, Vec<IntentProblem>> {
        let memberships = self.memberships()?;
        memberships.of(hostname, others).map_err(|problem| vec![problem])
    }

    fn subject<'a>(
        &'a self,
        device_type: &'a DeviceType,
        model: Option<&'a str>,
        membership: &'a Membership,
    ) -> Subject<'a> {
        Subject {
            device_type,
            model,
            primary_group: membership.primary.as_ref(),
            folder: self.folders.get(&membership.hostname).map(String::as_str),
        }
    }

    /// Lays the keys of a file over the settings; nothing if there is no such file.
    fn lay(
        &self,
        settings: &mut DeviceSettings,
        path: &str,
        membership: &Membership,
        problems: &mut Vec<IntentProblem>,
    ) {
        let Some((path, parsed)) = self.file(path) else {
            return;
        };
        match parsed {
            Ok(keys) => {
                for (key, tree) in keys {
                    if let Some(value) = tree.of_device(membership) {
                        settings
                            .0
                            .insert(key.clone(), (value, Origin::File(path.clone())));
                    }
                }
            }
            Err(problem) => problems.push(problem.clone()),
        }
    }

    fn file(&self, path: &str) -> Option<(&Arc<str>, &Parsed)> {
        let (path, parsed) = self.parsed.get_key_value(path)?;
        Some((path, parsed.get_or_init(|| self.parse(path))))
    }

    fn parse(&self, path: &str) -> Parsed {
        let text = self.files.get(path).map_or("", |text| text);
        let root = yaml::load(path.as_bytes(), text.as_bytes())?;
        let pairs = match &root.value {
            Yaml::Null => return Ok(Vec::new()),
            Yaml::Map(pairs) => pairs,
            _ => {
                let reason = format!("must be a map of settings, is {}", root.kind());
                return Err(IntentProblem::at(path.as_bytes(), root.place, reason));
            }
        };
        let conditions = conditions(path);
        let trees = pairs.iter().map(|pair| {
            let tree = Tree::of(path, &completed(&pair.key, &pair.value), conditions)?;
            Ok((Arc::from(&*pair.key), tree))
        });
        trees.collect()
    }

    /// The value of one key for a device, as the last file with the key has it.
    fn value(
        &self,
        key: &str,
        device_type: &DeviceType,
        model: Option<&str>,
        membership: &Membership,
        problems: &mut Vec<IntentProblem>,
    ) -> Option<Value> {
        let layers = layers(&self.subject(device_type, model, membership), &self.types);
        for path in layers.shared.iter().chain(&layers.own).rev() {
            match self.file(path) {
                Some((_, Ok(keys))) => {
                    let found = keys.iter().find(|(other, _)| **other == *key);
                    let value = found.and_then(|(_, tree)| tree.of_device(membership));
                    if value.is_some() {
                        return value;
                    }
                }
                Some((_, Err(problem))) => problems.push(problem.clone()),
                None => {}
            }
        }
        None
    }

    /// Adds the vxlans of a neighbor that the settings do not have yet.
    fn add_vxlans(&self, settings: &mut DeviceSettings, peer: &PeerFacts, problems: &mut Vec<IntentProblem>) {
        const KEY: &str = "vxlans";
        let membership = match self.membership(&peer.hostname, &peer.groups) {
            Ok(membership) => membership,
            Err(found) => return problems.extend(found),
        };
        let theirs = self.value(
            KEY,
            &peer.device_type,
            peer.model.as_deref(),
            &membership,
            problems,
        );
        let Some(theirs) = theirs.filter(|theirs| theirs.kind() == ValueKind::Map) else {
            return;
        };
        let (own, origin) = settings
            .0
            .entry(Arc::from(KEY))
            .or_insert((Value::from(()), Origin::Default));
        let mut pairs = entries(own);
        let before = pairs.len();
        let is_new = |key: &Value| own.get_item(key).is_ok_and(|value| value.is_undefined());
        pairs.extend(entries(&theirs).into_iter().filter(|(key, _)| is_new(key)));
        if pairs.len() > before {
            *own = Value::from_pairs(pairs);
            *origin = match origin {
                Origin::Default | Origin::Neighbors => Origin::Neighbors,
                Origin::File(path) | Origin::FileAndNeighbors(path) => Origin::FileAndNeighbors(path.clone()),
            };
        }
    }
}

/// The hostnames in a list of peers.
pub(crate) fn peer_names(peers: &Value) -> Vec<String> {
    let items = match peers.kind() {
        ValueKind::Seq => peers.try_iter().into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    let name = |peer: &Value| Some(peer.get_attr("hostname").ok()?.as_str()?.to_owned());
    items.iter().filter_map(name).collect()
}

/// The keys and values of a map.
pub(crate) fn entries(map: &Value) -> Vec<(Value, Value)> {
    let keys = match map.kind() {
        ValueKind::Map => map.try_iter().into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    let pair = |key: Value| map.get_item(&key).map(|value| (key, value));
    keys.into_iter().filter_map(|key| pair(key).ok()).collect()
}
