use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::commands::SyncAction;
use lockstep_protocol::rest::ElementDetail;
use lockstep_protocol::{ElementOutcome, Hostname};

use super::contact::{contact, exit_code, said};
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List the configuration sessions that are pending on a device, or abort one
///
/// A session that somebody left behind may keep Lockstep from configuring the device. Sessions of Lockstep itself are aborted by its next
/// run; those of others only by --abort, which discards what they had not committed, and rolls back what was not confirmed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices sessions sw1
  lockstep devices sessions sw1 --abort maintenance
  lockstep devices sessions sw1 --json | jq '.data.sessions'")]
pub(super) struct Sessions {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    host: Hostname,
    /// Abort the session with this name
    #[arg(long, value_name = "NAME")]
    abort: Option<String>,
}

impl Sessions {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let aborts = self.abort.is_some();
        let action = match &self.abort {
            None => SyncAction::ListSessions,
            Some(_) => SyncAction::AbortSession,
        };
        let detail = match contact(&client, self.host, action, self.abort, global.json).await? {
            Ok(detail) => detail,
            Err(code) => return Ok(code),
        };
        if global.json {
            output::json(&detail);
            return Ok(exit_code(&detail));
        }
        output::line(&said(&detail));
        // An abort tells the sessions before it.
        let rows = if aborts && detail.element.outcome == Some(ElementOutcome::Done) {
            Vec::new()
        } else {
            rows(&detail)
        };
        if !rows.is_empty() {
            output::lines(
                &output::table(["SESSION", "STATE", "USER", "AGE", "ROLLS BACK"], &rows),
                None,
            );
        }
        Ok(exit_code(&detail))
    }
}

fn rows(detail: &ElementDetail) -> Vec<[String; 5]> {
    let sessions = detail.data["sessions"].as_array();
    let row = |session: &serde_json::Value| {
        let text = |key: &str| session[key].as_str().unwrap_or("-").to_owned();
        let age = session["age_seconds"].as_u64();
        [
            text("name"),
            text("state"),
            text("user"),
            age.map_or_else(|| "-".to_owned(), |age| format!("{age} s")),
            text("rolls_back_at"),
        ]
    };
    sessions.into_iter().flatten().map(row).collect()
}
