//! `lockstep.linknet.changed`: a link was added, updated or removed. The devices at both ends are flagged. A link that is added or
//! updated takes the place of others at its interfaces: those are removed, and the devices at their other ends flagged, too
//! (`docs/reference/sync-rules.md`).
//!
//! The newest message about a link counts, in whichever order they arrive (`Facts::links_replaced_by`), and of those that say addresses the
//! newest. An older one still flags.

use lockstep_protocol::events::{LinknetAction, LinknetChanged, LinknetEnd};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code};
use lockstep_store::{Effects, Facts, Keys, Link, LinkAddresses, LinkChange, LinkEnd, Version};

use super::event_device::device_of_event;
use super::flagged::Flagged;
use super::{Decision, Handler, HandlerContext, Rejection, neighbors};

impl Handler for LinknetChanged {
    fn keys(&self, keys: &mut Keys) {
        for (_, end) in ends(self).into_iter().flat_map(|pair| pair.ends) {
            keys.add_device_of_event(&end.hostname);
            keys.links_at.insert(LinkEnd {
                hostname: end.hostname.clone(),
                interface: end.interface.clone(),
            });
        }
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, &context.version(), facts)
    }
}

/// Both ends of the link, or of the link before the update.
struct Ends<'a> {
    place: &'static str,
    ends: [(&'static str, &'a LinknetEnd); 2],
}

fn ends(event: &LinknetChanged) -> Vec<Ends<'_>> {
    let now = Ends {
        place: "$.data",
        ends: [("a", &event.a), ("b", &event.b)],
    };
    let before = event.previous.as_ref().map(|previous| Ends {
        place: "$.data.previous",
        ends: [("a", &previous.a), ("b", &previous.b)],
    });
    [now].into_iter().chain(before).collect()
}

fn decide(event: &LinknetChanged, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    if event.previous.is_some() && event.action != LinknetAction::Updated {
        let reason =
            "only a link that was updated has previous ends; leave them out, or set action to updated";
        return Err(Rejection::new(Code::InvalidData, "$.data.previous", reason));
    }
    let known = ends(event)
        .iter()
        .map(|ends| resolve(ends, version, facts))
        .collect::<Result<Vec<_>, _>>()?;
    let (now, before) = (&known[0], known.get(1));
    let cause = match event.action {
        LinknetAction::Added => Cause::LinknetCreated,
        LinknetAction::Updated => Cause::LinknetUpdated,
        LinknetAction::Removed => Cause::LinknetDeleted,
    };
    let mut flagged = Flagged::default();
    flagged.flag_all(now.iter().map(|end| &end.hostname), cause);
    let mut effects = Effects::default();
    let before = before.filter(|before| **before != *now);
    flagged.flag_all(
        before.into_iter().flatten().map(|end| &end.hostname),
        Cause::LinknetDeleted,
    );
    if let Some(before) = before
        .and_then(|ends| link(ends))
        .filter(|link| Some(link) != self::link(now).as_ref())
    {
        effects.links.push(change(before, false, version));
    }
    if let Some((link, addresses)) = addressed(event, now) {
        if event.action != LinknetAction::Removed {
            let replaced = facts.links_replaced_by(&link, version).flat_map(Link::ends);
            flagged.flag_all(replaced.map(|end| &end.hostname), Cause::LinknetDeleted);
        }
        effects.links.push(LinkChange {
            addresses,
            ..change(link, event.action != LinknetAction::Removed, version)
        });
    }
    if let ([end], true) = (&now[..], event.action != LinknetAction::Removed) {
        neighbors::replace_at(end, version, facts, &mut flagged, &mut effects.links);
    }
    if flagged.devices.is_empty() {
        return Ok(Decision::ignored(IgnoredReason::Older, event.a.hostname.clone()));
    }
    effects.devices = flagged.effects;
    Ok(Decision::applied(effects, Scope::Devices, flagged.devices))
}

/// The ends by the present names of their devices, without those whose device was removed since.
fn resolve(ends: &Ends<'_>, version: &Version, facts: &Facts) -> Result<Vec<LinkEnd>, Rejection> {
    let place = ends.place;
    let mut known = Vec::with_capacity(2);
    for (field, end) in ends.ends {
        let place = format!("{place}.{field}.hostname");
        if let Some(row) = device_of_event(&end.hostname, version, facts, place)? {
            known.push(LinkEnd {
                hostname: row.hostname.clone(),
                interface: end.interface.clone(),
            });
        }
    }
    let [a, b] = ends.ends.map(|(_, end)| (&end.hostname, &end.interface));
    if a == b || matches!(&known[..], [a, b] if a == b) {
        let reason = format!(
            "the link ends where it begins, at {} of {}; name two interfaces",
            a.1, a.0
        );
        return Err(Rejection::new(Code::InvalidData, format!("{place}.b"), reason));
    }
    Ok(known)
}

/// The link between both ends, if both have a device.
fn link(ends: &[LinkEnd]) -> Option<Link> {
    match ends {
        [a, b] => Some(Link::between(a.clone(), b.clone())),
        _ => None,
    }
}

/// The link with the addresses that the message says. `None` for these if it says none.
fn addressed(event: &LinknetChanged, now: &[LinkEnd]) -> Option<(Link, Option<LinkAddresses>)> {
    let [a, b] = now else {
        return None;
    };
    let (link, addresses) = Link::with_addresses(
        (a.clone(), event.a.address.clone()),
        (b.clone(), event.b.address.clone()),
    );
    let says_any = addresses.iter().any(Option::is_some);
    Some((link, says_any.then_some(addresses)))
}

fn change(link: Link, present: bool, version: &Version) -> LinkChange {
    LinkChange {
        link,
        present,
        version: Some(version.clone()),
        addresses: None,
    }
}

#[cfg(test)]
mod tests;
