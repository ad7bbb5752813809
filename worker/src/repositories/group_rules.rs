//! Matches groups with devices before the transaction of a refresh: those that its change concerns, and those that new rules make members.

use std::sync::Arc;

use lockstep_intent::RepositoryKind;
use lockstep_intent::fleet::{Affected, Groups};
use lockstep_store::{DevicePredicate, NewGroupRules};

use super::examination::on_own_thread;
use super::primary_groups;
use super::refresh::Refresh;
use crate::groups;
use crate::runtime::ProcessingError;

/// Selects the devices that have an affected group as their primary one, if there are such groups; and the rules with their members, if
/// the store has others or none. Both take seconds for a large fleet, so they are done outside of the transaction.
pub(super) async fn matched(
    refresh: &Refresh<'_>,
    affected: &Affected,
    groups: Groups,
) -> Result<(Option<DevicePredicate>, Option<NewGroupRules>), ProcessingError> {
    let rules = new_rules(refresh, &groups).await?;
    if affected.groups.is_empty() && rules.is_none() {
        return Ok((None, None));
    }
    refresh.context.progress.begin("match groups");
    let hostnames = refresh.repositories.hostnames().await?;
    let kept = Arc::clone(refresh.primary_groups);
    let groups = Arc::new(groups);
    let matching = Arc::clone(&groups);
    let needs_members = rules.is_some();
    let found = on_own_thread(refresh.context, move |cancellation| {
        let primaries = kept.find(&matching, hostnames.clone(), cancellation);
        let matches = needs_members.then(|| {
            let of_devices = hostnames
                .iter()
                .map(|name| primaries.get(name).cloned().flatten())
                .collect();
            groups::matches(&matching, hostnames, of_devices, cancellation)
        });
        (primaries, matches)
    });
    let (primaries, matches) = found.await?;
    let affected = &affected.groups;
    let predicate = (!affected.is_empty()).then(|| primary_groups::predicate(primaries, affected.clone()));
    let new = rules.zip(matches).map(|(rules, matches)| NewGroupRules {
        rules,
        matched: Arc::new(matches),
        matching: Arc::new(move |hostnames| groups::match_all(&groups, hostnames)),
    });
    Ok((predicate, new))
}

/// The rules, if the store has others or none. Only the settings have rules.
async fn new_rules(
    refresh: &Refresh<'_>,
    groups: &Groups,
) -> Result<Option<Vec<lockstep_store::GroupRule>>, ProcessingError> {
    if refresh.source.kind != RepositoryKind::Settings {
        return Ok(None);
    }
    let stored = refresh.repositories.group_rules().await?;
    let rules = groups::stored(groups);
    Ok((stored.map(|stored| stored.rules).as_ref() != Some(&rules)).then_some(rules))
}
