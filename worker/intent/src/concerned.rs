//! Which changed paths concern which devices, for people: the rules of each repository, asked path by path.

use std::collections::BTreeSet;

use lockstep_protocol::CausePath;
use lockstep_protocol::cause_detail::{MAX_CAUSE_PATH, MAX_CAUSE_PATHS};

use super::Cancellation;
use super::fleet::Affected;
use super::path::display_path;

/// Changed paths that concern devices, at most a hundred. If there are more, those stay that tell most: first one for each type, platform
/// and group, then one for each device, then others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConcernedPaths {
    /// The paths.
    pub paths: Vec<CausePath>,
    /// How many more paths concern devices.
    pub more: u64,
}

impl ConcernedPaths {
    /// Asks a rule for the devices of each path. If the caller cancels, some are missing.
    pub(crate) fn of<'a>(
        paths: impl IntoIterator<Item = &'a [u8]>,
        rule: impl Fn(&'a [u8]) -> Affected,
        cancellation: &Cancellation<'_>,
    ) -> Self {
        let mut chosen = Chosen::default();
        for path in paths {
            if cancellation.is_cancelled() {
                break;
            }
            if let Some(path) = cause_path(path, rule(path)) {
                chosen.add(path);
            }
        }
        chosen.finish()
    }
}

/// Paths by how much they tell; at most as many of each as are kept.
#[derive(Default)]
struct Chosen {
    many_devices: Vec<CausePath>,
    one_device: Vec<CausePath>,
    others: Vec<CausePath>,
    /// What the paths of the first two concern.
    seen: BTreeSet<String>,
    all: u64,
}

impl Chosen {
    fn add(&mut self, path: CausePath) {
        self.all += 1;
        let kind = if path.hostname.is_some() {
            &mut self.one_device
        } else {
            &mut self.many_devices
        };
        let has_room = kind.len() < MAX_CAUSE_PATHS;
        if has_room && self.seen.insert(concerns(&path)) {
            kind.push(path);
        } else if self.others.len() < MAX_CAUSE_PATHS {
            self.others.push(path);
        }
    }

    fn finish(self) -> ConcernedPaths {
        let all = [self.many_devices, self.one_device, self.others];
        let paths: Vec<CausePath> = all.into_iter().flatten().take(MAX_CAUSE_PATHS).collect();
        ConcernedPaths {
            more: self.all - paths.len() as u64,
            paths,
        }
    }
}

/// What a path concerns, as one text.
fn concerns(path: &CausePath) -> String {
    let CausePath {
        path: _,
        device_types,
        platform,
        hostname,
        group,
    } = path;
    format!("{device_types:?} {platform:?} {hostname:?} {group:?}")
}

/// A path with its devices; `None` if it concerns none.
fn cause_path(path: &[u8], affected: Affected) -> Option<CausePath> {
    if affected.is_empty() {
        return None;
    }
    let Affected {
        mut device_types,
        platforms,
        whole_platforms,
        hostnames,
        groups,
        global: _,
        misnamed: _,
    } = affected;
    // All types on the platform include those that have the file.
    let mut platform = whole_platforms.into_iter().next();
    if platform.is_none() {
        for (device_type, of) in platforms {
            device_types.insert(device_type);
            platform = Some(of);
        }
    }
    Some(CausePath {
        path: cut(&display_path(path)),
        device_types: device_types.into_iter().collect(),
        platform,
        hostname: hostnames.into_iter().next(),
        group: groups.into_iter().next(),
    })
}

fn cut(path: &str) -> String {
    match path.char_indices().nth(MAX_CAUSE_PATH) {
        None => path.to_owned(),
        Some(_) => path.chars().take(MAX_CAUSE_PATH - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::DeviceTypes;
    use crate::settings;

    fn concerned(paths: &[Vec<u8>]) -> ConcernedPaths {
        let types = DeviceTypes::default();
        let rule = |path| settings::affected(&types, [path]);
        ConcernedPaths::of(paths.iter().map(Vec::as_slice), rule, &Cancellation::never())
    }

    fn named(found: &ConcernedPaths) -> Vec<&str> {
        found.paths.iter().map(|path| path.path.as_str()).collect()
    }

    #[test]
    fn paths_that_concern_no_device_are_left_out() {
        let paths = [
            "README.md",
            "access/x.yml",
            "devices/sw1/x.yml",
            "groups/LAB/x.yml",
            "devices/a_b/x",
        ];
        let found = concerned(&paths.map(|path| path.as_bytes().to_vec()));
        assert_eq!(
            named(&found),
            ["access/x.yml", "groups/LAB/x.yml", "devices/sw1/x.yml"]
        );
        assert_eq!(found.more, 0);
    }

    #[test]
    fn of_ten_thousand_paths_those_stay_that_tell_most() {
        let mut paths: Vec<Vec<u8>> = (0..5000)
            .flat_map(|number| {
                let path = |file| format!("devices/sw{number}/{file}.yml").into_bytes();
                [path("base"), path("routing")]
            })
            .collect();
        paths.push(b"global/base_system.yml".to_vec());
        paths.push(b"global/vlans.yml".to_vec());
        let found = concerned(&paths);
        let names = named(&found);
        assert_eq!((names.len(), found.more), (100, 9902));
        assert_eq!(
            names[..3],
            [
                "global/base_system.yml",
                "devices/sw0/base.yml",
                "devices/sw1/base.yml"
            ]
        );
    }

    #[test]
    fn a_path_is_valid_text_within_its_bound() {
        let long = [b"global/".to_vec(), vec![b'x'; 2000]].concat();
        let found = concerned(&[b"global/\xff\n\x1b[31m".to_vec(), long]);
        assert_eq!(found.paths[0].path, "global/\\xff\\n\\u{1b}[31m");
        let cut = &found.paths[1].path;
        assert_eq!(cut.chars().count(), MAX_CAUSE_PATH);
        assert!(cut.ends_with("x…"), "{cut}");
    }
}
