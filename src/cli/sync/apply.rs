use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use lockstep_protocol::commands::SyncRequested;
use lockstep_protocol::{Hostname, counted};

use super::begin::{Begun, Wait, Waited, begin};
use super::plan::request;
use super::report::Report;
use super::selection;
use super::target::Target;
use crate::cli::client::Client;
use crate::cli::tasks::request::Limits;
use crate::cli::{Global, UsageError, output};

/// The most hostnames that a question names.
const NAMED: usize = 10;

/// Push configurations: those that a plan showed, or newly rendered ones
///
/// With a plan, each device gets exactly the difference that the plan showed. A device whose difference or causes have changed since is left
/// alone, and named. Without a plan, the devices of the target are rendered, compared and pushed at once; a worker may be configured to refuse
/// that. Each push is committed with a timer, read back over a new connection, confirmed and verified; only then the device is synchronized.
///
/// On a terminal it shows what it is about to do, and asks. The exit code is 0 if every device was done.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync apply 2 --yes
  lockstep sync apply 2 --yes --canary 2 --wave 20 --max-failed 5 --note CHG-1234
  lockstep sync apply --host sw1 --yes --wait
  lockstep sync apply --group DEFAULT --force --yes --wait --json")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(super) struct Apply {
    /// Number or id of the plan: an execution of `lockstep sync plan`
    #[arg(value_name = "PLAN", conflicts_with_all = ["all", "host", "device_type", "group", "resync", "force"])]
    plan: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Contact synchronized devices, too
    #[arg(long)]
    resync: bool,
    /// Overwrite changes that were made outside of Lockstep
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Why, such as the number of a change ticket
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Show all differences at the end
    #[arg(long)]
    diffs: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    wait: Wait,
}

impl Apply {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if self.plan.is_none() && self.target.given().is_none() {
            let text = "name a plan, or the devices: --all, --host HOST, --type TYPE or --group GROUP";
            return Err(UsageError(text.to_owned()).into());
        }
        if !self.yes && !output::can_ask() {
            let text = "the command asks on a terminal; without one, add --yes";
            return Err(UsageError(text.to_owned()).into());
        }
        let client = Client::new(global)?;
        let command = match &self.plan {
            Some(plan) => self.of_plan(&client, plan).await?,
            None => self.of_target(&client).await?,
        };
        let Some(command) = command else {
            return Ok(ExitCode::FAILURE);
        };
        let execution = match begin(&client, command, global.json).await? {
            Begun::Accepted(execution) => *execution,
            Begun::Refused(code) => return Ok(code),
        };
        let number = execution.number;
        match self.wait.end(&client, execution, global.json).await? {
            Waited::Interrupted => Ok(ExitCode::FAILURE),
            Waited::Accepted(execution) => {
                if global.json {
                    output::json(&execution);
                } else {
                    output::line(&format!(
                        "execution {number} is under way: lockstep sync show {number}"
                    ));
                }
                Ok(ExitCode::SUCCESS)
            }
            Waited::Ended(execution) => {
                let report = Report::read(&client, *execution).await?;
                if global.json {
                    output::json(&report);
                } else {
                    report.show(self.diffs);
                    if report.changed() > 0 {
                        output::note(&format!("the way back: lockstep sync rollback {number}"));
                    }
                }
                Ok(report.exit_code())
            }
        }
    }

    /// The request to apply a plan. `None` if the operator does not want it.
    async fn of_plan(&self, client: &Client, plan: &str) -> anyhow::Result<Option<SyncRequested>> {
        let execution = client.execution(plan).await?;
        let number = execution.number;
        if execution.provider != "sync" || !execution.dry_run {
            bail!("execution {number} is no plan; `lockstep sync plan` makes one");
        }
        if !execution.state.is_final() {
            bail!("plan {number} has not ended; wait for it with `lockstep executions watch {number}`");
        }
        let id = execution.id;
        let report = Report::read(client, execution).await?;
        let (devices, outdated) = report.applicable();
        if !outdated.is_empty() {
            let names: Vec<&Hostname> = outdated.iter().map(|device| &device.hostname).collect();
            output::note(&format!(
                "{} got newer causes since the plan, and will be left alone: {}",
                counted(outdated.len(), "device"),
                named(&names)
            ));
        }
        let score = report.change_score;
        let question = format!(
            "apply plan {number} to {}, score {score} of 100?",
            counted(devices, "device")
        );
        if !self.confirmed(&question).await? {
            return Ok(None);
        }
        Ok(Some(SyncRequested {
            plan: Some(id),
            dry_run: false,
            limits: self.limits.clone().into(),
            note: self.note.clone(),
            ..request()
        }))
    }

    /// The request to push without a plan. `None` if the operator does not want it.
    async fn of_target(&self, client: &Client) -> anyhow::Result<Option<SyncRequested>> {
        let targets = self.target.required()?;
        let selection = selection::read(client, &targets, self.resync).await?;
        output::note(&selection.summary());
        let names: Vec<&Hostname> = selection.selected.iter().collect();
        let question = format!(
            "push to {} without having seen the differences: {}?",
            counted(names.len(), "device"),
            named(&names)
        );
        if !self.confirmed(&question).await? {
            return Ok(None);
        }
        Ok(Some(SyncRequested {
            targets: Some(targets),
            resync: self.resync,
            force: self.force,
            dry_run: false,
            limits: self.limits.clone().into(),
            note: self.note.clone(),
            ..request()
        }))
    }

    async fn confirmed(&self, question: &str) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        output::note(&format!("{question} [y/N]"));
        if output::confirmed().await? {
            return Ok(true);
        }
        output::note("nothing was pushed");
        Ok(false)
    }
}

/// The first hostnames, and how many more there are.
fn named(hostnames: &[&Hostname]) -> String {
    let mut names: Vec<String> = hostnames.iter().take(NAMED).map(ToString::to_string).collect();
    if hostnames.len() > NAMED {
        names.push(format!("and {} more", hostnames.len() - NAMED));
    }
    names.join(", ")
}
