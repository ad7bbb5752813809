//! Follows symbolic links inside a tree. They are followed in the listing alone, so no file outside of the repository is read.

use std::collections::VecDeque;

use super::path::components;
use super::tree_reader::TreeReader;
use super::{Change, Content, Entry, Listing, display_path};

/// The most links on the way of one path; Linux has the same limit.
const MOST_HOPS: usize = 40;

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved<'a> {
    /// An entry that is not a link.
    File(&'a Entry),
    Folder(Vec<u8>),
    /// Unknown until the contents of the links on the way are read.
    Pending,
    Invalid(InvalidLink),
}

/// Why a link has no target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidLink {
    #[error("is a link to {0:?}, which is outside of the repository; files outside are not read")]
    Outside(String),
    #[error("is a link to {0:?}, and there is no such file in the repository")]
    Dangling(String),
    #[error("is a link in a cycle of links")]
    Cycle,
    #[error("is a link whose content is not in the clone; fetch the repository again")]
    Missing,
}

/// Follows all links of a path.
pub(super) fn resolve<'a>(reader: &TreeReader<'a>, path: &[u8]) -> Resolved<'a> {
    follow(reader, path, &mut |_| ())
}

/// Follows all links of a path, and calls `visit` with each link on the way and with the target.
fn follow<'a>(reader: &TreeReader<'a>, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Resolved<'a> {
    let tree = reader.tree();
    let mut rest: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
    let mut here: Vec<u8> = Vec::new();
    let mut target = String::new();
    let mut hops = 0;
    while let Some(component) = rest.pop_front() {
        match component.as_slice() {
            b"" | b"." => continue,
            b".." if here.is_empty() => return Resolved::Invalid(InvalidLink::Outside(target)),
            b".." => {
                let parent = here.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                here.truncate(parent);
                continue;
            }
            _ => {}
        }
        let folder = here.len();
        if folder > 0 {
            here.push(b'/');
        }
        here.extend_from_slice(&component);
        let Some(link) = tree.get(&here).filter(|entry| entry.mode.is_link()) else {
            continue;
        };
        visit(&here);
        hops += 1;
        if hops > MOST_HOPS {
            return Resolved::Invalid(InvalidLink::Cycle);
        }
        let to = match reader.content(link) {
            None => return Resolved::Pending,
            Some(Content::Bytes(to)) => to,
            Some(Content::Missing | Content::TooLarge(_)) => return Resolved::Invalid(InvalidLink::Missing),
        };
        target = display_path(to);
        if to.starts_with(b"/") {
            return Resolved::Invalid(InvalidLink::Outside(target));
        }
        here.truncate(folder);
        for component in components(to).collect::<Vec<_>>().into_iter().rev() {
            rest.push_front(component.to_vec());
        }
    }
    visit(&here);
    destination(tree, here, target)
}

fn destination(tree: &Listing, here: Vec<u8>, target: String) -> Resolved<'_> {
    if let Some(entry) = tree.get(&here) {
        Resolved::File(entry)
    } else if here.is_empty() || tree.within(&here).next().is_some() {
        Resolved::Folder(here)
    } else {
        Resolved::Invalid(InvalidLink::Dangling(target))
    }
}

/// The further paths of changed files: those through a link to a folder above them. If the link itself leads to another folder
/// now, these are all files behind it.
pub(super) fn aliases(change: &Change<'_>, reader: &TreeReader<'_>) -> Vec<Vec<u8>> {
    let mut aliases = Vec::new();
    for link in reader.tree().iter().filter(|entry| entry.mode.is_link()) {
        let mut retargeted = false;
        let Resolved::Folder(folder) = follow(reader, &link.path, &mut |place| {
            retargeted = retargeted || is_replaced(change, place);
        }) else {
            continue;
        };
        let prefix = [&folder, &b"/"[..]].concat();
        let mut add = |path: &[u8]| {
            let inside = path.strip_prefix(prefix.as_slice());
            aliases.extend(inside.map(|inside| [&link.path, &b"/"[..], inside].concat()));
        };
        if retargeted {
            reader.tree().within(&folder).for_each(|entry| add(&entry.path));
        } else {
            change.changed.iter().for_each(add);
        }
    }
    aliases
}

/// The links of the new tree that did not change themselves, but whose target or its content did.
pub(super) fn redirected<'a>(change: &Change<'a>, reader: &TreeReader<'a>) -> Vec<&'a Entry> {
    let links = change
        .new
        .iter()
        .filter(|entry| entry.mode.is_link() && !change.changed.contains(&entry.path));
    links
        .filter(|link| {
            let mut changed = false;
            follow(reader, &link.path, &mut |place| {
                changed = changed || *place != *link.path && is_changed(change, place);
            });
            changed
        })
        .collect()
}

/// Whether the content at a path may have changed: the entry itself, a folder above it, or anything below it.
fn is_changed(change: &Change<'_>, place: &[u8]) -> bool {
    // An empty path is the root, and every change is below it.
    (place.is_empty() && !change.changed.is_empty())
        || is_replaced(change, place)
        || change.changed.any_within(place)
}

/// Whether another entry is at a path now: the entry itself changed, or a folder above it was or became a file or a link.
fn is_replaced(change: &Change<'_>, place: &[u8]) -> bool {
    let ends = (0..place.len()).filter(|index| place[*index] == b'/');
    let mut above = ends.map(|end| &place[..end]);
    change.changed.contains(place) || above.any(|folder| change.changed.contains(folder))
}
