//! Finds files that look like settings and have no effect, such as `acces/base_system.yml`. They are no reason to refuse a commit, since
//! a repository may hold anything, but their author should know.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_protocol::GroupName;

use super::{DECLARATIONS_FILE, GROUPS_FILE, nearest};
use crate::IntentProblem;
use crate::bounds::MOST_PROBLEMS;
use crate::fleet::{DeviceTypes, Groups};
use crate::path::components;

/// The files that CNaaS NMS reads: in `global/`, in a folder of device types, and in the folder of a group or a device.
const GLOBAL_FILES: [&str; 4] = ["base_system.yml", "groups.yml", "routing.yml", "vxlans.yml"];
const TYPE_FILES: [&str; 1] = ["base_system.yml"];
const MEMBER_FILES: [&str; 3] = ["base_system.yml", "interfaces.yml", "routing.yml"];

/// The most names that are compared with known ones. A warning helps people, so in a tree with more odd names the rest is left out.
const MOST_COMPARED: u32 = 20_000;

/// The warnings about these paths, which are those of the files of a tree, or some of them. Without `groups`, folders of groups are not
/// compared with them.
pub fn unread<'a>(
    paths: impl IntoIterator<Item = &'a [u8]>,
    groups: Option<&'a Groups>,
    types: &'a DeviceTypes,
) -> Vec<IntentProblem> {
    // By folder or file, so that a folder is named once.
    let mut warnings = BTreeMap::new();
    let mut search = Search {
        left: MOST_COMPARED,
        folder: None,
        groups,
        types,
        folders: types.folders(),
    };
    for path in paths {
        if search.left == 0 || warnings.len() >= MOST_PROBLEMS {
            break;
        }
        if let Some((end, reason)) = search.warning(path) {
            warnings.entry(&path[..end]).or_insert(reason);
        }
    }
    let warnings = warnings.into_iter();
    warnings
        .map(|(path, reason)| IntentProblem::whole(path, reason))
        .collect()
}

struct Search<'a> {
    /// How many names may still be compared.
    left: u32,
    /// The last folder at the top that is not one of settings, and the likely one. Paths come sorted.
    folder: Option<(&'a str, Option<&'a str>)>,
    groups: Option<&'a Groups>,
    types: &'a DeviceTypes,
    folders: BTreeSet<&'a str>,
}

impl<'a> Search<'a> {
    /// Where the folder or the file ends that is to be named, and the warning.
    fn warning(&mut self, path: &'a [u8]) -> Option<(usize, String)> {
        let parts = components(path).map(|part| str::from_utf8(part).ok());
        let parts: Vec<&str> = parts.collect::<Option<_>>()?;
        let (top, file) = (*parts.first()?, *parts.last()?);
        if !is_yaml(file) {
            return None;
        }
        match (parts.len(), top) {
            (1, _) => Some((path.len(), self.top_file(top)?)),
            (2, "global") => Some((path.len(), self.misspelled(file, &GLOBAL_FILES)?)),
            (3, "groups" | "devices") => {
                let unknown = (top == "groups").then(|| self.unknown_group(parts[1])).flatten();
                match unknown {
                    Some(reason) => Some((top.len() + 1 + parts[1].len(), reason)),
                    None => Some((path.len(), self.misspelled(file, &MEMBER_FILES)?)),
                }
            }
            (2, _) if self.types.concerned_by(top.as_bytes()).is_some() => {
                Some((path.len(), self.misspelled(file, &TYPE_FILES)?))
            }
            _ if self.folders.contains(top) => None,
            (count, _) => {
                let has_settings = count == 2 && is_settings_file(file);
                Some((top.len(), self.folder(top, has_settings)?))
            }
        }
    }

