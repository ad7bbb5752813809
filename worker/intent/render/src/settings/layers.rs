use lockstep_intent::fleet::{DeviceTypes, TypeRule};
use lockstep_protocol::{DeviceType, GroupName};

use super::tree::Conditions;

/// The files of a folder of a group or of a device, in their order.
const MEMBER_FILES: [&str; 3] = ["base_system.yml", "interfaces.yml", "routing.yml"];

/// What decides which files apply to a device.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) device_type: &'a DeviceType,
    pub(super) model: Option<&'a str>,
    pub(super) primary_group: Option<&'a GroupName>,
    /// Its folder in `devices/`, if there is one.
    pub(super) folder: Option<&'a str>,
}

/// The files up to those that other devices add to, and those after them; in their order, there or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layers {
    pub(super) shared: Vec<String>,
    pub(super) own: Vec<String>,
}

/// The rule of a type; none for UNKNOWN, which has no settings of its own.
pub(super) fn rule<'t>(types: &'t DeviceTypes, device_type: &DeviceType) -> Option<&'t TypeRule> {
    let mut rules = types.rules().iter();
    rules.find(|rule| rule.device_type == *device_type && *device_type != DeviceType::UNKNOWN)
}

/// The files that apply to a device.
pub(super) fn layers(subject: &Subject<'_>, types: &DeviceTypes) -> Layers {
    let rule = rule(types, subject.device_type);
    let fabric = rule.is_some_and(|rule| rule.fabric);
    let directory = rule.and_then(|rule| rule.directory.as_deref());
    let mut shared = vec!["global/base_system.yml".to_owned()];
    if fabric {
        shared.push("fabric/base_system.yml".to_owned());
    }
    shared.extend(directory.map(|directory| format!("{directory}/base_system.yml")));
    shared.extend(["global/routing.yml".to_owned(), "global/vxlans.yml".to_owned()]);
    let mut own = Vec::new();
    if let Some(group) = subject.primary_group {
        own.extend(MEMBER_FILES.map(|file| format!("groups/{group}/{file}")));
    }
    match (subject.folder, directory, subject.model) {
        (Some(folder), ..) => own.extend(MEMBER_FILES.map(|file| format!("devices/{folder}/{file}"))),
        (None, Some(directory), Some(model)) if fabric => {
            own.push(format!("{directory}/interfaces_{}.yml", file_name(model)));
        }
        (None, ..) => {}
    }
    Layers { shared, own }
}

/// A model as a part of the name of a file.
fn file_name(model: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    model.to_lowercase().replace(|c: char| !fits(c), "_")
}

/// The conditions that a file may have.
pub(super) fn conditions(path: &str) -> Conditions {
    match path {
        "global/base_system.yml" | "global/routing.yml" => Conditions::Groups,
        "global/vxlans.yml" => Conditions::GroupsAndDevices,
        _ if path.starts_with("devices/") && path.ends_with("/routing.yml") => Conditions::Groups,
        _ => Conditions::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(device_type: &str, model: Option<&str>, folder: Option<&str>) -> String {
        let group = GroupName::try_from("E1".to_owned()).unwrap();
        let subject = Subject {
            device_type: &device_type.parse().unwrap(),
            model,
            primary_group: Some(&group),
            folder,
        };
        let Layers { shared, own } = layers(&subject, &DeviceTypes::default());
        format!("{} | {}", shared.join(" "), own.join(" "))
    }

    #[test]
    fn the_type_the_group_and_the_folder_decide_which_files_apply() {
        let group = "groups/E1/base_system.yml groups/E1/interfaces.yml groups/E1/routing.yml";
        let table = [
            (
                ("ACCESS", Some("X"), None),
                format!(
                    "global/base_system.yml access/base_system.yml global/routing.yml global/vxlans.yml | {group}"
                ),
            ),
            (
                ("DIST", Some("DCS 7050/X"), None),
                format!(
                    "global/base_system.yml fabric/base_system.yml dist/base_system.yml global/routing.yml global/vxlans.yml | {group} dist/interfaces_dcs_7050_x.yml"
                ),
            ),
            (
                ("CORE", Some("X"), Some("c1")),
                format!(
                    "global/base_system.yml fabric/base_system.yml core/base_system.yml global/routing.yml global/vxlans.yml | {group} devices/c1/base_system.yml devices/c1/interfaces.yml devices/c1/routing.yml"
                ),
            ),
            (
                ("UNKNOWN", None, None),
                format!("global/base_system.yml global/routing.yml global/vxlans.yml | {group}"),
            ),
        ];
        for ((device_type, model, folder), expected) in table {
            assert_eq!(described(device_type, model, folder), expected, "{device_type}");
        }
    }
}
