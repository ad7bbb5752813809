use std::collections::BTreeSet;

use lockstep_protocol::{Cause, Hostname};
use lockstep_store::{Facts, Link, LinkChange, LinkEnd, Version};

use super::flagged::Flagged;

/// The other devices at the links of this one.
pub(super) fn linked(hostname: &Hostname, facts: &Facts) -> BTreeSet<Hostname> {
    let ends = facts.links_of(hostname).flat_map(Link::ends);
    let others = ends.map(|end| &end.hostname).filter(|other| *other != hostname);
    others.cloned().collect()
}

/// An interface got a link at this version whose other end was removed since, so that the link itself is gone. It replaced the links that
/// were there before: they are removed, and the devices at their other ends flagged.
pub(super) fn replace_at(
    end: &LinkEnd,
    version: &Version,
    facts: &Facts,
    flagged: &mut Flagged,
    changes: &mut Vec<LinkChange>,
) {
    let older = |link: &_| {
        facts
            .link(link)
            .is_some_and(|row| row.added.as_ref() < Some(version))
    };
    for link in facts.links_at(end).filter(|link| older(*link)) {
        flagged.flag_all(link.ends().map(|end| &end.hostname), Cause::LinknetDeleted);
        changes.push(LinkChange {
            link: link.clone(),
            present: false,
            version: Some(version.clone()),
            addresses: None,
        });
    }
}
