//! The links that a batch reads and changes.

use std::collections::BTreeMap;

use lockstep_protocol::Hostname;

use super::Facts;
use crate::{Link, LinkAddresses, LinkChange, LinkEnd, LinkRow, Version};

/// The links of the devices in `Keys::links_of`, with the changes of the batch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LinkFacts(BTreeMap<Link, LinkRow>);

impl Facts {
    /// Adds a link that the store has; with its version, where it was removed, too.
    pub fn add_link(&mut self, link: Link, present: bool, version: Option<Version>) {
        let added = version.clone().filter(|_| present);
        let row = LinkRow {
            present,
            version,
            added,
            addresses: [None, None],
            addressed: None,
            changed: false,
        };
        self.add_link_row(link, row);
    }

    /// Adds a link that the store has, with all that is known of it.
    pub fn add_link_row(&mut self, link: Link, row: LinkRow) {
        self.links.0.insert(link, row);
    }

    /// Whether a link exists.
    pub fn has_link(&self, link: &Link) -> bool {
        self.links.0.get(link).is_some_and(|row| row.present)
    }

    /// What is known of a link, also of one that was removed.
    pub fn link(&self, link: &Link) -> Option<&LinkRow> {
        self.links.0.get(link)
    }

    /// The links that exist and end at this interface.
    pub fn links_at<'a>(&'a self, end: &'a LinkEnd) -> impl Iterator<Item = &'a Link> {
        self.present_links()
            .filter(move |link| link.ends().contains(&end))
    }

    /// The links of a device that exist.
    pub fn links_of<'a>(&'a self, hostname: &'a Hostname) -> impl Iterator<Item = &'a Link> {
        self.present_links().filter(move |link| link.touches(hostname))
    }

    fn present_links(&self) -> impl Iterator<Item = &Link> {
        let present = self.links.0.iter().filter(|(_, row)| row.present);
        present.map(|(link, _)| link)
    }

    /// The links that the batch changed.
    pub fn changed_links(&self) -> impl Iterator<Item = (&Link, &LinkRow)> {
        self.links.0.iter().filter(|(_, row)| row.changed)
    }

    /// The links that exist and that this one replaces if it is added with this version: those that were added before it and end
    /// at one of its interfaces.
    pub fn links_replaced_by<'a>(
        &'a self,
        link: &'a Link,
        version: &'a Version,
    ) -> impl Iterator<Item = &'a Link> {
        let older = |row: &LinkRow| row.present && row.added.as_ref() < Some(version);
        let links = self.links.0.iter();
        let replaced = links.filter(move |(other, row)| other.excludes(link) && older(row));
        replaced.map(|(other, _)| other)
    }

    /// What the messages about links say together, in whichever order they arrive: a link exists if the newest message about it
    /// added it, and no other link at one of its interfaces was added after it. It has the addresses of the newest message that says any.
    /// Without a version, the message is the newest.
    pub(super) fn change_link(&mut self, change: LinkChange) {
        let LinkChange {
            link,
            present,
            version,
            addresses,
        } = change;
        let Some(version) = version else {
            return self.force_link(link, present, addresses);
        };
        if present {
            let older = |row: &LinkRow| row.present && row.added.as_ref() < Some(&version);
            for (other, row) in &mut self.links.0 {
                if other.excludes(&link) && older(row) {
                    row.present = false;
                    row.changed = true;
                }
            }
        }
        let known = self.links.0.get(&link);
        let before = known.and_then(|row| row.version.as_ref());
        let added_before = known.and_then(|row| row.added.as_ref());
        let added = added_before.max(Some(&version).filter(|_| present)).cloned();
        let newest = before.max(Some(&version)).cloned();
        let replaced = || {
            let mut others = self.links.0.iter();
            others.any(|(other, row)| other.excludes(&link) && row.added > added)
        };
        let addressed_before = known.and_then(|row| row.addressed.as_ref());
        let (set, set_by) = match addresses {
            Some(addresses) if addressed_before < Some(&version) => (addresses, Some(version.clone())),
            _ => (addresses_of(known), addressed_before.cloned()),
        };
        let row = LinkRow {
            present: added.is_some() && newest == added && !replaced(),
            version: newest,
            added,
            addresses: set,
            addressed: set_by,
            changed: true,
        };
        let is_same = known.is_some_and(|known| {
            LinkRow {
                changed: true,
                ..known.clone()
            } == row
        });
        if !is_same {
            self.links.0.insert(link, row);
        }
    }

    fn force_link(&mut self, link: Link, present: bool, addresses: Option<LinkAddresses>) {
        let known = self.links.0.get(&link);
        let addresses = addresses.unwrap_or_else(|| addresses_of(known));
        if known.is_some_and(|row| row.present == present && row.addresses == addresses) {
            return;
        }
        let row = LinkRow {
            present,
            version: known.and_then(|row| row.version.clone()),
            added: known.and_then(|row| row.added.clone()),
            addresses,
            addressed: known.and_then(|row| row.addressed.clone()),
            changed: true,
        };
        self.links.0.insert(link, row);
    }

    /// The store renames the interfaces with the device.
    pub(super) fn rename_links(&mut self, from: &Hostname, to: &Hostname) {
        let links = std::mem::take(&mut self.links.0).into_iter();
        let rename = |(link, mut row): (Link, LinkRow)| {
            let renamed = link.clone().renamed(from, to);
            // The new name may change which end is the smaller one.
            if *renamed.a() != link.a().clone().renamed(from, to) {
                row.addresses.reverse();
            }
            (renamed, row)
        };
        self.links.0 = links.map(rename).collect();
    }

    /// The store removes the links with the device.
    pub(super) fn remove_links(&mut self, hostname: &Hostname) {
        self.links.0.retain(|link, _| !link.touches(hostname));
    }
}

fn addresses_of(known: Option<&LinkRow>) -> LinkAddresses {
    known.map(|row| row.addresses.clone()).unwrap_or_default()
}
