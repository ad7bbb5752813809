//! Commands for tokens of the console.

mod create;
mod list;
mod revoke;
mod rotate;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use lockstep_protocol::rest::TokenSecret;

use super::{Global, output};
use crate::config::read_duration;

/// Create, list, rotate and revoke tokens for the console
///
/// They need a token with the role admin, such as the one of `lockstep up` on this machine. Tokens of the configuration are not listed;
/// docs/how-to/access.md explains roles, groups and tasks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens create alice-laptop --person alice --role operator --expires 90d
  lockstep tokens list
  lockstep tokens rotate alice-laptop
  lockstep tokens revoke alice-laptop")]
pub(super) struct Tokens {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Rotate(rotate::Rotate),
    Revoke(revoke::Revoke),
}

impl Tokens {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Create(command) => command.run(global).await,
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Rotate(command) => command.run(global).await,
            What::Revoke(command) => command.run(global).await,
        }
    }
}

/// Parses a duration such as 90d.
fn duration(text: &str) -> Result<Duration, String> {
    read_duration(text).ok_or_else(|| "write a duration such as 90d, 12h or 30m".to_owned())
}

/// Prints a new secret: alone on stdout, so that it can be piped into a file.
fn print_secret(answer: &TokenSecret, json: bool) {
    if json {
        output::json(answer);
        return;
    }
    let token = &answer.token;
    let ends = token
        .expires_at
        .map_or_else(|| "without an end".to_owned(), |at| format!("until {at}"));
    output::note(&format!(
        "token {} of {}, role {}, {ends}; the secret is shown only now:",
        token.name, token.person, token.role
    ));
    if let Some(until) = token.former_until {
        output::note(&format!("its former secret is accepted until {until}"));
    }
    output::line(&answer.secret);
}
