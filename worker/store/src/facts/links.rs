//! The links that a batch reads and changes.

use std::collections::BTreeMap;

use lockstep_protocol::Hostname;

use super::Facts;
use crate::{Link, LinkChange, LinkEnd, LinkRow, Version};

/// The links of the devices in `Keys::links_of`, with the changes of the batch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LinkFacts(BTreeMap<Link, LinkRow>);

impl Facts {
    /// Adds a link that the store has; with its version, where it was removed, too.
    pub fn add_link(&mut self, link: Link, present: bool, version: Option<Version>) {
        let row = LinkRow {
            present,
            version,
            changed: false,
        };
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

    /// The newest version counts, also if this message has none.
    pub(super) fn change_link(&mut self, change: LinkChange) {
        let LinkChange {
            link,
            present,
            version,
        } = change;
        let known = self.links.0.get(&link);
        if known.is_some_and(|row| row.present == present) && version.is_none() {
            return;
        }
        let before = known.and_then(|row| row.version.clone());
        let row = LinkRow {
            present,
            version: version.max(before),
            changed: true,
        };
        self.links.0.insert(link, row);
    }

    /// The store renames the interfaces with the device.
    pub(super) fn rename_links(&mut self, from: &Hostname, to: &Hostname) {
        let links = std::mem::take(&mut self.links.0).into_iter();
        self.links.0 = links.map(|(link, row)| (link.renamed(from, to), row)).collect();
    }

    /// The store removes the links with the device.
    pub(super) fn remove_links(&mut self, hostname: &Hostname) {
        self.links.0.retain(|link, _| !link.touches(hostname));
    }
}
