use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use lockstep_cvp::gate::Reason;
use lockstep_cvp::sweep::{Action, Afterwards, Summary, SweepOptions, TaskOutcome, TaskReport};
use lockstep_cvp::wire::TaskId;
use lockstep_cvp::{ComplianceCode, CvpClient};
use lockstep_protocol::counted;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::run::{self, Swept};
use crate::cli::{Global, UsageError, output};
use crate::config::CvpConfig;
use crate::roles;

/// Cancel the pending tasks that have nothing left to do
///
/// On a terminal it lists the tasks it would cancel, and asks for confirmation. It lists every task that it keeps with the reasons;
/// worker/cvp/README.md explains each reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep cvp sweep
  lockstep cvp sweep --dry-run
  lockstep cvp sweep --yes --json --ca-file cvp-ca.pem")]
pub(super) struct Sweep {
    /// List the tasks that would be cancelled, and cancel nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Cancel without confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    cluster: Cluster,
}

impl Sweep {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let asks = !self.dry_run && !self.yes;
        if asks && !output::can_ask() {
            return Err(UsageError(
                "the command asks for confirmation on a terminal; without one, add --dry-run or --yes"
                    .to_owned(),
            )
            .into());
        }
        let cluster = self.cluster.configuration(global)?;
        let client = Arc::new(roles::cvp_client(&cluster)?);
        let stop = run::stop_on_signal();
        let result = self.sweep(&client, &cluster, &stop).await;
        client.log_out().await;
        let Swept { tasks, summary } = result?;
        if global.json {
            output::json(&json!({"tasks": tasks, "counts": summary}));
        } else {
            show(&tasks, &summary);
        }
        Ok(if summary.failed > 0 || summary.alerts > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn sweep(
        &self,
        client: &Arc<CvpClient>,
        cluster: &CvpConfig,
        stop: &CancellationToken,
    ) -> anyhow::Result<Swept> {
        let options = |dry_run, only| SweepOptions {
            dry_run,
            only,
            ..run::options(cluster, stop)
        };
        if self.yes {
            return run::sweep(client, options(false, None), "sweeping").await;
        }
        let found = run::sweep(client, options(true, None), "examining").await?;
        if self.dry_run {
            return Ok(found);
        }
        let empty: BTreeSet<TaskId> = found
            .tasks
            .iter()
            .filter(|task| is_cancellable(task))
            .map(id)
            .collect();
        if empty.is_empty() || stop.is_cancelled() || !confirmed(&found, empty.len(), stop).await? {
            return Ok(found);
        }
        // Cancels only the listed tasks, and each only if it is still empty.
        let mut swept = run::sweep(client, options(false, Some(empty.clone())), "cancelling").await?;
        let listed: BTreeSet<TaskId> = swept.tasks.iter().map(id).collect();
        let others = found
            .tasks
            .into_iter()
            .filter(|task| !listed.contains(&task.task_id));
        for mut task in others {
            // Listed as empty before, and not pending any more.
            if empty.contains(&task.task_id) {
                task.outcome = TaskOutcome::Gone {
                    status: "no longer pending".to_owned(),
                };
            }
            swept.summary.add(&task.outcome);
            swept.tasks.push(task);
        }
        run::sort(&mut swept.tasks);
        Ok(swept)
    }
}

fn id(task: &TaskReport) -> TaskId {
    task.task_id.clone()
}

fn is_cancellable(task: &TaskReport) -> bool {
    matches!(&task.outcome, TaskOutcome::Kept { reasons, .. } if reasons.contains(&Reason::DryRun))
}

/// Lists the tasks that would be cancelled, and asks for confirmation.
async fn confirmed(found: &Swept, count: usize, stop: &CancellationToken) -> anyhow::Result<bool> {
    for task in found.tasks.iter().filter(|task| is_cancellable(task)) {
        let name = if task.hostname.is_empty() {
            &task.net_element_id
        } else {
            &task.hostname
        };
        output::note(&format!("{}  {}  {}", task.task_id, name, task.description));
    }
    let (has, tasks) = if count == 1 {
        ("has", "this task")
    } else {
        ("have", "these tasks")
    };
    output::note(&format!(
        "{count} of {} {has} nothing left to do. Cancel {tasks}? [y/N]",
        counted(found.summary.listed, "task")
    ));
    tokio::select! {
        answer = output::confirmed() => answer,
        () = stop.cancelled() => Ok(false),
    }
}

/// Prints the result. The lines of tasks have the format of the script that this command replaces:
/// <https://zerosignal.info/post/arista-cvp-delete-empty-tasks-with-python>.
fn show(tasks: &[TaskReport], summary: &Summary) {
    for task in tasks {
        let code = task.code.as_ref().map_or("unknown", ComplianceCode::as_str);
        let mut line = format!(
            "Task ID : {} on NETELEMENT_ID : {} and compliance code is : {code}",
            task.task_id, task.net_element_id
        );
        match task.outcome.action() {
            Action::Kept if is_cancellable(task) => line = format!("{line} : would be cancelled"),
            Action::Kept => line = format!("{line} : kept ({})", task.outcome.reasons().join(", ")),
            Action::Gone => line = format!("{line} : gone"),
            Action::Cancelled | Action::Failed => {}
        }
        output::line(&line);
    }
    for task in tasks {
        let answer = task.outcome.answer().unwrap_or_default();
        match &task.outcome {
            TaskOutcome::Cancelled { afterwards, .. } => {
                output::line(&format!(
                    "Task ID : {} cancellation result : {answer}",
                    task.task_id
                ));
                warn(task, *afterwards);
            }
            TaskOutcome::Failed { .. } => {
                output::line(&format!(
                    "Task ID : {} cancellation failed : {answer}",
                    task.task_id
                ));
            }
            TaskOutcome::Kept { .. } | TaskOutcome::Gone { .. } => {}
        }
    }
    for line in summary_lines(summary) {
        output::line(&line);
    }
}

fn warn(task: &TaskReport, afterwards: Afterwards) {
    let device = if task.hostname.is_empty() {
        &task.net_element_id
    } else {
        &task.hostname
    };
    match afterwards {
        Afterwards::Compliant => {}
        Afterwards::NoLongerCompliant => output::error(&format!(
            "{device} is no longer compliant right after task {} was cancelled: its configuration changed at the same moment. \
             CloudVision creates no new task by itself; to get one, change or reconcile the configlets of the device",
            task.task_id
        )),
        Afterwards::Unknown => output::note(&format!(
            "warning: cannot check {device} after task {} was cancelled",
            task.task_id
        )),
    }
}

fn summary_lines(summary: &Summary) -> Vec<String> {
    let Summary {
        listed,
        cancelled,
        kept,
        failed,
        gone,
        ..
    } = summary;
    let dry_run = Reason::DryRun.name();
    let is_dry_run = |(reason, _): &(&String, &u64)| reason.as_str() == dry_run;
    let would_cancel = summary
        .reasons
        .iter()
        .find(is_dry_run)
        .map_or(0, |(_, count)| *count);
    let tasks = counted(*listed, "task");
    // Only a dry run keeps tasks that have nothing left to do.
    let first = if would_cancel > 0 {
        let kept = kept.saturating_sub(would_cancel);
        format!("{tasks}: would cancel {would_cancel}, keep {kept}; {failed} failed, {gone} gone")
    } else {
        format!("{tasks}: {cancelled} cancelled, {kept} kept, {failed} failed, {gone} gone")
    };
    let reasons: Vec<String> = summary
        .reasons
        .iter()
        .filter(|reason| !is_dry_run(reason))
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    if reasons.is_empty() {
        return vec![first];
    }
    vec![first, format!("kept for: {}", reasons.join(", "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_does_not_count_what_it_would_cancel_as_kept() {
        let summary = |cancelled, kept, reasons: &[(&str, u64)]| Summary {
            listed: cancelled + kept,
            cancelled,
            kept,
            reasons: reasons
                .iter()
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect(),
            ..Summary::default()
        };
        for (summary, expected) in [
            (
                summary(0, 210, &[("dry-run", 200), ("has-diff", 10)]),
                vec![
                    "210 tasks: would cancel 200, keep 10; 0 failed, 0 gone",
                    "kept for: 10 has-diff",
                ],
            ),
            (
                summary(0, 1, &[("dry-run", 1)]),
                vec!["1 task: would cancel 1, keep 0; 0 failed, 0 gone"],
            ),
            (
                summary(2, 1, &[("has-diff", 1)]),
                vec![
                    "3 tasks: 2 cancelled, 1 kept, 0 failed, 0 gone",
                    "kept for: 1 has-diff",
                ],
            ),
        ] {
            assert_eq!(summary_lines(&summary), expected);
        }
    }
}
