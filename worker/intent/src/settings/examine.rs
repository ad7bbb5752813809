use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::declarations::Declarations;
use super::{DECLARATIONS_FILE, GROUPS_FILE, file, groups_file, rule, unread};
use crate::bounds::{MOST_BYTES, MOST_PROBLEMS};
use crate::contents::{Content, ExamineError, ObjectReader, ReadObjects};
use crate::links::{self, InvalidLink, Resolved};
use crate::path::components;
use crate::read_file::{Located, bytes, locate};
use crate::tree_reader::TreeReader;
use crate::{Change, ChangeImpact, ConcernedPaths, Entry, IntentProblem, ObjectId};

/// Examines a change of settings.
pub(crate) fn examine<R: ReadObjects>(
    change: &Change<'_>,
    new: &TreeReader<'_>,
    reader: &mut ObjectReader<'_, R>,
) -> Result<Result<ChangeImpact, Vec<IntentProblem>>, ExamineError<R::Error>> {
    let mut problems = Vec::new();
    let declarations = {
        let path = DECLARATIONS_FILE.as_bytes();
        let read = |bytes: &[u8]| Declarations::read(path, bytes);
        read_one(path, new, reader, read, &mut problems)?.unwrap_or_default()
    };
    // Every change needs the groups, so they are checked each time.
    let groups = {
        let path = GROUPS_FILE.as_bytes();
        let read = |bytes: &[u8]| groups_file::read(path, bytes, new.cancellation());
        read_one(path, new, reader, read, &mut problems)?.unwrap_or_default()
    };
    let redirected = links::redirected(change, new);
    let files = to_check(change, &redirected, new, &mut problems);
    check(&files, new, reader, &declarations, &mut problems)?;
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let redirected = || redirected.iter().map(|link| &*link.path);
    let changed = || change.changed.iter().chain(redirected());
    let affected = rule::affected(change.types, changed());
    let rule = |path| rule::affected(change.types, [path]);
    let concerned = ConcernedPaths::of(changed(), rule, new.cancellation());
    let paths = change.new.iter().map(|entry| &*entry.path);
    let warnings = unread(paths, Some(&groups), change.types);
    Ok(Ok(ChangeImpact {
        affected,
        paths: concerned,
        groups,
        warnings,
    }))
}

/// Reads one file of the new tree; `None` if it does not exist or is invalid.
fn read_one<R: ReadObjects, T>(
    path: &[u8],
    new: &TreeReader<'_>,
    reader: &mut ObjectReader<'_, R>,
    read: impl Fn(&[u8]) -> Result<T, Vec<IntentProblem>>,
    problems: &mut Vec<IntentProblem>,
) -> Result<Option<T>, ExamineError<R::Error>> {
    let entry = match locate(new, path) {
        Located::File(entry) => entry,
        Located::Absent => return Ok(None),
        Located::Invalid(problem) => {
            problems.push(problem);
            return Ok(None);
        }
    };
    let mut found = None;
    reader.each(&[&entry.object].into(), MOST_BYTES, &mut |_, content| {
        let outcome = bytes(path, content).map_err(|problem| vec![problem]);
        match outcome.and_then(|bytes| read(&bytes)) {
            Ok(value) => found = Some(value),
            Err(invalid) => problems.extend(invalid),
        }
        true
    })?;
    Ok(found)
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
    let settings = change.types.folders();
    let mut files = BTreeSet::new();
    // Many links may lead to the same folder.
    let mut folders = HashSet::new();
    for path in candidates
        .into_iter()
        .filter(|path| is_in_settings(path, &settings))
    {
        if new.cancellation().is_cancelled() || problems.len() >= MOST_PROBLEMS {
            break;
        }
        if is_yaml(path) {
            files.insert(path.to_vec());
        } else if change.new.get(path).is_some_and(|entry| entry.mode.is_link()) {
            match links::resolve(new, path) {
                // The files behind a link to a folder are settings too.
                Resolved::Folder(folder) => {
                    let inside = change.new.within(&folder).map(|entry| &*entry.path);
                    let inside = inside.filter(|path| is_yaml(path)).map(<[u8]>::to_vec);
                    if folders.insert(folder.clone()) {
                        files.extend(inside);
                    }
                }
                Resolved::Invalid(reason @ (InvalidLink::Outside(_) | InvalidLink::Cycle)) => {
                    problems.push(IntentProblem::whole(path, reason.to_string()));
                }
                // A link without a target that is not named as a settings file, such as a README, does no harm.
                Resolved::File(_) | Resolved::Invalid(_) => {}
            }
        }
    }
    files
}

fn is_in_settings(path: &[u8], folders: &BTreeSet<&str>) -> bool {
    // The top folder itself may be a link, so the path need not have a second component.
    let top = components(path).next().unwrap_or_default();
    str::from_utf8(top).is_ok_and(|top| folders.contains(top))
}

fn is_yaml(path: &[u8]) -> bool {
    path.ends_with(b".yml") || path.ends_with(b".yaml")
}

/// A content to check: the first path that has it, and how many others have it.
struct Checked<'a> {
    path: &'a [u8],
    others: usize,
}

/// Checks the files, each content once.
fn check<R: ReadObjects>(
    files: &BTreeSet<Vec<u8>>,
    new: &TreeReader<'_>,
    reader: &mut ObjectReader<'_, R>,
    declarations: &Declarations,
    problems: &mut Vec<IntentProblem>,
) -> Result<(), ExamineError<R::Error>> {
    let contents = contents(files, new, problems);
    let objects: BTreeSet<&ObjectId> = contents.keys().copied().collect();
    reader.each(&objects, MOST_BYTES, &mut |object, content| {
        let checked = &contents[object];
        let invalid = problems_of(checked, content, declarations);
        let room = MOST_PROBLEMS.saturating_sub(problems.len());
        problems.extend(invalid.into_iter().take(room));
        problems.len() < MOST_PROBLEMS
    })
}

fn contents<'a>(
    files: &'a BTreeSet<Vec<u8>>,
    new: &TreeReader<'a>,
    problems: &mut Vec<IntentProblem>,
) -> BTreeMap<&'a ObjectId, Checked<'a>> {
    let mut contents: BTreeMap<&ObjectId, Checked<'_>> = BTreeMap::new();
    for path in files.iter().filter(|path| *path != GROUPS_FILE.as_bytes()) {
        if new.cancellation().is_cancelled() || problems.len() >= MOST_PROBLEMS {
            break;
        }
        match locate(new, path) {
            Located::File(entry) => {
                let first = Checked { path, others: 0 };
                contents
                    .entry(&entry.object)
                    .and_modify(|checked| checked.others += 1)
                    .or_insert(first);
            }
            Located::Absent => {}
            Located::Invalid(problem) => problems.push(problem),
        }
    }
    contents
}

fn problems_of(checked: &Checked<'_>, content: Content, declarations: &Declarations) -> Vec<IntentProblem> {
    let mut problems = match bytes(checked.path, content) {
        Ok(bytes) => file::check(checked.path, &bytes, declarations),
        Err(problem) => vec![problem],
    };
    if checked.others > 0 {
        for problem in &mut problems {
            problem.also_in(checked.others);
        }
    }
    problems
}
