//! What Nornir resolves for a host, by its rules: see `docs/how-to/inventories.md`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::{ConnectionOptions, Element};

/// The most groups that are in one another. Nornir itself ends at the limit of Python's recursion.
const DEEPEST: usize = 200;

/// Options of connections by the name of the connection.
type Options = BTreeMap<String, ConnectionOptions>;

/// The groups and the defaults of an inventory.
#[derive(Debug, Default)]
pub(super) struct Parents {
    groups: BTreeMap<String, Element>,
    defaults: Element,
    /// The options of each group, filled from its groups and from the defaults.
    options: BTreeMap<String, Options>,
}

/// A host with what it inherits.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) hostname: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) platform: Option<String>,
    /// All groups, in Nornir's order.
    pub(super) groups: Vec<String>,
    /// What `host[key]` is for each key.
    pub(super) data: Map<String, Value>,
    /// The options without the attributes of the host that stand in for them.
    pub(super) options: Options,
}

impl Parents {
    /// # Errors
    /// All problems: a group that is not there, and a cycle of groups. `file` is where the groups are.
    pub(super) fn new(
        file: &str,
        groups: BTreeMap<String, Element>,
        defaults: Element,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        for (name, group) in &groups {
            let gone = group.groups.iter().filter(|group| !groups.contains_key(*group));
            problems.extend(gone.map(|gone| format!("{file}: group {name}: {}", no_group(gone))));
        }
        problems.extend(nesting_problem(&groups).map(|problem| format!("{file}: {problem}")));
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut parents = Self {
            groups,
            defaults,
            options: BTreeMap::new(),
        };
        for name in parents.groups.keys().cloned().collect::<Vec<_>>() {
            parents.fill_options(&name);
        }
        Ok(parents)
    }

    /// # Errors
    /// The host is in a group that is not there.
    pub(super) fn resolve(&self, name: &str, host: &Element) -> Result<Host, String> {
        let groups = self.groups_of(host)?;
        let own = || std::iter::once(host).chain(groups.iter().map(|name| &self.groups[*name]));
        let lineage = || own().chain([&self.defaults]);
        let text = |read: fn(&Element) -> Option<&str>| lineage().find_map(read).map(str::to_owned);
        Ok(Host {
            name: name.to_owned(),
            hostname: text(|element| element.hostname.as_deref()),
            port: lineage().find_map(|element| element.port),
            username: text(|element| element.username.as_deref()),
            platform: text(|element| element.platform.as_deref()),
            data: self.data(own()),
            options: self.options_of(host),
            groups: groups.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The groups of an element and their groups in turn, depth first, each once.
    fn groups_of<'a>(&'a self, element: &'a Element) -> Result<Vec<&'a str>, String> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open: Vec<&str> = element.groups.iter().rev().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            let group = self.groups.get(name).ok_or_else(|| no_group(name))?;
            if seen.insert(name) {
                found.push(name);
                open.extend(group.groups.iter().rev().map(String::as_str));
            }
        }
        Ok(found)
    }

    /// Key by key, without a merge of the values. What is null in the defaults is not there, null elsewhere is a value.
    fn data<'a>(&'a self, own: impl Iterator<Item = &'a Element>) -> Map<String, Value> {
        let own = own.flat_map(|element| &element.data);
        let of_defaults = self.defaults.data.iter().filter(|(_, value)| !value.is_null());
        let mut data = Map::new();
        for (key, value) in own.chain(of_defaults) {
            if !data.contains_key(key) {
                data.insert(key.clone(), value.clone());
            }
        }
        data
    }

    /// Fills the options of a group, after those of its groups. The depth is bounded.
    fn fill_options(&mut self, name: &str) {
        if self.options.contains_key(name) {
            return;
        }
        for group in self.groups[name].groups.clone() {
            self.fill_options(&group);
        }
        let options = self.options_of(&self.groups[name]);
        self.options.insert(name.to_owned(), options);
    }

    /// Field by field: the element's own, then those of its groups in order, each of which has those of the defaults already, then
    /// those of the defaults. So the defaults count before a later group, as in Nornir.
    fn options_of(&self, element: &Element) -> Options {
        let own = element.connection_options.iter();
        let own = own.map(|(name, options)| (name, options.as_ref()));
        let groups = element.groups.iter().filter_map(|group| self.options.get(group));
        let of_groups = groups.flatten().map(|(name, options)| (name, Some(options)));
        let of_defaults = self.defaults.connection_options.iter();
        let of_defaults = of_defaults.map(|(name, options)| (name, options.as_ref()));
        let mut filled = Options::new();
        for (name, options) in own.chain(of_groups).chain(of_defaults) {
            let filled = filled.entry(name.clone()).or_default();
            if let Some(options) = options {
                filled.fill_from(options);
            }
        }
        filled
    }
}

impl ConnectionOptions {
    /// Takes what is not set. The extras are taken as a whole.
    fn fill_from(&mut self, other: &Self) {
        fn fill<T: Clone>(own: &mut Option<T>, other: Option<&T>) {
            if own.is_none() {
                *own = other.cloned();
            }
        }
        fill(&mut self.hostname, other.hostname.as_ref());
        fill(&mut self.port, other.port.as_ref());
        fill(&mut self.username, other.username.as_ref());
        fill(&mut self.platform, other.platform.as_ref());
        fill(&mut self.extras, other.extras.as_ref());
    }
}

impl Host {
    /// What a connection gets: its options, and the attributes of the host where they are not set.
    pub(super) fn parameters(&self, connection: &str) -> ConnectionOptions {
        let mut parameters = self.options.get(connection).cloned().unwrap_or_default();
        parameters.fill_from(&ConnectionOptions {
            hostname: self.hostname.clone(),
            port: self.port,
            username: self.username.clone(),
            platform: self.platform.clone(),
            extras: None,
        });
        parameters
    }
}

fn no_group(name: &str) -> String {
    format!("there is no group {name:?}; add it to the file of groups, or take it out of `groups`")
}

/// A cycle of groups, or groups that are too deep in one another.
fn nesting_problem(groups: &BTreeMap<String, Element>) -> Option<String> {
    let mut done = BTreeSet::new();
    groups
        .keys()
        .find_map(|name| follow(name, groups, &mut Vec::new(), &mut done))
}

fn follow<'a>(
    name: &'a str,
    groups: &'a BTreeMap<String, Element>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = path.iter().position(|before| *before == name) {
        let cycle = [&path[start..], &[name]].concat().join(" → ");
        return Some(format!(
            "each of these groups is in the next: {cycle}; remove one of them from its `groups`"
        ));
    }
    if path.len() == DEEPEST {
        return Some(format!(
            "group {name} is below {DEEPEST} others, which is the maximum; name fewer groups in one another"
        ));
    }
    let next = groups.get(name).filter(|_| !done.contains(name))?;
    path.push(name);
    let below = &mut next.groups.iter();
    let found = below.find_map(|group| follow(group, groups, path, done));
    path.pop();
    done.insert(name);
    found
}
