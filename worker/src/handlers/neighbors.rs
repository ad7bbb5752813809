use std::collections::BTreeSet;

use lockstep_protocol::Hostname;
use lockstep_store::Facts;

/// The other devices at the links of this one.
pub(super) fn linked(hostname: &Hostname, facts: &Facts) -> BTreeSet<Hostname> {
    let ends = facts.links_of(hostname).flat_map(|link| link.ends());
    let others = ends.map(|end| &end.hostname).filter(|other| *other != hostname);
    others.cloned().collect()
}
