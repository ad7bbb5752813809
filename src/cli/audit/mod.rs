//! Commands for the audit.

mod export;
mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::{AuditKind, AuditOutcome};

use super::Global;
use crate::config::read_duration;

/// List and export what people did or tried, and what workers decided about it
///
/// They need a token that may read the audit: one with the role admin, or with `audit` in its `reads`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep audit list --since 1d
  lockstep audit list --principal alice --kind flag-cleared
  lockstep audit list --outcome refused --since 7d
  lockstep audit export --since 2026-03-01T00:00:00Z > audit.jsonl")]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Export(export::Export),
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Export(command) => command.run(global).await,
        }
    }
}

/// Which entries.
#[derive(Clone, Debug, Args)]
struct Filter {
    /// Only entries about this person or service
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Only entries of this kind: command, approval, flag-cleared, login, login-failed, logout, token-created, token-rotated, token-revoked,
    /// sessions-ended
    #[arg(long, value_name = "KIND")]
    kind: Option<AuditKind>,
    /// Only entries about messages with this id: what was asked, and what was decided
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only entries with this outcome: asked (what the console was about to publish), or what a worker decided: applied, refused, dead
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<AuditOutcome>,
    /// Only entries about this device, task or token, as the column subject has it
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only entries from this time on: a time in RFC 3339, or a duration before now such as 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only entries before this time: a time in RFC 3339, or a duration before now such as 1d
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let principal = self.principal.clone().map(|principal| ("principal", principal));
        let kind = self.kind.map(|kind| ("kind", kind.to_string()));
        let subject = self.subject.clone().map(|subject| ("subject", subject));
        let since = self.since.map(|since| ("since", since.to_string()));
        let until = self.until.map(|until| ("until", until.to_string()));
        let message = self.message.clone().map(|id| ("message", id));
        let outcome = self.outcome.map(|outcome| ("outcome", outcome.to_string()));
        let filters = [principal, kind, subject, since, until, message, outcome];
        filters.into_iter().flatten().collect()
    }
}

/// Parses a time in the past.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = read_duration(text).and_then(|ago| SystemClock.now().checked_sub(ago).ok());
    ago.ok_or_else(|| {
        "write a time such as 2026-03-01T08:00:00Z, or a duration before now such as 7d or 12h".to_owned()
    })
}
