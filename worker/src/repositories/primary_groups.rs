use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_intent::Cancellation;
use lockstep_intent::fleet::Groups;
use lockstep_protocol::{GroupName, Hostname};
use lockstep_store::DevicePredicate;

/// The most devices whose primary group is kept, some 20 MB. The groups of more are matched at each refresh.
const MOST_KEPT: usize = 200_000;

/// The primary group of each device, by hostname. `None` where a regex takes too many steps.
type Primaries = HashMap<Hostname, Option<GroupName>>;

/// The primary groups of the devices, kept from one refresh to the next, so that only new devices, or all if the groups changed, are
/// matched again.
#[derive(Debug, Default)]
pub(super) struct PrimaryGroups(Mutex<Option<(Groups, Arc<Primaries>)>>);

impl PrimaryGroups {
    /// Finds the primary groups of these devices. May take seconds. If the caller cancels, they are incomplete, and not kept.
    pub(super) fn find(
        &self,
        groups: &Groups,
        hostnames: Vec<Hostname>,
        cancellation: &Cancellation<'_>,
    ) -> Arc<Primaries> {
        let known = self.kept(groups);
        let unknown: Vec<&Hostname> = hostnames
            .iter()
            .filter(|name| !known.contains_key(*name))
            .collect();
        let answers = groups.primaries(&unknown, cancellation);
        if let Some(Err(error)) = answers.iter().find(|answer| answer.is_err()) {
            let devices = answers.iter().filter(|answer| answer.is_err()).count();
            tracing::warn!(devices, %error, "the primary group of devices is unknown, so that they are flagged");
        }
        let answers = answers.into_iter().map(|answer| answer.ok().cloned());
        let mut found: Primaries = unknown.into_iter().cloned().zip(answers).collect();
        let kept = hostnames.into_iter().filter_map(|name| {
            let primary = known.get(&name)?.clone();
            Some((name, primary))
        });
        found.extend(kept);
        let found = Arc::new(found);
        if found.len() <= MOST_KEPT && cancellation.check().is_ok() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((groups.clone(), Arc::clone(&found)));
        }
        found
    }

    fn kept(&self, groups: &Groups) -> Arc<Primaries> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, primaries)) if of == groups => Arc::clone(primaries),
            _ => Arc::default(),
        }
    }
}

/// Whether a device has one of these as its primary group. Runs in the transaction that flags devices, for which all lanes wait, so it
/// only looks up. A device that is flagged without need is synchronized by the next run, but one that is missed stays wrong: a
/// device whose group is unknown is selected, and so is one that was created a moment ago.
pub(super) fn predicate(primaries: Arc<Primaries>, affected: BTreeSet<GroupName>) -> DevicePredicate {
    Arc::new(move |hostname| match primaries.get(hostname) {
        Some(Some(group)) => affected.contains(group),
        Some(None) | None => true,
    })
}

#[cfg(test)]
mod tests {
    use lockstep_intent::settings::read_groups;

    use super::*;

    fn groups(text: &str) -> Groups {
        read_groups(b"groups.yml", text.as_bytes(), &Cancellation::never()).unwrap()
    }

    fn names(names: &[&str]) -> Vec<Hostname> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn group(name: &str) -> GroupName {
        name.to_owned().try_into().unwrap()
    }

    #[test]
    fn a_device_is_matched_once_for_the_same_groups() {
        let first = groups("groups: [{group: {name: A, regex: sw, group_priority: 5}}]");
        let other = groups("groups: [{group: {name: B, regex: sw, group_priority: 5}}]");
        let kept = PrimaryGroups::default();
        let find =
            |groups: &Groups, hostnames: &[&str]| kept.find(groups, names(hostnames), &Cancellation::never());
        assert_eq!(
            find(&first, &["sw1", "x1"])[&names(&["sw1"])[0]],
            Some(group("A"))
        );
        let known = kept.kept(&first);
        assert_eq!(known.len(), 2);
        assert_eq!(kept.kept(&other).len(), 0);
        // A device that is gone is dropped, a new one is added.
        assert_eq!(find(&first, &["sw1", "sw2"]).len(), 2);
        assert_eq!(kept.kept(&first)[&names(&["sw2"])[0]], Some(group("A")));
        assert_eq!(find(&other, &["sw1"])[&names(&["sw1"])[0]], Some(group("B")));
        assert_eq!(kept.kept(&first).len(), 0, "only the newest groups are kept");
        kept.find(&first, names(&["sw1"]), &Cancellation::new(&|| true));
        assert_eq!(kept.kept(&first).len(), 0, "what was cancelled is not kept");
    }

    #[test]
    fn an_unknown_group_selects_the_device() {
        let slow = groups("groups: [{group: {name: A, regex: '(?:(a|aa)+)+\\1-b$', group_priority: 5}}]");
        let hostname = format!("{}-c", "a".repeat(50));
        let kept = PrimaryGroups::default();
        let found = kept.find(&slow, names(&[&hostname, "sw1"]), &Cancellation::never());
        let selected = predicate(found, [group("OTHER")].into());
        let all = names(&[&hostname, "sw1", "created-meanwhile"]);
        let selected: Vec<bool> = all.iter().map(|name| selected(name)).collect();
        assert_eq!(selected, [true, false, true]);
    }
}