    fn nearest(&mut self, name: &str, known: &[&'static str]) -> Option<&'static str> {
        self.left = self.left.saturating_sub(1);
        nearest(&name.to_lowercase(), known.iter().copied())
    }

    fn nearest_folder(&mut self, name: &str) -> Option<&'a str> {
        self.left = self.left.saturating_sub(1);
        nearest(&name.to_lowercase(), self.folders.iter().copied())
    }

    /// A file beside the folders.
    fn top_file(&mut self, name: &str) -> Option<String> {
        if is_settings_file(name) {
            return Some(format!(
                "has no effect at the top of the repository; for all devices, move it to global/{name}"
            ));
        }
        let declarations = self.nearest(name, &[DECLARATIONS_FILE])?;
        (name != declarations).then(|| format!("has no effect; did you mean {declarations}?"))
    }

    /// A folder that concerns no device. It is named if it is probably a misspelled one, or has a file that only settings have.
    fn folder(&mut self, name: &'a str, has_settings: bool) -> Option<String> {
        let known = match self.folder {
            Some((last, known)) if last == name => known,
            _ => self.nearest_folder(name),
        };
        self.folder = Some((name, known));
        if let Some(known) = known {
            return Some(format!("has no effect on any device; did you mean {known}/?"));
        }
        has_settings.then(|| {
            format!(
                "is not a folder that Lockstep or CNaaS NMS reads, so it has no effect on any device; expected one of {}",
                self.folders.iter().copied().collect::<Vec<_>>().join(", ")
            )
        })
    }

    /// A file of a settings folder whose name CNaaS NMS does not read.
    fn misspelled(&mut self, name: &str, known: &[&'static str]) -> Option<String> {
        if known.contains(&name) {
            return None;
        }
        let known = self.nearest(name, known)?;
        Some(format!(
            "CNaaS NMS does not read a file of this name; did you mean {known}?"
        ))
    }

    /// A folder of a group that does not exist. Names that no group can have are reported elsewhere.
    fn unknown_group(&self, name: &str) -> Option<String> {
        let group = GroupName::try_from(name.to_owned()).ok()?;
        let is_known = self.groups.is_none_or(|groups| groups.contains(&group));
        (!is_known).then(|| format!("has no effect on any device: there is no group {name} in {GROUPS_FILE}"))
    }
}

fn is_settings_file(name: &str) -> bool {
    GLOBAL_FILES.contains(&name) || MEMBER_FILES.contains(&name)
}

fn is_yaml(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    extension.eq_ignore_ascii_case("yml") || extension.eq_ignore_ascii_case("yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cancellation;
    use crate::settings::read_groups;

    fn reported(paths: &[&str]) -> Vec<String> {
        let text = b"groups: [{group: {name: E1, regex: sw, group_priority: 5}}]";
        let groups = read_groups(b"g", text, &Cancellation::never()).unwrap();
        let types = DeviceTypes::default();
        let warnings = unread(paths.iter().map(|path| path.as_bytes()), Some(&groups), &types);
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn misspelled_folders_and_files_are_named_with_the_likely_one() {
        let table = [
            (
                "acces/base_system.yml",
                "acces: has no effect on any device; did you mean access/?",
            ),
            (
                "Access/x/y.yml",
                "Access: has no effect on any device; did you mean access/?",
            ),
            (
                "group/E1/routing.yml",
                "group: has no effect on any device; did you mean groups/?",
            ),
            (
                "device/sw1/interfaces.yaml",
                "device: has no effect on any device; did you mean devices/?",
            ),
            (
                "glboal/groups.yml",
                "glboal: has no effect on any device; did you mean global/?",
            ),
            (
                "campus/base_system.yml",
                "campus: is not a folder that Lockstep or CNaaS NMS reads, so it has no effect on any device; expected one of \
                 access, core, devices, dist, fabric, firewall, global, groups",
            ),
            (
                "groups.yml",
                "groups.yml: has no effect at the top of the repository; for all devices, move it to global/groups.yml",
            ),
            (
                "lockstep.yaml",
                "lockstep.yaml: has no effect; did you mean lockstep.yml?",
            ),
            (
                "access/base_sytem.yml",
                "access/base_sytem.yml: CNaaS NMS does not read a file of this name; did you mean base_system.yml?",
            ),
            (
                "global/vxlan.yml",
                "global/vxlan.yml: CNaaS NMS does not read a file of this name; did you mean vxlans.yml?",
            ),
            (
                "devices/sw1/interface.yml",
                "devices/sw1/interface.yml: CNaaS NMS does not read a file of this name; did you mean interfaces.yml?",
            ),
            (
                "groups/E2/routing.yml",
                "groups/E2: has no effect on any device: there is no group E2 in global/groups.yml",
            ),
        ];
        for (path, expected) in table {
            assert_eq!(reported(&[path]), [expected], "{path}");
        }
        let folders = ["acces/a.yml", "acces/b.yml", "acces/c/d.yml"];
        assert_eq!(reported(&folders).len(), 1, "a folder is named once");
    }

    #[test]
    fn what_a_settings_repository_usually_holds_is_no_reason_to_warn() {
        let paths = [
            "global/base_system.yml",
            "global/groups.yml",
            "global/routing.yml",
            "global/vxlans.yml",
            "fabric/base_system.yml",
            "access/base_system.yml",
            "dist/interfaces_dcs-7050sx3.yml",
            "access/our_own.yml",
            "groups/E1/interfaces.yml",
            "groups/DEFAULT/base_system.yml",
            "devices/sw1/routing.yml",
            "devices/sw1/more/base_sytem.yml",
            "devices/README.yml",
            "lockstep.yml",
            ".gitlab-ci.yml",
            ".github/workflows/check.yml",
            "mkdocs.yml",
            "README.md",
            "docs/examples/access/base_system.yml",
            "etc/dhcpd.conf",
            "scripts/x.py",
            "tests/inventory.yml",
            "code/check.py",
            "acces/README.md",
        ];
        assert_eq!(reported(&paths), Vec::<String>::new());
    }

    #[test]
    fn without_groups_only_the_names_are_compared() {
        let paths = [&b"groups/E2/routing.yml"[..], b"acces/\xff.yml", b"acces/a.yml"];
        let types = DeviceTypes::default();
        let warnings = unread(paths, None, &types);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}
