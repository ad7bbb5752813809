use std::collections::BTreeSet;

use super::{MAPPING_FILE, Mapping, Mappings, Platform, rule};
use crate::fleet::Groups;
use crate::links::{self, Resolved};
use crate::path::display_path;
use crate::read_file::{FileRead, read_file};
use crate::tree_reader::TreeReader;
use crate::{Change, ChangeImpact, Entry, IntentProblem, Listing};

/// Examines a change of templates.
pub(crate) fn examine(
    change: &Change<'_>,
    new: &TreeReader<'_>,
    old: &TreeReader<'_>,
) -> Result<ChangeImpact, Vec<IntentProblem>> {
    let mut problems = Vec::new();
    let mut mappings = Mappings::new();
    for folder in folders(new) {
        read_new(folder, new, &mut mappings, &mut problems);
    }
    // Paths that changed only because a link leads to changed files.
    let mut linked: BTreeSet<Vec<u8>> = links::aliases(change, new).into_iter().collect();
    linked.extend(links::aliases(change, old));
    linked.extend(
        links::redirected(change, new)
            .iter()
            .map(|link| link.path.to_vec()),
    );
    let mut earlier = Mappings::new();
    for folder in folders(old) {
        let file = mapping_path(folder);
        if change.changed.contains(&file) || linked.contains(&file) {
            read_old(folder, old, &mut earlier);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let paths = change.changed.iter().chain(linked.iter().map(Vec::as_slice));
    let affected = rule::affected(paths, &earlier, &mappings);
    Ok(ChangeImpact {
        affected,
        groups: Groups::default(),
    })
}

/// The platforms of a tree: folders at the top, and links to folders. Names that begin with a dot are left out.
fn folders<'a>(reader: &TreeReader<'a>) -> BTreeSet<&'a [u8]> {
    let folder = |entry: &'a Entry| {
        let path = &*entry.path;
        match path.iter().position(|byte| *byte == b'/') {
            Some(slash) => Some(&path[..slash]),
            None if entry.mode.is_link() => {
                matches!(links::resolve(reader, path), Resolved::Folder(_)).then_some(path)
            }
            None => None,
        }
    };
    let folders = reader.tree().iter().filter_map(folder);
    folders.filter(|folder| !folder.starts_with(b".")).collect()
}

fn mapping_path(folder: &[u8]) -> Vec<u8> {
    [folder, b"/", MAPPING_FILE.as_bytes()].concat()
}

fn read_new(folder: &[u8], new: &TreeReader<'_>, mappings: &mut Mappings, problems: &mut Vec<IntentProblem>) {
    let path = mapping_path(folder);
    let mut invalid = |reason: &str| problems.push(IntentProblem::whole(&path, reason));
    let bytes = match read_file(new, &path) {
        FileRead::Bytes(bytes) => bytes,
        FileRead::Pending => return,
        // A folder without templates, such as documentation, is not a platform.
        FileRead::Absent if !has_templates(new.tree(), folder) => return,
        FileRead::Absent => {
            return invalid(
                "is missing, and the folder has templates; create it with the templates of each device type",
            );
        }
        FileRead::Folder => return invalid("is a link to a folder, must be a file"),
        FileRead::Missing => return invalid("its content is not in the clone; fetch the repository again"),
        FileRead::Invalid(problem) => return problems.push(problem),
    };
    let Ok(platform) = std::str::from_utf8(folder) else {
        let reason = "the name of the folder is not UTF-8, so it cannot be a platform; rename it";
        return problems.push(IntentProblem::whole(&path, reason));
    };
    match Mapping::read(&path, bytes) {
        Ok(mapping) => drop(mappings.insert(platform.to_owned(), Platform::Known(mapping))),
        Err(found) => problems.extend(found),
    }
}

/// Reads an old mapping. It was in use, so if it is invalid, the devices that it concerned are unknown.
fn read_old(folder: &[u8], old: &TreeReader<'_>, mappings: &mut Mappings) {
    let path = mapping_path(folder);
    let platform = match read_file(old, &path) {
        FileRead::Bytes(bytes) => Mapping::read(&path, bytes).map_or(Platform::Unknown, Platform::Known),
        FileRead::Absent | FileRead::Pending => return,
        FileRead::Folder | FileRead::Missing | FileRead::Invalid(_) => Platform::Unknown,
    };
    mappings.insert(display_path(folder), platform);
}

fn has_templates(tree: &Listing, folder: &[u8]) -> bool {
    let is_template = |path: &[u8]| {
        [&b".j2"[..], b".jinja", b".jinja2"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    tree.within(folder).any(|entry| is_template(&entry.path))
}
