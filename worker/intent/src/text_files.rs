use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::bounds::{MOST_ALIASES, MOST_BYTES};
use super::cancellation::Cancellation;
use super::contents::{Content, ExamineError, ObjectReader, ReadObjects};
use super::links::{Resolved, resolve};
use super::read_file::bytes;
use super::tree_reader::{LinkTargets, TreeReader};
use super::{IntentProblem, Listing, ObjectId};

/// The text files of a tree whose paths are wanted, also those behind links, by their paths. Each content is there once. Files with more
/// than [`MOST_BYTES`] and those that are no UTF-8 are left out: a repository may hold images and archives.
///
/// # Errors
/// The inner error is a problem of the tree: all files together have more than `most` bytes, or a content is not in the clone.
#[expect(
    clippy::type_complexity,
    reason = "a problem of the tree is not a failure to read it"
)]
pub fn text_files<R: ReadObjects>(
    tree: &Listing,
    wanted: &dyn Fn(&str) -> bool,
    most: u64,
    objects: &mut R,
    cancellation: &Cancellation<'_>,
) -> Result<Result<Vec<(String, Arc<str>)>, IntentProblem>, ExamineError<R::Error>> {
    let mut reader = ObjectReader::new(objects, cancellation).within(most);
    let targets = LinkTargets::read(&[tree], &mut reader)?;
    let paths = match paths(&TreeReader::new(tree, &targets, cancellation), wanted) {
        Ok(paths) => paths,
        Err(problem) => return Ok(Err(problem)),
    };
    let objects: BTreeSet<&ObjectId> = paths.values().copied().collect();
    let mut texts: HashMap<ObjectId, Arc<str>> = HashMap::with_capacity(objects.len());
    let mut problem = None;
    reader.each(&objects, MOST_BYTES, &mut |object, content| {
        match content {
            Content::Bytes(bytes) => {
                if let Ok(text) = String::from_utf8(bytes) {
                    texts.insert(object.clone(), text.into());
                }
            }
            Content::TooLarge(_) => {}
            content @ (Content::Missing | Content::TooMuch) => {
                let path = paths.iter().find(|(_, other)| **other == object);
                let path = path.map_or("", |(path, _)| path).as_bytes();
                problem = match content {
                    Content::TooMuch => Some(IntentProblem::of_tree(format!(
                        "the files have more than the limit of {most} bytes together; move what no device needs to another repository"
                    ))),
                    content => bytes(path, content).err(),
                };
            }
        }
        problem.is_none()
    })?;
    if let Some(problem) = problem {
        return Ok(Err(problem));
    }
    let texts = paths
        .into_iter()
        .filter_map(|(path, object)| Some((path, texts.get(object)?.clone())));
    Ok(Ok(texts.collect()))
}

/// The wanted paths with their objects.
fn paths<'a>(
    reader: &TreeReader<'a>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, &'a ObjectId>, IntentProblem> {
    let mut paths = BTreeMap::new();
    let mut aliases = 0;
    let mut add = |path: &[u8], object: &'a ObjectId| {
        if let Ok(path) = std::str::from_utf8(path)
            && wanted(path)
        {
            paths.insert(path.to_owned(), object);
        }
    };
    for entry in reader.tree() {
        if reader.cancellation().is_cancelled() {
            break;
        }
        if entry.mode.is_file() {
            add(&entry.path, &entry.object);
        }
        if !entry.mode.is_link() {
            continue;
        }
        match resolve(reader, &entry.path) {
            Resolved::File(target) if target.mode.is_file() => add(&entry.path, &target.object),
            Resolved::Folder(folder) if !folder.is_empty() => {
                for inside in reader.tree().within(&folder) {
                    aliases += 1;
                    if aliases > MOST_ALIASES {
                        let reason = format!(
                            "the links to folders give files more than {MOST_ALIASES} further paths, the limit; remove some links"
                        );
                        return Err(IntentProblem::whole(&entry.path, reason));
                    }
                    let alias = [&entry.path, &b"/"[..], &inside.path[folder.len() + 1..]].concat();
                    if let Resolved::File(target) = resolve(reader, &alias)
                        && target.mode.is_file()
                    {
                        add(&alias, &target.object);
                    }
                }
            }
            Resolved::File(_) | Resolved::Folder(_) | Resolved::Invalid(_) => {}
        }
    }
    Ok(paths)
}
