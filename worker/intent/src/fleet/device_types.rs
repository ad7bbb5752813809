use std::collections::BTreeSet;

use lockstep_protocol::DeviceType;

/// The device types of a site, and the settings folders that concern them: the types of CNaaS NMS, and those that the site declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTypes(Vec<TypeRule>);

/// A device type, and the settings folders that concern it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    /// The type.
    pub device_type: DeviceType,
    /// The folder at the top of the settings repository that concerns only this type, such as `access`.
    pub directory: Option<String>,
    /// Whether `global/` concerns the type.
    pub global: bool,
    /// Whether `fabric/` concerns the type.
    pub fabric: bool,
}

/// The folders at the top of a settings repository that belong to no type.
pub const RESERVED_FOLDERS: [&str; 4] = ["devices", "fabric", "global", "groups"];

/// Why a type cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeRuleError {
    /// The folder has another meaning.
    #[error("{0}/ has a meaning of its own in the settings repository; choose another folder")]
    Reserved(String),
    /// Another type has the folder.
    #[error("{0}/ is the folder of {1}; each type has a folder of its own")]
    Taken(String, DeviceType),
    /// Not the name of a folder.
    #[error("{0:?} is not the name of a folder: letters, digits, `-` and `_`")]
    Folder(String),
}

impl Default for DeviceTypes {
    /// Those of CNaaS NMS.
    fn default() -> Self {
        let rule = |device_type, directory: Option<&str>, global, fabric| TypeRule {
            device_type,
            directory: directory.map(str::to_owned),
            global,
            fabric,
        };
        Self(vec![
            rule(DeviceType::UNKNOWN, None, false, false),
            rule(DeviceType::ACCESS, Some("access"), true, false),
            rule(DeviceType::DIST, Some("dist"), true, true),
            rule(DeviceType::CORE, Some("core"), true, true),
            rule(DeviceType::FIREWALL, Some("firewall"), false, false),
        ])
    }
}

impl DeviceTypes {
    /// Adds a type, or replaces the rule of one that exists.
    ///
    /// # Errors
    /// If its folder is not the name of a folder, is reserved, or belongs to another type.
    pub fn declare(&mut self, rule: TypeRule) -> Result<(), TypeRuleError> {
        if let Some(directory) = &rule.directory {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if directory.is_empty() || !directory.bytes().all(word) {
                return Err(TypeRuleError::Folder(directory.clone()));
            }
            if RESERVED_FOLDERS.contains(&directory.as_str()) {
                return Err(TypeRuleError::Reserved(directory.clone()));
            }
            let others = self
                .0
                .iter()
                .filter(|other| other.device_type != rule.device_type);
            if let Some(owner) = others
                .into_iter()
                .find(|other| other.directory.as_ref() == Some(directory))
            {
                return Err(TypeRuleError::Taken(directory.clone(), owner.device_type.clone()));
            }
        }
        match self
            .0
            .iter_mut()
            .find(|known| known.device_type == rule.device_type)
        {
            Some(known) => *known = rule,
            None => self.0.push(rule),
        }
        Ok(())
    }

    /// Whether the type is one of CNaaS NMS or declared.
    pub fn contains(&self, device_type: &DeviceType) -> bool {
        self.0.iter().any(|rule| rule.device_type == *device_type)
    }

    /// The rules: first those of CNaaS NMS, then those that the site declares, in its order.
    pub fn rules(&self) -> &[TypeRule] {
        &self.0
    }

    /// The names of the types, for messages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|rule| rule.device_type.as_str())
    }

    /// The types that a folder at the top of the settings repository concerns by its name; `None` if it is not a folder of types.
    pub fn concerned_by(&self, folder: &[u8]) -> Option<BTreeSet<DeviceType>> {
        let of = |concerns: fn(&TypeRule) -> bool| {
            let rules = self.0.iter().filter(|rule| concerns(rule));
            Some(rules.map(|rule| rule.device_type.clone()).collect())
        };
        match folder {
            b"global" => of(|rule| rule.global),
            b"fabric" => of(|rule| rule.fabric),
            _ => {
                let owns = |rule: &&TypeRule| {
                    rule.directory
                        .as_ref()
                        .is_some_and(|own| own.as_bytes() == folder)
                };
                let rule = self.0.iter().find(owns)?;
                Some([rule.device_type.clone()].into())
            }
        }
    }

    /// The folders at the top of the settings repository that mean something, sorted.
    pub fn folders(&self) -> BTreeSet<&str> {
        let own = self.0.iter().filter_map(|rule| rule.directory.as_deref());
        own.chain(RESERVED_FOLDERS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spine(directory: &str) -> TypeRule {
        TypeRule {
            device_type: "spine".parse().unwrap(),
            directory: Some(directory.to_owned()),
            global: true,
            fabric: true,
        }
    }

    fn concerned(types: &DeviceTypes, folder: &str) -> String {
        let concerned = types.concerned_by(folder.as_bytes());
        concerned.map_or("none".to_owned(), |types| {
            let names: Vec<&str> = types.iter().map(DeviceType::as_str).collect();
            names.join(" ")
        })
    }

    #[test]
    fn a_declared_type_has_a_folder_and_is_concerned_by_the_common_ones() {
        let mut types = DeviceTypes::default();
        assert_eq!(concerned(&types, "spine"), "none");
        types.declare(spine("spine")).unwrap();
        for (folder, expected) in [
            ("spine", "SPINE"),
            ("global", "ACCESS CORE DIST SPINE"),
            ("fabric", "CORE DIST SPINE"),
            ("access", "ACCESS"),
            ("firewall", "FIREWALL"),
            ("devices", "none"),
            ("docs", "none"),
        ] {
            assert_eq!(concerned(&types, folder), expected, "{folder}");
        }
        assert!(types.contains(&DeviceType::UNKNOWN) && types.contains(&"SPINE".parse().unwrap()));
        assert!(!types.contains(&"LEAF".parse().unwrap()));
    }

    #[test]
    fn a_site_may_change_the_rule_of_a_type_of_cnaas_nms() {
        let mut types = DeviceTypes::default();
        let firewall = TypeRule {
            device_type: DeviceType::FIREWALL,
            directory: Some("fw".to_owned()),
            global: true,
            fabric: false,
        };
        types.declare(firewall).unwrap();
        assert_eq!(types.rules().len(), 5);
        assert_eq!(concerned(&types, "global"), "ACCESS CORE DIST FIREWALL");
        assert_eq!(concerned(&types, "fw"), "FIREWALL");
        assert_eq!(concerned(&types, "firewall"), "none");
    }

    #[test]
    fn a_folder_belongs_to_one_type() {
        let mut types = DeviceTypes::default();
        for (directory, expected) in [
            (
                "groups",
                "groups/ has a meaning of its own in the settings repository; choose another folder",
            ),
            (
                "core",
                "core/ is the folder of CORE; each type has a folder of its own",
            ),
            (
                "",
                "\"\" is not the name of a folder: letters, digits, `-` and `_`",
            ),
            (
                "a/b",
                "\"a/b\" is not the name of a folder: letters, digits, `-` and `_`",
            ),
        ] {
            let error = types.declare(spine(directory)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(types, DeviceTypes::default());
    }
}
