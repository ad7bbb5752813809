//! Examines whole changes between two trees.

mod links;
mod settings;
mod templates;

use sha2::{Digest, Sha256};

use super::*;
use crate::fleet::Affected;

/// A tree for a test: modes, paths and contents.
type Files<'a> = &'a [(Mode, &'a str, &'a str)];

const FILE: Mode = Mode::FILE;
const LINK: Mode = Mode::LINK;

fn object(content: &str) -> ObjectId {
    hex::encode(Sha256::digest(content)).parse().unwrap()
}

fn listing(files: Files<'_>) -> Listing {
    let entries = files.iter().map(|(mode, path, content)| Entry {
        mode: *mode,
        object: object(content),
        path: path.as_bytes().into(),
    });
    Listing::of(entries.collect()).unwrap()
}

/// Examines a change as a caller does: adds the needed contents until no more are needed. The contents of `missing` are not there.
fn examined(
    kind: RepositoryKind,
    old: Files<'_>,
    new: Files<'_>,
    missing: &[&str],
) -> Result<ChangeImpact, Vec<IntentProblem>> {
    let (old_tree, new_tree) = (listing(old), listing(new));
    let change = Change::between(&old_tree, &new_tree);
    let mut contents = Contents::default();
    for _ in 0..4 {
        match examine(kind, &change, &contents) {
            Examination::Valid(impact) => return Ok(impact),
            Examination::Invalid(problems) => return Err(problems),
            Examination::Needs(needed) => {
                assert!(!needed.is_empty());
                for id in needed.into_keys() {
                    assert_eq!(contents.get(&id), None, "asked for twice");
                    let all = old.iter().chain(new).map(|(_, _, content)| *content);
                    let content = all.clone().find(|content| object(content) == id).unwrap();
                    let content = if missing.contains(&content) {
                        Content::Missing
                    } else {
                        Content::Bytes(content.as_bytes().to_vec())
                    };
                    contents.insert(id, content);
                }
            }
        }
    }
    panic!("the examination does not end");
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
