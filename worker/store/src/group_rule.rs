use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::Arc;

use lockstep_protocol::{GroupName, Hostname};

/// The group that contains every device, whether the settings define it or not, and that is primary where no other group is.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// The rule of a group, as the accepted settings define it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// The name of the group.
    pub name: GroupName,
    /// What makes a device a member.
    pub members: GroupRuleMembers,
    /// Of the groups of a device, the one with the highest priority is primary; one with 0 never is.
    pub priority: u8,
}

/// What makes a device a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRuleMembers {
    /// A hostname that matches this regex from its start.
    Matching(String),
    /// One of these hostnames.
    Listed(BTreeSet<Hostname>),
}

/// The rules of all groups of the accepted settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRules {
    /// Grows with each change of the rules.
    pub revision: i64,
    /// In the order of the file.
    pub rules: Vec<GroupRule>,
}

/// What the rules make of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupsByRule {
    /// The groups of which it is a member by rule.
    pub groups: BTreeSet<GroupName>,
    /// Its primary group. `None` if that is not known, because a regex takes too many steps.
    pub primary: Option<GroupName>,
}

/// What the rules make of many devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMatches {
    /// The devices.
    pub hostnames: Vec<Hostname>,
    /// Their primary groups, in the same order. `None` if one is not known.
    pub primaries: Vec<Option<GroupName>>,
    /// For each rule, in the order of the rules, the places of its members among the devices, ascending.
    pub members: Vec<Vec<u32>>,
}

/// Matches hostnames with rules. May take long, so it runs on a blocking thread.
pub type MatchGroups = Arc<dyn Fn(Vec<Hostname>) -> GroupMatches + Send + Sync>;

/// New rules of all groups. They and the members that they make are written when the transaction begins: no device is created or renamed
/// until it ends.
#[derive(Clone)]
pub struct NewGroupRules {
    /// The rules, in the order of the file.
    pub rules: Vec<GroupRule>,
    /// The devices that were matched before.
    pub matched: Arc<GroupMatches>,
    /// Matches the devices that were created since.
    pub matching: MatchGroups,
}

impl Debug for NewGroupRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewGroupRules")
            .field("rules", &self.rules.len())
            .field("matched", &self.matched.hostnames.len())
            .finish_non_exhaustive()
    }
}
