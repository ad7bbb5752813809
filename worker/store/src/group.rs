use lockstep_protocol::GroupName;

/// A group of devices, with the numbers of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its stable number. `None` for DEFAULT, if neither the settings nor an inventory name it.
    pub id: Option<i64>,
    /// Its name.
    pub name: GroupName,
    /// Whether it is a location. `None` if that is not known.
    pub location: Option<bool>,
    /// Its rule. `None` if the accepted settings do not define it.
    pub rule: Option<GroupRuleSummary>,
    /// How many devices are members.
    pub members: u64,
    /// How many of them are members by list.
    pub listed: u64,
    /// How many of them are members by rule.
    pub by_rule: u64,
    /// How many devices have it as their primary group.
    pub primary: u64,
}

/// The rule of a group, without the hostnames that it lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRuleSummary {
    /// The regex that a hostname matches from its start. `None` if the rule lists hostnames.
    pub regex: Option<String>,
    /// How many hostnames the rule lists, whether or not there are such devices.
    pub hostnames: u64,
    /// The priority among the groups of a device; with 0 it is never primary.
    pub priority: u8,
    /// The place in the file, from 0.
    pub position: u32,
}

/// A page of the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupQuery {
    /// Only groups whose name sorts after this one: where the next page begins.
    pub after: Option<GroupName>,
    /// The most groups to return.
    pub limit: u32,
}
