use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lockstep_protocol::rest::TokenRequest;
use lockstep_protocol::{GroupName, Role, TaskPattern};

use super::{duration, print_secret};
use crate::cli::Global;
use crate::cli::client::Client;

/// Create a token, and print its secret, which is shown only now
///
/// The person is the sender of everything that is published with the token; two tokens of one person are one sender. --group and --task
/// limit commands to devices of these groups and to these tasks; without them there is no limit. Nobody gives more rights than they have.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens create alice-laptop --person alice --role operator --expires 90d
  lockstep tokens create backup --role operator --task 'backup-*' --group oslo > backup.token
  lockstep tokens create wall --role viewer --read device-output
  lockstep tokens create bob --role admin --reason 'second administrator'")]
pub(super) struct Create {
    /// Unique name of the token
    #[arg(value_name = "NAME")]
    name: String,
    /// Person or service that it belongs to [default: the name of the token]
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// What it may do: viewer, operator, approver or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Group of devices that its commands are limited to; may be repeated
    #[arg(long = "group", value_name = "GROUP", value_parser = group)]
    groups: Vec<GroupName>,
    /// Task that it may run, or a prefix such as 'backup-*'; may be repeated. A sync is the task `sync`
    #[arg(long = "task", value_name = "PATTERN")]
    tasks: Vec<TaskPattern>,
    /// What it may read in addition to its role, such as device-output; may be repeated
    #[arg(long = "read", value_name = "SCOPE")]
    reads: Vec<String>,
    /// How long it is accepted, such as 90d [default: without an end]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
    /// Source of its messages, or a prefix such as 'urn:example:*'; may be repeated [default: all that belong to nobody]
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
}

impl Create {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let request = TokenRequest {
            name: self.name,
            person: self.person,
            role: self.role,
            groups: self.groups,
            tasks: self.tasks,
            reads: self.reads,
            sources: self.sources,
            expires_in_seconds: self.expires.map(|expires| expires.as_secs()),
            reason: None,
        };
        let answer = Client::new(global)?.create_token(&request).await?;
        print_secret(&answer, global.json);
        Ok(ExitCode::SUCCESS)
    }
}

/// Parses the name of a group.
fn group(text: &str) -> Result<GroupName, String> {
    GroupName::try_from(text.to_owned()).map_err(|error| error.to_string())
}
