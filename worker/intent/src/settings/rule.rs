use lockstep_protocol::{GroupName, Hostname};

use crate::fleet::{Affected, DeviceTypes};
use crate::path::{components, display_path};

/// The devices that changed paths of a settings repository concern. Only the folder decides; the content of a file plays no part.
pub fn affected<'a>(types: &DeviceTypes, paths: impl IntoIterator<Item = &'a [u8]>) -> Affected {
    let mut affected = Affected::default();
    for path in paths {
        add(&mut affected, types, path);
    }
    affected
}

fn add(affected: &mut Affected, types: &DeviceTypes, path: &[u8]) {
    let mut components = components(path);
    let top = components.next().unwrap_or_default();
    match top {
        b"devices" => {
            if let Some(name) = components.next() {
                match parse::<Hostname>(name) {
                    Some(hostname) => drop(affected.hostnames.insert(hostname)),
                    None => affected.add_misnamed(below("devices", name)),
                }
            }
        }
        b"groups" => {
            if let Some(name) = components.next() {
                match parse::<GroupName>(name) {
                    Some(group) => drop(affected.groups.insert(group)),
                    None => affected.add_misnamed(below("groups", name)),
                }
            }
        }
        _ => {
            affected.global |= top == b"global";
            affected
                .device_types
                .extend(types.concerned_by(top).unwrap_or_default());
        }
    }
}

fn parse<T: TryFrom<String>>(name: &[u8]) -> Option<T> {
    T::try_from(String::from_utf8(name.to_vec()).ok()?).ok()
}

fn below(folder: &str, name: &[u8]) -> String {
    format!("{folder}/{}", display_path(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TypeRule;

    /// Types, hostnames, groups and misnamed, as one text.
    fn described(paths: &[&[u8]]) -> String {
        let Affected {
            device_types,
            platforms,
            whole_platforms,
            hostnames,
            groups,
            global,
            misnamed,
        } = affected(&DeviceTypes::default(), paths.iter().copied());
        assert!(platforms.is_empty() && whole_platforms.is_empty());
        assert_eq!(
            global,
            paths
                .iter()
                .any(|path| path.starts_with(b"global") && !path.starts_with(b"globals"))
        );
        let types = device_types.iter().map(ToString::to_string);
        let hosts = hostnames.iter().map(|name| format!("host {name}"));
        let groups = groups.iter().map(|name| format!("group {name}"));
        let misnamed = misnamed.iter().map(|name| format!("misnamed {name}"));
        types
            .chain(hosts)
            .chain(groups)
            .chain(misnamed)
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn a_type_that_the_site_declares_has_a_folder_of_its_own() {
        let mut types = DeviceTypes::default();
        let spine = TypeRule {
            device_type: "SPINE".parse().unwrap(),
            directory: Some("spines".to_owned()),
            global: true,
            fabric: true,
        };
        types.declare(spine).unwrap();
        let concerned = |path: &[u8]| affected(&types, [path]).device_types.into_iter();
        let named = |path| concerned(path).map(|kind| kind.to_string()).collect::<Vec<_>>();
        assert_eq!(named(b"spines/base_system.yml"), ["SPINE"]);
        assert_eq!(
            named(b"global/base_system.yml"),
            ["ACCESS", "CORE", "DIST", "SPINE"]
        );
        assert_eq!(named(b"fabric/base_system.yml"), ["CORE", "DIST", "SPINE"]);
        assert_eq!(named(b"spine/base_system.yml"), [""; 0]);
    }

    #[test]
    fn the_folder_decides_which_devices_a_path_concerns() {
        let table: [(&[&[u8]], &str); 25] = [
            (&[], ""),
            (&[b"global/base_system.yml"], "ACCESS, CORE, DIST"),
            (&[b"global/README"], "ACCESS, CORE, DIST"),
            (&[b"global"], "ACCESS, CORE, DIST"),
            (&[b"fabric/base_system.yml"], "CORE, DIST"),
            (&[b"access/base_system.yml"], "ACCESS"),
            (&[b"dist/interfaces_x.yml"], "DIST"),
            (&[b"core/a/b/c"], "CORE"),
            (&[b"firewall/rules.yml"], "FIREWALL"),
            (&[b"devices/d1/interfaces.yml"], "host d1"),
            (&[b"devices/d1.example.org/x"], "host d1.example.org"),
            // A link, or a file with the name of a device.
            (&[b"devices/d1"], "host d1"),
            (&[b"devices/README.md"], "host README.md"),
            (&[b"devices"], ""),
            (&[b"devices/a_b/x.yml"], "misnamed devices/a_b"),
            (&[b"devices/\xff/x.yml"], "misnamed devices/\\xff"),
            (&[b"groups/E1/routing.yml"], "group E1"),
            (&["groups/räume/x".as_bytes()], "group räume"),
            (&[b"groups/a\nb/x"], "misnamed groups/a\\nb"),
            (&[b"README.md", b"etc/dhcpd.conf", b".github/x", b"Global/x"], ""),
            (&[b"globals/x", b"/global/x", b"lockstep.yml"], ""),
            // Names that break code that splits at white space or unquotes.
            (&[b"devices/d2/a global/x.yml"], "host d2"),
            (&["devices/d1/räume.yml".as_bytes()], "host d1"),
            (
                &[b"global/x", b"devices/fw1/x", b"firewall/x"],
                "ACCESS, CORE, DIST, FIREWALL, host fw1",
            ),
            (
                &[b"devices/d1/x", b"devices/d2/x", b"access/x"],
                "ACCESS, host d1, host d2",
            ),
        ];
        for (paths, expected) in table {
            let shown: Vec<String> = paths.iter().map(|path| display_path(path)).collect();
            assert_eq!(described(paths), expected, "{shown:?}");
        }
    }
}
