use std::collections::{BTreeMap, BTreeSet};

use super::{MAPPING_FILE, Mapping, glob};
use crate::bounds::MOST_STEPS_OF_PATTERNS;
use crate::fleet::Affected;
use crate::path::display_path;
use crate::{Cancellation, IntentProblem};

/// The mapping of a platform, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// The mapping could be read.
    Known(Mapping),
    /// The mapping exists or existed, and cannot be read.
    Unknown,
}

/// The mappings of a tree, by platform.
pub type Mappings = BTreeMap<String, Platform>;

/// The devices that changed paths of a templates repository concern.
///
/// A file concerns the types that have it as entrypoint or dependency. A changed `mapping.yml` concerns all types of the old and of
/// the new mapping; `old` has the old mappings of the platforms for which it changed. An unknown mapping concerns all types of its
/// platform. If the caller cancels, the devices are incomplete.
///
/// # Errors
/// If matching the paths with the patterns of the mappings takes too many steps.
pub fn affected<'a>(
    paths: impl IntoIterator<Item = &'a [u8]>,
    old: &Mappings,
    new: &Mappings,
    cancellation: &Cancellation<'_>,
) -> Result<Affected, IntentProblem> {
    let mut affected = Affected::default();
    let mut remapped = BTreeSet::new();
    let mut steps = MOST_STEPS_OF_PATTERNS;
    for path in paths {
        if cancellation.is_cancelled() {
            break;
        }
        let Some(slash) = path.iter().position(|byte| *byte == b'/') else {
            continue;
        };
        let (folder, file) = (&path[..slash], &path[slash + 1..]);
        if folder.starts_with(b".") {
            continue;
        }
        let Ok(platform) = std::str::from_utf8(folder) else {
            affected.add_misnamed(display_path(folder));
            continue;
        };
        if file == MAPPING_FILE.as_bytes() {
            remapped.insert(platform);
        } else if let Some(Platform::Known(mapping)) = new.get(platform) {
            let characters = glob::characters(file);
            for (kind, of) in mapping.types() {
                let Some(depends) = of.depends_on(file, &characters, &mut steps) else {
                    let reason = "matching all changed paths with the dependencies takes too many steps; use fewer patterns with `*`, or change fewer files in one commit";
                    let mapping = format!("{platform}/{MAPPING_FILE}");
                    return Err(IntentProblem::whole(mapping.as_bytes(), reason));
                };
                if depends {
                    affected.platforms.insert((kind.clone(), platform.to_owned()));
                }
            }
        }
    }
    for platform in remapped {
        let mappings: Vec<&Platform> = [old.get(platform), new.get(platform)]
            .into_iter()
            .flatten()
            .collect();
        if mappings.is_empty() || mappings.contains(&&Platform::Unknown) {
            affected.whole_platforms.insert(platform.to_owned());
        }
        for mapping in mappings {
            if let Platform::Known(mapping) = mapping {
                let pairs = mapping
                    .types()
                    .map(|(kind, _)| (kind.clone(), platform.to_owned()));
                affected.platforms.extend(pairs);
            }
        }
    }
    Ok(affected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::DeviceTypes;

    fn mappings(texts: &[(&str, Option<&str>)]) -> Mappings {
        let read =
            |text: &str| Mapping::read(b"mapping.yml", text.as_bytes(), &DeviceTypes::default()).unwrap();
        texts
            .iter()
            .map(|(platform, text)| {
                let known = text.map_or(Platform::Unknown, |text| Platform::Known(read(text)));
                ((*platform).to_owned(), known)
            })
            .collect()
    }

    #[test]
    fn files_concern_the_types_that_have_them_as_entrypoint_or_dependency() {
        let new = mappings(&[
            (
                "eos",
                Some(
                    "ACCESS: {entrypoint: access.j2, dependencies: [base.j2, 'access-*.j2', 'odd[1].j2']}\n\
                     DIST: {entrypoint: dist.j2, dependencies: [base.j2, 'sub/[!x]*.j2']}\n\
                     CORE: {entrypoint: core*.j2}",
                ),
            ),
            ("junos", Some("DIST: {entrypoint: dist.j2}")),
        ]);
        let old = mappings(&[
            (
                "eos",
                Some("ACCESS: {entrypoint: access.j2}\nFIREWALL: {entrypoint: fw.j2}"),
            ),
            ("gone", Some("CORE: {entrypoint: core.j2}")),
            ("lost", None),
        ]);
        let table: [(&str, &str); 23] = [
            ("eos/access.j2", "ACCESS eos"),
            ("eos/base.j2", "ACCESS eos, DIST eos"),
            ("eos/access-vlan.j2", "ACCESS eos"),
            ("eos/access-/deep/vlan.j2", "ACCESS eos"),
            // A dependency matches as a name and as a pattern.
            ("eos/odd[1].j2", "ACCESS eos"),
            ("eos/odd1.j2", "ACCESS eos"),
            ("eos/sub/a.j2", "DIST eos"),
            ("eos/sub/xa.j2", ""),
            // An entrypoint is never a pattern.
            ("eos/core1.j2", ""),
            ("eos/core*.j2", "CORE eos"),
            ("eos/included.j2", ""),
            ("eos/sub/base.j2", "DIST eos"),
            ("junos/dist.j2", "DIST junos"),
            ("iosxr/dist.j2", ""),
            ("base.j2", ""),
            (".eos/access.j2", ""),
            ("eos/mapping.yml", "ACCESS eos, CORE eos, DIST eos, FIREWALL eos"),
            ("eos/sub/mapping.yml", ""),
            ("mapping.yml", ""),
            ("gone/mapping.yml", "CORE gone"),
            // The old mapping is unknown.
            ("lost/mapping.yml", "all lost"),
            ("never/mapping.yml", "all never"),
            (".git/mapping.yml", ""),
        ];
        for (path, expected) in table {
            let found = affected([path.as_bytes()], &old, &new, &Cancellation::never()).unwrap();
            let whole = found
                .whole_platforms
                .iter()
                .map(|platform| format!("all {platform}"));
            let pairs = found
                .platforms
                .iter()
                .map(|(kind, platform)| format!("{kind} {platform}"));
            assert_eq!(
                pairs.chain(whole).collect::<Vec<_>>().join(", "),
                expected,
                "{path}"
            );
        }
        let misnamed = affected([&b"\xffeos/x.j2"[..]], &old, &new, &Cancellation::never());
        assert_eq!(misnamed.unwrap().misnamed, ["\\xffeos".to_owned()].into());
    }
}
