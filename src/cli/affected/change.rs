use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use lockstep_intent::bounds::MOST_BYTES;
use lockstep_intent::fleet::{DeviceTypes, Groups};
use lockstep_intent::settings::{self, GROUPS_FILE};
use lockstep_intent::templates::{self, MAPPING_FILE, Mapping, Mappings, Platform};
use lockstep_intent::{
    Cancellation, Change, ChangeImpact, Examination, ExamineError, IntentProblem, RepositoryKind,
    display_path, examine,
};

use super::bytes;
use super::git::Git;
use crate::cli::UsageError;

/// The devices that a change affects, or its problems.
type Examined = Result<ChangeImpact, Vec<IntentProblem>>;

/// The change between two commits, examined as a worker does.
pub(super) fn of_commits(
    kind: RepositoryKind,
    folder: &Path,
    from: &str,
    to: &str,
    types: &DeviceTypes,
) -> anyhow::Result<Examined> {
    let mut git = Git::new(folder);
    let (old, new) = match (git.listing(from)?, git.listing(to)?) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(problem), _) | (_, Err(problem)) => return Ok(Err(vec![problem])),
    };
    let change = Change::between(&old, &new, types);
    match examine(kind, &change, &mut git, &Cancellation::never()) {
        Ok(Examination::Valid(impact)) => Ok(Ok(*impact)),
        Ok(Examination::Invalid(problems)) => Ok(Err(problems)),
        Err(ExamineError::Read(error)) => Err(error),
        Err(ExamineError::Cancelled(cancelled)) => Err(cancelled.into()),
    }
}

/// A change of which only the paths are known. The contents of the files are not validated.
pub(super) fn of_paths(
    kind: RepositoryKind,
    paths: &[OsString],
    settings: Option<&Path>,
    templates: Option<&Path>,
    types: &DeviceTypes,
) -> anyhow::Result<Examined> {
    let paths: Vec<&[u8]> = paths.iter().map(bytes).collect::<Result<_, _>>()?;
    match kind {
        RepositoryKind::Settings => {
            let groups = match settings.map(groups).transpose()? {
                None => Groups::default(),
                Some(Ok(groups)) => groups,
                Some(Err(problems)) => return Ok(Err(problems)),
            };
            let warnings = settings::unread(paths.iter().copied(), None, types);
            Ok(Ok(ChangeImpact {
                affected: settings::affected(types, paths),
                groups,
                warnings,
                ..ChangeImpact::default()
            }))
        }
        RepositoryKind::Templates => {
            let folder = templates.ok_or_else(|| {
                UsageError(
                    "--templates DIR is needed: its mapping.yml files define which devices use a path"
                        .to_owned(),
                )
            })?;
            let mappings = match mappings(folder, &paths, types)? {
                Ok(mappings) => mappings,
                Err(problems) => return Ok(Err(problems)),
            };
            let known = mappings.values().filter_map(|platform| match platform {
                Platform::Known(mapping) => Some(mapping.warnings()),
                Platform::Unknown => None,
            });
            let warnings = known.flatten().cloned().collect();
            // The mappings before the change are unknown, so the current ones stand in for them.
            let affected = templates::affected(paths, &Mappings::new(), &mappings, &Cancellation::never());
            Ok(affected
                .map_err(|problem| vec![problem])
                .map(|affected| ChangeImpact {
                    affected,
                    warnings,
                    ..ChangeImpact::default()
                }))
        }
    }
}

/// The groups of a settings folder; none without a `groups.yml`.
fn groups(folder: &Path) -> anyhow::Result<Result<Groups, Vec<IntentProblem>>> {
    is_folder(folder)?;
    let groups = read(&folder.join(GROUPS_FILE))?;
    Ok(settings::read_groups(
        GROUPS_FILE.as_bytes(),
        &groups.unwrap_or_default(),
        &Cancellation::never(),
    ))
}

/// The mappings of the platforms in these paths.
fn mappings(
    folder: &Path,
    paths: &[&[u8]],
    types: &DeviceTypes,
) -> anyhow::Result<Result<Mappings, Vec<IntentProblem>>> {
    is_folder(folder)?;
    let mut mappings = Mappings::new();
    let mut problems = Vec::new();
    for path in paths {
        let Some(slash) = path.iter().position(|byte| *byte == b'/') else {
            continue;
        };
        let Ok(platform) = std::str::from_utf8(&path[..slash]) else {
            continue;
        };
        if platform.starts_with('.') || mappings.contains_key(platform) {
            continue;
        }
        let name = format!("{platform}/{MAPPING_FILE}");
        let Some(bytes) = read(&folder.join(platform).join(MAPPING_FILE))? else {
            continue;
        };
        match Mapping::read(name.as_bytes(), &bytes, types) {
            Ok(mapping) => drop(mappings.insert(platform.to_owned(), Platform::Known(mapping))),
            Err(found) => problems.extend(found),
        }
    }
    problems.sort();
    problems.dedup();
    Ok(if problems.is_empty() {
        Ok(mappings)
    } else {
        Err(problems)
    })
}

fn is_folder(folder: &Path) -> Result<(), UsageError> {
    if folder.is_dir() {
        return Ok(());
    }
    Err(UsageError(format!("{} is not a folder", folder.display())))
}

/// Reads a file; `None` if there is none.
fn read(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let name = || display_path(file.as_os_str().as_encoded_bytes());
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", name())),
    };
    let mut bytes = Vec::new();
    let read = opened.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {}", name()))?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!(
            "{} has more than the limit of {MOST_BYTES} bytes; split it",
            name()
        );
    }
    Ok(Some(bytes))
}
