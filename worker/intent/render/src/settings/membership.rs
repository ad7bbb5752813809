use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_intent::fleet::Groups;
use lockstep_intent::settings::{self, GROUPS_FILE};
use lockstep_intent::{Cancellation, IntentProblem, yaml};
use lockstep_protocol::{GroupName, Hostname};

use crate::Files;

/// The most devices whose groups are kept.
const MOST_KEPT: usize = 200_000;

/// The groups of a device by the rules of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    /// In lower case.
    pub(super) hostname: String,
    /// Its primary group.
    pub(super) primary: Option<GroupName>,
    /// All its groups.
    pub(super) groups: Vec<GroupName>,
}

/// The groups of a commit, and those of each device that was asked for.
#[derive(Debug)]
pub(super) struct Memberships {
    groups: Groups,
    /// The branch of the templates repository that a group names.
    branches: BTreeMap<GroupName, String>,
    kept: Mutex<HashMap<Hostname, Arc<Kept>>>,
}

/// The groups of a device that rules of the commit give it.
#[derive(Debug)]
struct Kept {
    primary: Option<GroupName>,
    groups: Vec<GroupName>,
    /// Why it is not known which is the primary group.
    problem: Option<String>,
}

impl Memberships {
    /// Reads the file of groups.
    pub(super) fn read(files: &Files) -> Result<Self, Vec<IntentProblem>> {
        let path = GROUPS_FILE.as_bytes();
        let text = files.get(GROUPS_FILE).map_or("", |text| text);
        let groups = settings::read_groups(path, text.as_bytes(), &Cancellation::never())?;
        let root = yaml::load(path, text.as_bytes()).map_err(|problem| vec![problem])?;
        let mut branches = BTreeMap::new();
        for item in root
            .get("groups")
            .and_then(|groups| groups.as_list())
            .unwrap_or_default()
        {
            let group = item.get("group").unwrap_or(item);
            let text = |key| group.get(key).and_then(|node| node.as_text());
            let (Some(name), Some(branch)) = (text("name"), text("templates_branch")) else {
                continue;
            };
            if let Ok(name) = GroupName::try_from(name.to_owned()) {
                branches.insert(name, branch.to_owned());
            }
        }
        Ok(Self {
            groups,
            branches,
            kept: Mutex::default(),
        })
    }

    /// Matches the rules with many devices together, which is faster than one by one.
    pub(super) fn prepare(&self, hostnames: &[&Hostname]) {
        let never = Cancellation::never();
        let primaries = self.groups.primaries(hostnames, &never);
        let mut groups: Vec<Vec<GroupName>> = vec![Vec::new(); hostnames.len()];
        for (rule, members) in self.groups.rules().zip(self.groups.members(hostnames, &never)) {
            for place in members {
                if let Some(groups) = groups.get_mut(place as usize) {
                    groups.push(rule.name.clone());
                }
            }
        }
        let found = hostnames.iter().zip(primaries).zip(groups);
        let found = found.map(|((hostname, primary), groups)| {
            let (primary, problem) = match primary {
                Ok(primary) => (Some(primary.clone()), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let mut groups = groups;
            // DEFAULT, which no file has to define.
            if let Some(primary) = primary.as_ref().filter(|primary| !groups.contains(primary)) {
                groups.push(primary.clone());
            }
            (
                (*hostname).clone(),
                Arc::new(Kept {
                    primary,
                    groups,
                    problem,
                }),
            )
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + hostnames.len() > MOST_KEPT {
            kept.clear();
        }
        kept.extend(found);
    }

    /// The groups of a device: those by the rules of the commit, and of the others that it is in by an import those that have no rule in
    /// the commit.
    pub(super) fn of(&self, hostname: &Hostname, others: &[GroupName]) -> Result<Membership, IntentProblem> {
        let kept = self.find(hostname).or_else(|| {
            self.prepare(&[hostname]);
            self.find(hostname)
        });
        let (primary, mut groups) = match kept.as_deref() {
            Some(Kept {
                problem: Some(problem),
                ..
            }) => {
                let reason = format!("cannot determine the primary group of {hostname}: {problem}");
                return Err(IntentProblem::whole(GROUPS_FILE.as_bytes(), reason));
            }
            Some(kept) => (kept.primary.clone(), kept.groups.clone()),
            None => (None, Vec::new()),
        };
        let imported = others.iter().filter(|group| !self.groups.contains(group));
        groups.extend(imported.cloned());
        Ok(Membership {
            hostname: hostname.folded(),
            primary,
            groups,
        })
    }

    fn find(&self, hostname: &Hostname) -> Option<Arc<Kept>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(hostname).cloned()
    }

    /// The branch of the templates repository that a group names.
    pub(super) fn branch(&self, group: &GroupName) -> Option<&str> {
        self.branches.get(group).map(String::as_str)
    }
}
