use std::collections::BTreeSet;

use super::declarations::Declarations;
use super::{DECLARATIONS_FILE, FOLDERS, GROUPS_FILE, file, groups_file, rule};
use crate::fleet::Groups;
use crate::links::{self, InvalidLink, Resolved};
use crate::path::components;
use crate::read_file::{FileRead, read_file};
use crate::tree_reader::TreeReader;
use crate::{Change, ChangeImpact, Entry, IntentProblem};

/// After so many problems no further file is checked. The problems are sent in a message, which has a size limit.
const MOST_PROBLEMS: usize = 1000;

/// Examines a change of settings.
pub(crate) fn examine(change: &Change<'_>, new: &TreeReader<'_>) -> Result<ChangeImpact, Vec<IntentProblem>> {
    let mut problems = Vec::new();
    let declarations = declarations(new, &mut problems);
    let groups = groups(new, &mut problems);
    let redirected = links::redirected(change, new);

    for path in to_check(change, &redirected, new, &mut problems) {
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        check(&path, new, &declarations, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let redirected = redirected.iter().map(|link| &*link.path);
    let affected = rule::affected(change.changed.iter().chain(redirected));
    Ok(ChangeImpact { affected, groups })
}

fn declarations(new: &TreeReader<'_>, problems: &mut Vec<IntentProblem>) -> Declarations {
    let path = DECLARATIONS_FILE.as_bytes();
    read(path, new, problems)
        .and_then(|bytes| keep(Declarations::read(path, bytes), problems))
        .unwrap_or_default()
}

/// Reads the groups. Every change needs them, so they are checked each time.
fn groups(new: &TreeReader<'_>, problems: &mut Vec<IntentProblem>) -> Groups {
    let path = GROUPS_FILE.as_bytes();
    read(path, new, problems)
        .and_then(|bytes| keep(groups_file::read(path, bytes), problems))
        .unwrap_or_default()
}

fn keep<T>(read: Result<T, Vec<IntentProblem>>, problems: &mut Vec<IntentProblem>) -> Option<T> {
    read.map_err(|found| problems.extend(found)).ok()
}

/// The bytes of a file of the new tree; `None` if it does not exist or cannot be read.
fn read<'a>(path: &[u8], new: &TreeReader<'a>, problems: &mut Vec<IntentProblem>) -> Option<&'a [u8]> {
    match read_file(new, path) {
        FileRead::Bytes(bytes) => return Some(bytes),
        FileRead::Absent | FileRead::Pending => {}
        FileRead::Folder => problems.push(IntentProblem::whole(
            path,
            "is a link to a folder, must be a file",
        )),
        FileRead::Missing => problems.push(IntentProblem::whole(
            path,
            "its content is not in the clone; fetch the repository again",
        )),
        FileRead::Invalid(problem) => problems.push(problem),
    }
    None
}

/// The settings files to check: those that changed, or all if nothing was accepted before or the declarations changed.
fn to_check(
    change: &Change<'_>,
    redirected: &[&Entry],
    new: &TreeReader<'_>,
    problems: &mut Vec<IntentProblem>,
) -> BTreeSet<Vec<u8>> {
    let all = change.old.is_empty() || change.changed.contains(DECLARATIONS_FILE.as_bytes());
    let candidates: Vec<&[u8]> = if all {
        change.new.iter().map(|entry| &*entry.path).collect()
    } else {
        let changed = [&change.changed.added, &change.changed.modified]
            .into_iter()
            .flatten();
        let changed = changed.map(AsRef::as_ref);
        changed.chain(redirected.iter().map(|link| &*link.path)).collect()
    };
    let mut files = BTreeSet::new();
    for path in candidates.into_iter().filter(|path| is_in_settings(path)) {
        if is_yaml(path) {
            files.insert(path.to_vec());
        } else if change.new.get(path).is_some_and(|entry| entry.mode.is_link()) {
            match links::resolve(new, path) {
                // The files behind a link to a folder are settings too.
                Resolved::Folder(folder) => {
                    let inside = change.new.within(&folder).map(|entry| &*entry.path);
                    files.extend(inside.filter(|path| is_yaml(path)).map(<[u8]>::to_vec));
                }
                Resolved::Invalid(reason @ (InvalidLink::Outside(_) | InvalidLink::Cycle)) => {
                    problems.push(IntentProblem::whole(path, reason.to_string()));
                }
                // A link without a target that is not named as a settings file, such as a README, does no harm.
                Resolved::File(_) | Resolved::Pending | Resolved::Invalid(_) => {}
            }
        }
    }
    files
}

fn is_in_settings(path: &[u8]) -> bool {
    // The top folder itself may be a link, so the path need not have a second component.
    let top = components(path).next().unwrap_or_default();
    FOLDERS.iter().any(|folder| folder.as_bytes() == top)
}

fn is_yaml(path: &[u8]) -> bool {
    path.ends_with(b".yml") || path.ends_with(b".yaml")
}

fn check(path: &[u8], new: &TreeReader<'_>, declarations: &Declarations, problems: &mut Vec<IntentProblem>) {
    if path == GROUPS_FILE.as_bytes() {
        return;
    }
    if let Some(bytes) = read(path, new, problems) {
        problems.extend(file::check(path, bytes, declarations));
    }
}
