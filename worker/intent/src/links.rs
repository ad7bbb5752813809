//! Symbolic links inside a tree. They are followed in the listing alone: nothing outside of the repository is ever looked at.

use std::collections::VecDeque;

use super::path::components;
use super::tree_reader::TreeReader;
use super::{Change, Content, Entry, Listing, shown};

/// How many links may follow one another; as many as Linux allows.
const MOST_HOPS: usize = 40;

/// Where a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved<'a> {
    /// To this entry, which is no link.
    File(&'a Entry),
    /// To this folder.
    Folder(Vec<u8>),
    /// Not known before the links on the way are read.
    Pending,
    /// Nowhere.
    Invalid(InvalidLink),
}

/// Why a link leads nowhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidLink {
    #[error("is a link to {0:?}, which is outside of the repository; nothing there is read")]
    Outside(String),
    #[error("is a link to {0:?}, and there is no such file in the repository")]
    Dangling(String),
    #[error("is a link that leads in a circle")]
    Circle,
    #[error("is a link whose content is not in the repository; fetch it again")]
    Lost,
}

/// Follows all links of a path.
pub(super) fn resolve<'a>(reader: &TreeReader<'a>, path: &[u8]) -> Resolved<'a> {
    follow(reader, path, &mut |_| ())
}

/// Follows all links of a path, telling each place that was looked at.
fn follow<'a>(reader: &TreeReader<'a>, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Resolved<'a> {
    let tree = reader.tree();
    let mut ahead: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
    let mut here: Vec<u8> = Vec::new();
    let mut target = String::new();
    let mut hops = 0;
    while let Some(component) = ahead.pop_front() {
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
            return Resolved::Invalid(InvalidLink::Circle);
        }
        let to = match reader.content(link) {
            None => return Resolved::Pending,
            Some(Content::Bytes(to)) => to,
            Some(Content::Missing | Content::TooLarge(_)) => return Resolved::Invalid(InvalidLink::Lost),
        };
        target = shown(to);
        if to.starts_with(b"/") {
            return Resolved::Invalid(InvalidLink::Outside(target));
        }
        here.truncate(folder);
        for component in components(to).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(component.to_vec());
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

/// The paths at which what changed can be found too, because a link leads to a folder above it. Where the link itself changed,
/// that is all there is behind it.
pub(super) fn aliases(change: &Change<'_>, reader: &TreeReader<'_>) -> Vec<Vec<u8>> {
    let mut aliases = Vec::new();
    for link in reader.tree().iter().filter(|entry| entry.mode.is_link()) {
        let mut moved = false;
        let Resolved::Folder(folder) = follow(reader, &link.path, &mut |place| {
            moved = moved || is_moved(change, place);
        }) else {
            continue;
        };
        let prefix = [&folder, &b"/"[..]].concat();
        let mut add = |path: &[u8]| {
            let inside = path.strip_prefix(prefix.as_slice());
            aliases.extend(inside.map(|inside| [&link.path, &b"/"[..], inside].concat()));
        };
        if moved {
            reader.tree().within(&folder).for_each(|entry| add(&entry.path));
        } else {
            change.changed.iter().for_each(add);
        }
    }
    aliases
}

/// The links of the new tree that lead to something else than before, though they themselves stayed as they are.
pub(super) fn redirected<'a>(change: &Change<'a>, reader: &TreeReader<'a>) -> Vec<&'a Entry> {
    let links = change
        .new
        .iter()
        .filter(|entry| entry.mode.is_link() && !change.changed.contains(&entry.path));
    links
        .filter(|link| {
            let mut touched = false;
            follow(reader, &link.path, &mut |place| {
                touched = touched || *place != *link.path && is_touched(change, place);
            });
            touched
        })
        .collect()
}

/// Whether what is at a place may have changed: it itself, a folder it is in, or something in it.
fn is_touched(change: &Change<'_>, place: &[u8]) -> bool {
    // Everything is below the root.
    (place.is_empty() && !change.changed.is_empty())
        || is_moved(change, place)
        || change.changed.any_within(place)
}

/// Whether something else is at a place now: it itself changed, or a folder it is in, which then was or became a file or a link.
fn is_moved(change: &Change<'_>, place: &[u8]) -> bool {
    let ends = (0..place.len()).filter(|index| place[*index] == b'/');
    let mut above = ends.map(|end| &place[..end]);
    change.changed.contains(place) || above.any(|folder| change.changed.contains(folder))
}
