use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an entry of the audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A command: the console was about to publish it, or a worker decided about it.
    Command,
    /// A command by which somebody approves a plan.
    Approval,
    /// A command by which somebody marks a device as synchronized.
    FlagCleared,
    /// A session of a browser began.
    Login,
    /// Somebody tried to log in and was refused.
    LoginFailed,
    /// A session ended by a logout.
    Logout,
    /// A token was created.
    TokenCreated,
    /// A token got a new secret.
    TokenRotated,
    /// A token was revoked.
    TokenRevoked,
    /// An administrator ended the sessions of somebody.
    SessionsEnded,
}

/// The text is not a kind of audit entries.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not one of command, approval, flag-cleared, login, login-failed, logout, token-created, token-rotated, token-revoked, sessions-ended"
)]
pub struct AuditKindError(String);

impl AuditKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Command,
        Self::Approval,
        Self::FlagCleared,
        Self::Login,
        Self::LoginFailed,
        Self::Logout,
        Self::TokenCreated,
        Self::TokenRotated,
        Self::TokenRevoked,
        Self::SessionsEnded,
    ];

    /// The kind as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Approval => "approval",
            Self::FlagCleared => "flag-cleared",
            Self::Login => "login",
            Self::LoginFailed => "login-failed",
            Self::Logout => "logout",
            Self::TokenCreated => "token-created",
            Self::TokenRotated => "token-rotated",
            Self::TokenRevoked => "token-revoked",
            Self::SessionsEnded => "sessions-ended",
        }
    }
}

impl FromStr for AuditKind {
    type Err = AuditKindError;

    fn from_str(text: &str) -> Result<Self, AuditKindError> {
        let named = |kind: &&Self| kind.as_str() == text;
        let kind = Self::ALL.iter().find(named);
        kind.copied().ok_or_else(|| AuditKindError(text.to_owned()))
    }
}

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_kind_names_every_kind() {
        let error = "commands".parse::<AuditKind>().unwrap_err().to_string();
        let names: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert!(error.ends_with(&names.join(", ")), "{error}");
        for kind in AuditKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
