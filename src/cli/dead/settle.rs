use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{
    DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection, MAX_DEAD_LETTERS,
};
use lockstep_protocol::rest::DeadLetterCounts;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Envelope, Message, counted};

use super::filter::Filter;
use super::report::{self, Report, Settled};
use crate::cli::client::{Client, Rejected};
use crate::cli::{Global, UsageError, output, request};

/// Requeue dead letters, after their cause is fixed
///
/// A requeued message is processed again. If it fails again, it becomes a new dead letter with the next redrive count.
/// --all selects every unsettled dead letter that exists now; on a terminal it lists how many there are of which type, and asks for
/// confirmation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead requeue 42 43
  lockstep dead requeue --all --code unknown-device
  lockstep dead requeue --all --type lockstep.interface.updated --yes")]
pub(super) struct Requeue {
    #[command(flatten)]
    selection: Selection,
}

/// Drop dead letters that should not be processed any more
///
/// `lockstep dead list --all-states` lists them until they are deleted after `retention.dead_letters`. --all selects every unsettled
/// dead letter that exists now; on a terminal it lists how many there are of which type, and asks for confirmation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead drop 40 41
  lockstep dead drop --all --code unknown-type --yes")]
pub(super) struct Drop {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
struct Selection {
    /// Numbers of the dead letters, as `lockstep dead list` shows them
    #[arg(
        value_name = "NUMBER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    numbers: Vec<u64>,
    /// All unsettled dead letters, or those that match --code, --lane and --type
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Requeue {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        self.selection.settle(DeadLetterAction::Requeued, global).await
    }
}

impl Drop {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        self.selection.settle(DeadLetterAction::Dropped, global).await
    }
}

impl Selection {
    async fn settle(&self, action: DeadLetterAction, global: &Global) -> anyhow::Result<ExitCode> {
        if !self.all && !self.filter.query().is_empty() {
            return Err(UsageError("--code, --lane and --type need --all".to_owned()).into());
        }
        if self.all && !self.yes && !output::can_ask() {
            return Err(UsageError(
                "--all asks for confirmation on a terminal; without one, add --yes".to_owned(),
            )
            .into());
        }
        let client = Client::new(global)?;
        let mut report = Report::default();
        let done = if self.all {
            self.settle_all(action, &client, &mut report).await
        } else {
            self.settle_each(action, &client, &mut report, global.json).await
        };
        // The report is printed even if a command failed.
        if global.json {
            output::json(&report);
        } else if self.all {
            output::line(&report::sum(action, &report));
        }
        done?;
        Ok(if report.failed > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn settle_each(
        &self,
        action: DeadLetterAction,
        client: &Client,
        report: &mut Report,
        json: bool,
    ) -> anyhow::Result<()> {
        for &number in &self.numbers {
            // A command for a number that does not exist would become a dead letter itself.
            let dead_letter = match client.dead_letter(number).await {
                Ok(detail) => detail.dead_letter,
                Err(error)
                    if error
                        .downcast_ref::<Rejected>()
                        .is_some_and(Rejected::is_not_found) =>
                {
                    report.failed += 1;
                    output::error(&format!("{error:#}"));
                    continue;
                }
                Err(error) => return Err(error.context(format!("dead letter {number}"))),
            };
            let view = request::ask(client, &command(action, Some(number), None))
                .await
                .with_context(|| format!("dead letter {number}"))?;
            match report.add(view) {
                Settled::Failed(why) => output::error(&format!("dead letter {number}: {why}")),
                _ if json => {}
                Settled::Unchanged => {
                    // A failure to read who settled it is not an error.
                    let settled = client.dead_letter(number).await.ok();
                    let dead_letter = settled.map_or(dead_letter, |detail| detail.dead_letter);
                    output::line(&report::settled_before(&dead_letter));
                }
                Settled::Done(_) => output::line(&report::one(action, &dead_letter)),
                Settled::Other(text) => output::line(&format!("dead letter {number}: {text}")),
            }
        }
        Ok(())
    }

    async fn settle_all(
        &self,
        action: DeadLetterAction,
        client: &Client,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let counts = client.dead_letter_counts(&self.filter.query()).await?;
        let Some(newest) = counts.newest else {
            output::note("no dead letter matches");
            return Ok(());
        };
        for line in report::preview(action, &counts) {
            output::note(&line);
        }
        if !self.yes && !self.confirmed(action, &counts).await? {
            output::note("nothing was changed");
            return Ok(());
        }
        let progress = output::Progress::new();
        loop {
            let selection = self.filter.selection(newest);
            let view = request::ask(client, &command(action, None, Some(selection))).await?;
            match report.add(view) {
                Settled::Done(true) => {}
                Settled::Done(false) | Settled::Unchanged => return Ok(()),
                Settled::Failed(why) => bail!("the command was rejected: {why}"),
                Settled::Other(text) => bail!("cannot read the outcome: {text}"),
            }
            let total = counted(counts.total, "dead letter");
            progress.show(&format!("{} of {total}", report.settled));
        }
    }

    async fn confirmed(&self, action: DeadLetterAction, counts: &DeadLetterCounts) -> anyhow::Result<bool> {
        let what = match action {
            DeadLetterAction::Requeued => "Requeue",
            DeadLetterAction::Dropped => "Drop",
        };
        let them = if counts.total == 1 { "it" } else { "them" };
        let commands = counts.total.div_ceil(u64::from(MAX_DEAD_LETTERS));
        let number = if commands > 1 {
            format!(" ({})", counted(commands, "command"))
        } else {
            String::new()
        };
        output::note(&format!("{what} {them}{number}? [y/N]"));
        output::confirmed().await
    }
}

fn command(
    action: DeadLetterAction,
    dead_letter: Option<u64>,
    matching: Option<DeadLetterSelection>,
) -> Envelope {
    let message: Message = match action {
        DeadLetterAction::Requeued => DeadLetterRequeueRequested {
            dead_letter,
            matching,
        }
        .into(),
        DeadLetterAction::Dropped => DeadLetterDropRequested {
            dead_letter,
            matching,
        }
        .into(),
    };
    Envelope::new(request::source(), SystemClock.now(), message)
}
