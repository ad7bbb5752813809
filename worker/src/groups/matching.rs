use lockstep_intent::Cancellation;
use lockstep_intent::fleet::{self, Groups, Members};
use lockstep_protocol::{GroupName, Hostname};
use lockstep_store::{GroupMatches, GroupRule, GroupRuleMembers};

/// The rules as the store keeps them.
pub(crate) fn stored(groups: &Groups) -> Vec<GroupRule> {
    let rules = groups.rules().map(|rule| GroupRule {
        name: rule.name,
        members: match rule.members {
            Members::Matching(regex) => GroupRuleMembers::Matching(regex),
            Members::Listed(hostnames) => GroupRuleMembers::Listed(hostnames),
        },
        priority: rule.priority,
    });
    rules.collect()
}

/// The rules as `intent` reads them.
pub(super) fn definitions(rules: &[GroupRule]) -> Vec<fleet::GroupRule> {
    let rules = rules.iter().map(|rule| fleet::GroupRule {
        name: rule.name.clone(),
        members: match &rule.members {
            GroupRuleMembers::Matching(regex) => Members::Matching(regex.clone()),
            GroupRuleMembers::Listed(hostnames) => Members::Listed(hostnames.clone()),
        },
        priority: rule.priority,
    });
    rules.collect()
}

/// Matches devices whose primary groups are known already. May take seconds. If the caller cancels, the result is incomplete.
pub(crate) fn matches(
    groups: &Groups,
    hostnames: Vec<Hostname>,
    primaries: Vec<Option<GroupName>>,
    cancellation: &Cancellation<'_>,
) -> GroupMatches {
    let names: Vec<&Hostname> = hostnames.iter().collect();
    let members = groups.members(&names, cancellation);
    GroupMatches {
        hostnames,
        primaries,
        members,
    }
}

/// Matches devices. May take seconds.
pub(crate) fn match_all(groups: &Groups, hostnames: Vec<Hostname>) -> GroupMatches {
    let never = Cancellation::never();
    let names: Vec<&Hostname> = hostnames.iter().collect();
    let primaries = groups.primaries(&names, &never);
    if let Some(Err(error)) = primaries.iter().find(|answer| answer.is_err()) {
        tracing::warn!(%error, "the primary group of new devices is unknown");
    }
    let primaries = primaries.into_iter().map(|answer| answer.ok().cloned());
    let primaries = primaries.collect();
    matches(groups, hostnames, primaries, &never)
}
