use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{
    DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection, MAX_DEAD_LETTERS,
};
use lockstep_protocol::rest::DeadLetterCounts;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Envelope, Message};

use super::pick::Pick;
use super::report::{self, Report, Settled};
use crate::cli::client::{Client, Refused};
use crate::cli::{Global, UsageError, output, request};

/// Works dead letters again, for when what they died of is mended
///
/// Each is worked as if it came for the first time. If it dies again, that is a new dead letter with the next epoch.
/// With --all: those that nobody requeued or dropped yet and that are there now; on a terminal it says how many of what
/// they are, and asks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead requeue 42 43
  lockstep dead requeue --all --code unknown-device
  lockstep dead requeue --all --type lockstep.interface.updated --yes")]
pub(super) struct Requeue {
    #[command(flatten)]
    which: Which,
}

/// Drops dead letters, for what nobody wants worked any more
///
/// They stay in the list of all states for a while, with who dropped them. With --all: those that nobody requeued or dropped
/// yet and that are there now; on a terminal it says how many of what they are, and asks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead drop 42 43
  lockstep dead drop --all --code unknown-type --yes")]
pub(super) struct Drop {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Their numbers, as `lockstep dead list` shows them
    #[arg(
        value_name = "NUMBER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    numbers: Vec<u64>,
    /// All that are there now, or those that fit
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pick: Pick,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Requeue {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        self.which.settle(DeadLetterAction::Requeued, global).await
    }
}

impl Drop {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        self.which.settle(DeadLetterAction::Dropped, global).await
    }
}

impl Which {
    async fn settle(&self, action: DeadLetterAction, global: &Global) -> anyhow::Result<ExitCode> {
        if !self.all && !self.pick.query().is_empty() {
            return Err(UsageError("--code, --lane and --type go with --all".to_owned()).into());
        }
        if self.all && !self.yes && !output::can_ask() {
            return Err(UsageError("without a terminal to ask on, --all needs --yes".to_owned()).into());
        }
        let client = Client::new(global)?;
        let mut report = Report::default();
        let done = if self.all {
            self.all_of_them(action, &client, &mut report).await
        } else {
            self.one_by_one(action, &client, &mut report, global.json).await
        };
        // What was done is said even if it broke off.
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

    async fn one_by_one(
        &self,
        action: DeadLetterAction,
        client: &Client,
        report: &mut Report,
        json: bool,
    ) -> anyhow::Result<()> {
        for &number in &self.numbers {
            // A command about nothing would be a dead letter of its own.
            let dead_letter = match client.dead_letter(number).await {
                Ok(detail) => detail.dead_letter,
                Err(error) if error.downcast_ref::<Refused>().is_some_and(Refused::is_not_found) => {
                    report.failed += 1;
                    output::complain(&format!("{error:#}"));
                    continue;
                }
                Err(error) => return Err(error.context(format!("dead letter {number}"))),
            };
            let view = request::ask(client, &command(action, Some(number), None))
                .await
                .with_context(|| format!("dead letter {number}"))?;
            match report.add(view) {
                Settled::Failed(why) => output::complain(&format!("dead letter {number}: {why}")),
                _ if json => {}
                Settled::Unchanged => {
                    // Who was first is good to know, and no more than that.
                    let settled = client.dead_letter(number).await.ok();
                    let dead_letter = settled.map_or(dead_letter, |detail| detail.dead_letter);
                    output::line(&report::before(&dead_letter));
                }
                Settled::Done(_) => output::line(&report::one(action, &dead_letter)),
                Settled::Other(text) => output::line(&format!("dead letter {number}: {text}")),
            }
        }
        Ok(())
    }

    async fn all_of_them(
        &self,
        action: DeadLetterAction,
        client: &Client,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let counts = client.dead_letter_counts(&self.pick.query()).await?;
        let Some(newest) = counts.newest else {
            output::note("no dead letter fits");
            return Ok(());
        };
        for line in report::radius(action, &counts) {
            output::note(&line);
        }
        if !self.yes && !self.agreed(action, &counts).await? {
            output::note("nothing was done");
            return Ok(());
        }
        let progress = output::Progress::new();
        loop {
            let selection = self.pick.selection(newest);
            let view = request::ask(client, &command(action, None, Some(selection))).await?;
            match report.add(view) {
                Settled::Done(true) => {}
                Settled::Done(false) | Settled::Unchanged => return Ok(()),
                Settled::Failed(why) => bail!("the message was rejected: {why}"),
                Settled::Other(text) => bail!("the outcome cannot be understood: {text}"),
            }
            progress.show(&format!("{} of {}", report.settled, counts.total));
        }
    }

    async fn agreed(&self, action: DeadLetterAction, counts: &DeadLetterCounts) -> anyhow::Result<bool> {
        let what = match action {
            DeadLetterAction::Requeued => "Requeue",
            DeadLetterAction::Dropped => "Drop",
        };
        let them = if counts.total == 1 { "it" } else { "them" };
        let rounds = counts.total.div_ceil(u64::from(MAX_DEAD_LETTERS));
        let how = if rounds > 1 {
            format!(" ({rounds} commands)")
        } else {
            String::new()
        };
        output::note(&format!("{what} {them}{how}? [y/N]"));
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
