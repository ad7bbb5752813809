use std::collections::{BTreeSet, HashMap};

use super::{MAPPING_FILE, Mapping, Mappings, Platform, rule};
use crate::bounds::{MOST_BYTES, MOST_PLATFORMS, MOST_PROBLEMS};
use crate::contents::{Content, ExamineError, ObjectReader, ReadObjects};
use crate::fleet::{DeviceTypes, Groups};
use crate::links::{self, Resolved};
use crate::path::display_path;
use crate::read_file::{Located, bytes, locate};
use crate::settings::nearest;
use crate::tree_reader::TreeReader;
use crate::{Change, ChangeImpact, ConcernedPaths, Entry, IntentProblem, Listing, ObjectId};

/// The outcome of reading a mapping.
type Read = Result<Mapping, Vec<IntentProblem>>;

/// Examines a change of templates.
pub(crate) fn examine<R: ReadObjects>(
    change: &Change<'_>,
    new: &TreeReader<'_>,
    old: &TreeReader<'_>,
    reader: &mut ObjectReader<'_, R>,
) -> Result<Result<ChangeImpact, Vec<IntentProblem>>, ExamineError<R::Error>> {
    let platforms = folders(new);
    if let Some(folder) = platforms.iter().nth(MOST_PLATFORMS) {
        let reason =
            format!("there are more platforms than the limit of {MOST_PLATFORMS}; remove some folders");
        return Ok(Err(vec![IntentProblem::whole(folder, reason)]));
    }
    // Paths that changed only because a link leads to changed files.
    let linked = match linked(change, new, old) {
        Ok(linked) => linked,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let remapped = folders(old).into_iter().filter(|folder| {
        let file = mapping_path(folder);
        change.changed.contains(&file) || linked.contains(&file)
    });
    let remapped: Vec<&[u8]> = remapped.collect();
    let files: Vec<(&[u8], Located<'_>)> = locate_all(&platforms.into_iter().collect::<Vec<_>>(), new);
    let old_files = locate_all(&remapped, old);
    let read = read_all(files.iter().chain(&old_files), reader, change.types)?;

    let mut problems = Vec::new();
    let mut mappings = Mappings::new();
    for (folder, located) in &files {
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        read_new(folder, located, &read, new, &mut mappings, &mut problems);
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let earlier = old_files
        .iter()
        .filter_map(|(folder, located)| Some((display_path(folder), old_platform(located, &read)?)));
    let earlier: Mappings = earlier.collect();
    let paths = || change.changed.iter().chain(linked.iter().map(Vec::as_slice));
    let affected = match rule::affected(paths(), &earlier, &mappings, new.cancellation()) {
        Ok(affected) => affected,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    // All paths together took few enough steps, so each of them does.
    let rule = |path| rule::affected([path], &earlier, &mappings, new.cancellation()).unwrap_or_default();
    Ok(Ok(ChangeImpact {
        affected,
        paths: ConcernedPaths::of(paths(), rule, new.cancellation()),
        groups: Groups::default(),
        warnings: warnings(&files, &mappings, new),
    }))
}

/// What has no effect: keys that are no types, entrypoints that do not exist, and folders that are probably misspelled platforms.
fn warnings(files: &[(&[u8], Located<'_>)], mappings: &Mappings, new: &TreeReader<'_>) -> Vec<IntentProblem> {
    let mut warnings = Vec::new();
    for (platform, mapping) in mappings {
        let Platform::Known(mapping) = mapping else {
            continue;
        };
        warnings.extend(mapping.warnings().iter().cloned());
        for (kind, of) in mapping.types() {
            let file = format!("{platform}/{}", of.entrypoint);
            if let Located::Absent = locate(new, file.as_bytes()) {
                let reason = format!(
                    "the entrypoint of {kind}, {:?}, is not in {platform}/",
                    of.entrypoint
                );
                warnings.push(IntentProblem::whole(&mapping_path(platform.as_bytes()), reason));
            }
        }
    }
    let known = || mappings.keys().map(String::as_str);
    for (folder, _) in files {
        let Ok(name) = str::from_utf8(folder) else {
            continue;
        };
        if !mappings.contains_key(name)
            && let Some(platform) = nearest(name, known())
        {
            let reason = format!("has no {MAPPING_FILE}, so it is no platform; did you mean {platform}/?");
            warnings.push(IntentProblem::whole(folder, reason));
        }
    }
    warnings.truncate(MOST_PROBLEMS);
    warnings.sort();
    warnings.dedup();
    warnings
}

fn linked(
    change: &Change<'_>,
    new: &TreeReader<'_>,
    old: &TreeReader<'_>,
) -> Result<BTreeSet<Vec<u8>>, IntentProblem> {
    let mut linked: BTreeSet<Vec<u8>> = links::aliases(change, new)?.into_iter().collect();
    linked.extend(links::aliases(change, old)?);
    let redirected = links::redirected(change, new);
    linked.extend(redirected.iter().map(|link| link.path.to_vec()));
    Ok(linked)
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

fn locate_all<'f, 'a>(folders: &[&'f [u8]], reader: &TreeReader<'a>) -> Vec<(&'f [u8], Located<'a>)> {
    let located = |folder: &&'f [u8]| (*folder, locate(reader, &mapping_path(folder)));
    folders.iter().map(located).collect()
}

/// Reads the mappings, each content once. Problems name the first file with the content.
fn read_all<'f, 'a: 'f, R: ReadObjects>(
    files: impl Iterator<Item = &'f (&'f [u8], Located<'a>)>,
    reader: &mut ObjectReader<'_, R>,
    types: &DeviceTypes,
) -> Result<HashMap<ObjectId, Read>, ExamineError<R::Error>> {
    let mut first: HashMap<&ObjectId, &[u8]> = HashMap::new();
    for (folder, located) in files {
        if let Located::File(entry) = located {
            first.entry(&entry.object).or_insert(folder);
        }
    }
    let objects: BTreeSet<&ObjectId> = first.keys().copied().collect();
    let mut read = HashMap::new();
    reader.each(&objects, MOST_BYTES, &mut |object, content: Content| {
        let path = mapping_path(first[object]);
        let mapping = match bytes(&path, content) {
            Ok(bytes) => Mapping::read(&path, &bytes, types),
            Err(problem) => Err(vec![problem]),
        };
        read.insert(object.clone(), mapping);
        true
    })?;
    Ok(read)
}

fn read_new(
    folder: &[u8],
    located: &Located<'_>,
    read: &HashMap<ObjectId, Read>,
    new: &TreeReader<'_>,
    mappings: &mut Mappings,
    problems: &mut Vec<IntentProblem>,
) {
    let path = mapping_path(folder);
    let entry = match located {
        Located::File(entry) => entry,
        // A folder without templates, such as documentation, is not a platform.
        Located::Absent if !has_templates(new.tree(), folder) => return,
        Located::Absent => {
            let reason =
                "is missing, and the folder has templates; create it with the templates of each device type";
            return problems.push(IntentProblem::whole(&path, reason));
        }
        Located::Invalid(problem) => return problems.push(problem.clone()),
    };
    let Ok(platform) = std::str::from_utf8(folder) else {
        let reason = "the name of the folder is not UTF-8, so it cannot be a platform; rename it";
        return problems.push(IntentProblem::whole(&path, reason));
    };
    match read.get(&entry.object) {
        Some(Ok(mapping)) => drop(mappings.insert(platform.to_owned(), Platform::Known(mapping.clone()))),
        Some(Err(found)) => problems.extend(found.iter().cloned()),
        None => {}
    }
}

/// An old mapping. It was in use, so if it is invalid, the devices that it concerned are unknown.
fn old_platform(located: &Located<'_>, read: &HashMap<ObjectId, Read>) -> Option<Platform> {
    match located {
        Located::Absent => None,
        Located::Invalid(_) => Some(Platform::Unknown),
        Located::File(entry) => match read.get(&entry.object) {
            Some(Ok(mapping)) => Some(Platform::Known(mapping.clone())),
            Some(Err(_)) | None => Some(Platform::Unknown),
        },
    }
}

fn has_templates(tree: &Listing, folder: &[u8]) -> bool {
    let is_template = |path: &[u8]| {
        [&b".j2"[..], b".jinja", b".jinja2"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    tree.within(folder).any(|entry| is_template(&entry.path))
}
