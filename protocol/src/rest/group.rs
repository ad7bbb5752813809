use serde::{Deserialize, Serialize};

use crate::{GroupName, Hostname};

/// A group in the answers of `GET /v1/groups` and `GET /v1/groups/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupView {
    /// A number that stays the same as long as the group exists; null for `DEFAULT` if nothing names it.
    pub id: Option<i64>,
    /// Its name.
    pub name: GroupName,
    /// Whether it is a location; null if no inventory says so.
    pub location: Option<bool>,
    /// Its rule in the accepted settings; null if they do not define it, so that its members are those of inventories.
    pub rule: Option<GroupRuleView>,
    /// How many devices are members.
    pub members: u64,
    /// How many of the members an inventory lists.
    pub listed: u64,
    /// How many of the members its rule makes.
    pub by_rule: u64,
    /// How many devices have it as their primary group.
    pub primary: u64,
}

/// The rule of a group in `global/groups.yml` of the accepted settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupRuleView {
    /// The regex that hostnames match from their start; null if the rule lists hostnames.
    pub regex: Option<String>,
    /// How many hostnames the rule lists, whether or not there are such devices.
    pub hostnames: u64,
    /// Among the groups of a device, the one with the highest priority is primary; with 0 a group is never primary.
    pub priority: u8,
    /// The place in the file, from 0: of equal priorities, the first wins.
    pub position: u32,
}

/// The answer of `GET /v1/groups`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupPage {
    /// One page of groups, ordered by name.
    pub groups: Vec<GroupView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<GroupName>,
}

/// The answer of `GET /v1/groups/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupDetail {
    /// The group.
    pub group: GroupView,
    /// The first members, ordered by hostname.
    pub devices: Vec<Hostname>,
    /// The value of `after` with which `GET /v1/devices?group=` goes on; absent if these are all members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hostname>,
}
