//! Follows symbolic links inside a tree. They are followed in the listing alone, so no file outside of the repository is read.

use std::collections::{HashMap, VecDeque};

use super::bounds::{MOST_ALIASES, MOST_HOPS, MOST_STEPS_OF_PATH, MOST_TARGET_BYTES};
use super::contents::Content;
use super::path::components;
use super::tree_reader::TreeReader;
use super::{Change, Entry, IntentProblem, Listing, display_path};

/// The most bytes of the target of a link in a problem.
const MOST_SHOWN: usize = 200;

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved<'a> {
    /// An entry that is not a link.
    File(&'a Entry),
    Folder(Vec<u8>),
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
    #[error("is a link with a target of {0} bytes, more than the limit of {MOST_TARGET_BYTES}; shorten it")]
    TargetTooLong(u64),
    #[error("is a link through more than {MOST_STEPS_OF_PATH} folders and links; link to the file itself")]
    TooManySteps,
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
    let (mut hops, mut steps) = (0, 0);
    while let Some(component) = rest.pop_front() {
        steps += 1;
        if steps + rest.len() > MOST_STEPS_OF_PATH {
            return Resolved::Invalid(InvalidLink::TooManySteps);
        }
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
        if here.len() as u64 > MOST_TARGET_BYTES {
            return Resolved::Invalid(InvalidLink::Dangling(target));
        }
        let Some(link) = tree.get(&here).filter(|entry| entry.mode.is_link()) else {
            continue;
        };
        visit(&here);
        hops += 1;
        if hops > MOST_HOPS {
            return Resolved::Invalid(InvalidLink::Cycle);
        }
        let to = match reader.target(link) {
            Content::Bytes(to) => to,
            Content::TooLarge(size) => return Resolved::Invalid(InvalidLink::TargetTooLong(*size)),
            Content::Missing | Content::TooMuch => return Resolved::Invalid(InvalidLink::Missing),
        };
        target = display_path(&to[..to.len().min(MOST_SHOWN)]);
        if to.starts_with(b"/") {
            return Resolved::Invalid(InvalidLink::Outside(target));
        }
        here.truncate(folder);
        // The bound holds before anything is copied.
        if steps + rest.len() + components(to).take(MOST_STEPS_OF_PATH).count() > MOST_STEPS_OF_PATH {
            return Resolved::Invalid(InvalidLink::TooManySteps);
        }
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
///
/// # Errors
/// If there are too many of them.
pub(super) fn aliases(change: &Change<'_>, reader: &TreeReader<'_>) -> Result<Vec<Vec<u8>>, IntentProblem> {
    let mut aliases = Vec::new();
    let mut replaced = HashMap::new();
    for link in reader.tree().links() {
        if reader.cancellation().is_cancelled() {
            break;
        }
        let mut retargeted = false;
        let Resolved::Folder(folder) = follow(reader, &link.path, &mut |place| {
            retargeted = retargeted || known(&mut replaced, place, || is_replaced(change, place));
        }) else {
            continue;
        };
        let prefix = folder.len() + 1;
        let alias = |path: &[u8]| [&link.path, &b"/"[..], &path[prefix..]].concat();
        let room = MOST_ALIASES + 1 - aliases.len();
        if retargeted {
            let inside = reader.tree().within(&folder).map(|entry| &*entry.path);
            aliases.extend(inside.take(room).map(alias));
        } else {
            aliases.extend(change.changed.within(&folder).take(room).map(alias));
        }
        if aliases.len() > MOST_ALIASES {
            let reason = format!(
                "the links to folders give changed files more than {MOST_ALIASES} further paths, the limit; remove some links, or change fewer files in one commit"
            );
            return Err(IntentProblem::whole(&link.path, reason));
        }
    }
    Ok(aliases)
}

/// The links of the new tree that did not change themselves, but whose target or its content did.
pub(super) fn redirected<'a>(change: &Change<'a>, reader: &TreeReader<'a>) -> Vec<&'a Entry> {
    let mut places = HashMap::new();
    let unchanged = change
        .new
        .links()
        .filter(|link| !change.changed.contains(&link.path));
    unchanged
        .filter(|link| {
            let mut changed = false;
            if !reader.cancellation().is_cancelled() {
                follow(reader, &link.path, &mut |place| {
                    changed = changed
                        || *place != *link.path && known(&mut places, place, || is_changed(change, place));
                });
            }
            changed
        })
        .collect()
}

/// What was found out about a place before. Many links may lead through the same places.
fn known(places: &mut HashMap<Vec<u8>, bool>, place: &[u8], find: impl FnOnce() -> bool) -> bool {
    *places.entry(place.to_vec()).or_insert_with(find)
}

/// Whether the content at a path may have changed: the entry itself, a folder above it, or anything below it.
fn is_changed(change: &Change<'_>, place: &[u8]) -> bool {
    // An empty path is the root, and every change is below it.
    (place.is_empty() && !change.changed.is_empty())
        || is_replaced(change, place)
        || change.changed.within(place).next().is_some()
}

/// Whether another entry is at a path now: the entry itself changed, or a folder above it was or became a file or a link.
fn is_replaced(change: &Change<'_>, place: &[u8]) -> bool {
    let ends = (0..place.len()).filter(|index| place[*index] == b'/');
    let mut above = ends.map(|end| &place[..end]);
    change.changed.contains(place) || above.any(|folder| change.changed.contains(folder))
}
