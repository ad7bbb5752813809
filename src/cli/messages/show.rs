use std::process::ExitCode;

use clap::Args;

use super::report;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show what became of a message: its sender, its outcome, its dead letters
///
/// An id is unique for each source and sender only. If several messages have it, all of them are listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep messages show 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70
  lockstep messages show 4711 --source urn:example:netbox --by netbox
  lockstep messages show 4711 --json | jq '.messages[0].result'")]
pub(in crate::cli) struct Show {
    /// Id of the message
    id: String,
    /// Source of the message. Default: all
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// Sender of the message: a token or a broker user. Default: all that the own token may read
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Show {
    pub(in crate::cli) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let found = client
            .messages(&self.id, self.source.as_deref(), self.by.as_deref())
            .await?;
        if global.json {
            output::json(&found);
            return Ok(ExitCode::SUCCESS);
        }
        match &found.messages[..] {
            [only] => report::fields(only).iter().for_each(|line| output::line(line)),
            several => several.iter().for_each(|one| output::line(&report::brief(one))),
        }
        if found.messages.len() > 1 {
            output::note("name one of them by --source and --by");
        }
        if found.more {
            output::note("there are more; name the --source");
        }
        Ok(ExitCode::SUCCESS)
    }
}
