use std::fmt;
use std::str::FromStr;

use lockstep_protocol::Role;

/// What a token may read at the console. Every token may read the outcomes of its own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadScope {
    /// The outcomes of messages that others sent.
    Messages,
    /// Devices and why they are not synchronized.
    Devices,
    /// Repositories and their accepted commits.
    Repositories,
    /// The list of dead letters, without bodies.
    DeadLetters,
    /// The bodies of dead letters: whatever their senders wrote.
    DeadLetterBodies,
    /// Tasks, schedules and providers.
    Tasks,
    /// Executions and their elements, without what providers returned.
    Executions,
    /// What providers returned of an element, and the facts about devices: whatever the devices said.
    DeviceOutput,
    /// Whole configurations of devices and differences between them, with their secrets.
    Configurations,
    /// The audit: what people did, from where, and why.
    Audit,
}

/// The text is not a read scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not one of messages, devices, repositories, dead-letters, dead-letter-bodies, tasks, executions, device-output, configurations, audit"
)]
pub struct ReadScopeError(String);

impl ReadScope {
    /// Every scope.
    pub const ALL: &[Self] = &[
        Self::Messages,
        Self::Devices,
        Self::Repositories,
        Self::DeadLetters,
        Self::DeadLetterBodies,
        Self::Tasks,
        Self::Executions,
        Self::DeviceOutput,
        Self::Configurations,
        Self::Audit,
    ];

    /// What a token reads that is not limited to events: everything but the audit, which is given by name or by the role.
    pub const USUAL: &[Self] = &[
        Self::Messages,
        Self::Devices,
        Self::Repositories,
        Self::DeadLetters,
        Self::DeadLetterBodies,
        Self::Tasks,
        Self::Executions,
        Self::DeviceOutput,
        Self::Configurations,
    ];

    /// What a holder of the role reads. Results of devices are a right of their own: a viewer gets them by name only.
    pub const fn of_role(role: Role) -> &'static [Self] {
        match role {
            Role::Viewer => &[
                Self::Messages,
                Self::Devices,
                Self::Repositories,
                Self::DeadLetters,
                Self::Tasks,
                Self::Executions,
            ],
            Role::Operator | Role::Approver => Self::USUAL,
            Role::Admin => Self::ALL,
        }
    }

    /// The scope as it is written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Devices => "devices",
            Self::Repositories => "repositories",
            Self::DeadLetters => "dead-letters",
            Self::DeadLetterBodies => "dead-letter-bodies",
            Self::Tasks => "tasks",
            Self::Executions => "executions",
            Self::DeviceOutput => "device-output",
            Self::Configurations => "configurations",
            Self::Audit => "audit",
        }
    }
}

impl FromStr for ReadScope {
    type Err = ReadScopeError;

    fn from_str(text: &str) -> Result<Self, ReadScopeError> {
        let named = |scope: &&Self| scope.as_str() == text;
        let scope = Self::ALL.iter().find(named);
        scope.copied().ok_or_else(|| ReadScopeError(text.to_owned()))
    }
}

impl fmt::Display for ReadScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table_of_roles() {
        let line = |right: &str, allowed: &dyn Fn(Role) -> bool| {
            let cells = Role::ALL
                .iter()
                .map(|role| if allowed(*role) { " yes |" } else { " no |" });
            format!("| {right} |{}", cells.collect::<String>())
        };
        let mut lines = vec![
            line("publish events and commands", &|role| {
                role.publishes(lockstep_protocol::Kind::SyncRequested)
            }),
            line("approve plans of others", &|role| {
                role.publishes(lockstep_protocol::Kind::ExecutionApproveRequested)
            }),
            line("create, rotate and revoke tokens", &Role::manages_tokens),
        ];
        lines.extend(ReadScope::ALL.iter().map(|scope| {
            line(&format!("read `{scope}`"), &|role| {
                ReadScope::of_role(role).contains(scope)
            })
        }));
        let table = lines.join("\n");
        let page = include_str!("../../../docs/how-to/access.md");
        assert!(page.contains(&table), "docs/how-to/access.md lacks\n{table}");
    }

    #[test]
    fn a_role_reads_what_those_before_it_read() {
        for pair in Role::ALL.windows(2) {
            let (less, more) = (ReadScope::of_role(pair[0]), ReadScope::of_role(pair[1]));
            assert!(less.iter().all(|scope| more.contains(scope)), "{pair:?}");
        }
        for (scope, roles) in [
            (ReadScope::Devices, 4),
            (ReadScope::DeviceOutput, 3),
            (ReadScope::Configurations, 3),
            (ReadScope::DeadLetterBodies, 3),
            (ReadScope::Audit, 1),
        ] {
            let reading = Role::ALL
                .iter()
                .filter(|role| ReadScope::of_role(**role).contains(&scope));
            assert_eq!(reading.count(), roles, "{scope}");
        }
    }

    #[test]
    fn the_error_for_an_unknown_scope_names_every_scope() {
        let error = "device".parse::<ReadScope>().unwrap_err().to_string();
        let names: Vec<&str> = ReadScope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert!(error.ends_with(&names.join(", ")), "{error}");
        for scope in ReadScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
    }
}
