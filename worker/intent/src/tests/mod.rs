//! Examines whole changes between two trees.

mod bounds;
mod links;
mod settings;
mod templates;
mod text_files;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::fleet::{Affected, DeviceTypes};

/// A tree for a test: modes, paths and contents.
type Files<'a> = &'a [(Mode, &'a str, &'a str)];

const FILE: Mode = Mode::FILE;
const LINK: Mode = Mode::LINK;

fn object(content: &str) -> ObjectId {
    hex::encode(Sha256::digest(content)).parse().unwrap()
}

/// Computes the ids of contents. A content that many files share is hashed once.
#[derive(Default)]
struct Ids(HashMap<(*const u8, usize), ObjectId>);

impl Ids {
    fn of(&mut self, content: &str) -> ObjectId {
        let place = (content.as_ptr(), content.len());
        self.0.entry(place).or_insert_with(|| object(content)).clone()
    }
}

fn listing(files: Files<'_>) -> Listing {
    let mut ids = Ids::default();
    let entries = files.iter().map(|(mode, path, content)| Entry {
        mode: *mode,
        object: ids.of(content),
        path: path.as_bytes().into(),
    });
    Listing::of(entries.collect()).unwrap()
}

/// The objects of two trees. It notes which contents are read.
struct Objects<'a> {
    contents: HashMap<ObjectId, &'a [u8]>,
    read: Vec<ObjectId>,
}

impl<'a> Objects<'a> {
    fn of(trees: &[Files<'a>], missing: &[&str]) -> Self {
        let contents = trees.iter().copied().flatten().map(|(_, _, content)| *content);
        let there = contents.filter(|content| !missing.contains(content));
        let mut ids = Ids::default();
        Self {
            contents: there
                .map(|content| (ids.of(content), content.as_bytes()))
                .collect(),
            read: Vec::new(),
        }
    }
}

impl ReadObjects for Objects<'_> {
    type Error = std::convert::Infallible;

    fn sizes(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, u64>, Self::Error> {
        let sizes = objects
            .iter()
            .filter_map(|id| Some((id.clone(), self.contents.get(id)?.len() as u64)));
        Ok(sizes.collect())
    }

    fn contents(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<u8>>, Self::Error> {
        self.read.extend_from_slice(objects);
        let contents = objects
            .iter()
            .filter_map(|id| Some((id.clone(), self.contents.get(id)?.to_vec())));
        Ok(contents.collect())
    }
}

/// Examines a change. The contents of `missing` are not there. No content is read twice, unless it is read for two purposes.
fn examined(
    kind: RepositoryKind,
    old: Files<'_>,
    new: Files<'_>,
    missing: &[&str],
) -> Result<ChangeImpact, Vec<IntentProblem>> {
    let (old_tree, new_tree) = (listing(old), listing(new));
    let types = DeviceTypes::default();
    let change = Change::between(&old_tree, &new_tree, &types);
    let mut objects = Objects::of(&[old, new], missing);
    match examine(kind, &change, &mut objects, &Cancellation::never()).unwrap() {
        Examination::Valid(impact) => Ok(*impact),
        Examination::Invalid(problems) => Err(problems),
    }
}

/// The devices that a change concerns, or its problems, as one text.
fn outcome(kind: RepositoryKind, old: Files<'_>, new: Files<'_>) -> String {
    outcome_without(kind, old, new, &[])
}

fn outcome_without(kind: RepositoryKind, old: Files<'_>, new: Files<'_>, missing: &[&str]) -> String {
    match examined(kind, old, new, missing) {
        Ok(impact) => names(&impact.affected),
        Err(problems) => problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn names(affected: &Affected) -> String {
    let types = affected.device_types.iter().map(ToString::to_string);
    let pairs = affected
        .platforms
        .iter()
        .map(|(kind, platform)| format!("{kind} {platform}"));
    let whole = affected
        .whole_platforms
        .iter()
        .map(|platform| format!("all {platform}"));
    let hosts = affected.hostnames.iter().map(ToString::to_string);
    let groups = affected.groups.iter().map(|name| format!("group {name}"));
    types
        .chain(pairs)
        .chain(whole)
        .chain(hosts)
        .chain(groups)
        .collect::<Vec<_>>()
        .join(", ")
}
