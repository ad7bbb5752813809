use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::{Envelope, RepositoryName};

use crate::cli::client::Client;
use crate::cli::{Global, outcome, output, request};

/// Fetch a repository now, and mark the devices unsynchronized that its changes affect
///
/// Webhooks and polling do the same by themselves. The first refresh has no commit to compare with, so it marks all devices that the
/// repository affects; `lockstep repositories accept` avoids that. If the repository cannot be fetched, the reason is printed at once;
/// workers try again for about thirteen minutes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories refresh settings
  lockstep repositories refresh templates --json")]
pub(super) struct Refresh {
    /// Repository: settings or templates
    #[arg(value_name = "REPOSITORY", value_parser = super::name)]
    repository: RepositoryName,
}

impl Refresh {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let repository = self.repository.clone();
        let command = RepositoryRefreshRequested {
            repository: self.repository,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let before = failure(&client, &repository).await;
        let asking = request::ask(&client, &envelope);
        tokio::pin!(asking);
        let mut new = None;
        let view = loop {
            let pause = tokio::time::sleep(LOOK_AGAIN);
            tokio::select! {
                answer = &mut asking => break answer,
                () = pause, if new.is_none() => {
                    new = failure(&client, &repository).await.filter(|now| before.as_ref() != Some(now));
                    if let Some((_, reason)) = &new {
                        output::note(&format!("cannot fetch {repository}, will be tried again: {reason}"));
                    }
                }
            }
        };
        Ok(outcome::show(&view?, global.json))
    }
}

/// How often it is looked whether the repository can be fetched.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// When and why the repository could not be fetched at the last attempt. `None` also if that cannot be read, such as with a token for
/// publishing only.
async fn failure(client: &Client, name: &RepositoryName) -> Option<(Timestamp, String)> {
    let all = client.repositories().await.ok()?;
    let found = all.into_iter().find(|repository| repository.name == *name)?;
    found.failed_at.zip(found.failure)
}
