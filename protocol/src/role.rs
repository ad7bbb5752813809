use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Class, Kind};

/// What a person or a service may do at the console. Each role has the rights of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads, and publishes nothing.
    Viewer,
    /// Publishes events and commands, apart from approvals.
    Operator,
    /// Approves what others planned.
    Approver,
    /// Manages tokens, and reads the audit.
    Admin,
}

/// The text is not a role.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not one of viewer, operator, approver, admin")]
pub struct RoleError(String);

impl Role {
    /// Every role, from the one with the fewest rights on.
    pub const ALL: &[Self] = &[Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The role as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether a holder of the role may publish messages of this type.
    pub const fn publishes(self, kind: Kind) -> bool {
        match (self, kind.class()) {
            (Self::Viewer, _) | (_, Class::Internal | Class::Result) => false,
            (Self::Operator, Class::Event | Class::Command) => {
                !matches!(kind, Kind::ExecutionApproveRequested)
            }
            (Self::Approver | Self::Admin, Class::Event | Class::Command) => true,
        }
    }

    /// Whether a holder of the role may create, rotate and revoke tokens.
    pub const fn manages_tokens(self) -> bool {
        matches!(self, Self::Admin)
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let named = |role: &&Self| role.as_str() == text;
        let role = Self::ALL.iter().find(named);
        role.copied().ok_or_else(|| RoleError(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_publish_by_the_class_of_a_message_and_some_approve() {
        let kinds = [
            Kind::InterfaceUpdated,
            Kind::SyncRequested,
            Kind::ExecutionApproveRequested,
            Kind::RepositoryTipMoved,
            Kind::EventApplied,
        ];
        let table = [
            // role; an event, a command, an approval, an internal message, a result
            (Role::Viewer, [false; 5]),
            (Role::Operator, [true, true, false, false, false]),
            (Role::Approver, [true, true, true, false, false]),
            (Role::Admin, [true, true, true, false, false]),
        ];
        for (role, expected) in table {
            assert_eq!(kinds.map(|kind| role.publishes(kind)), expected, "{role}");
        }
    }

    #[test]
    fn a_role_is_written_as_it_is_read_and_the_error_names_all() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        let error = "root".parse::<Role>().unwrap_err().to_string();
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        assert!(error.ends_with(&names.join(", ")), "{error}");
    }
}
