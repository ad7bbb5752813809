use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_cvp::ComplianceCode;
use lockstep_cvp::gate::{Emptiness, Reason};
use lockstep_cvp::sweep::{SweepOptions, TaskOutcome, TaskReport};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::run;
use crate::cli::{Global, output};
use crate::roles;

/// List tasks: whether each is empty, and why a sweep would keep it
///
/// Changes nothing. EMPTY is yes, no, or unclear where CloudVision does not provide enough data. WHY lists the reasons for which
/// `lockstep cvp sweep` would keep the task; worker/cvp/README.md explains each.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep cvp tasks
  lockstep cvp tasks --code 0000
  lockstep cvp tasks --status Failed --json")]
pub(super) struct Tasks {
    /// Only tasks with this status
    #[arg(long, value_name = "STATUS", default_value = "Pending")]
    status: String,
    /// Only tasks of devices with this compliance code, such as 0000
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    #[command(flatten)]
    cluster: Cluster,
}

impl Tasks {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cluster = self.cluster.configuration(global)?;
        let client = Arc::new(roles::cvp_client(&cluster)?);
        let options = SweepOptions {
            status: self.status,
            dry_run: true,
            ..run::options(&cluster, &run::stop_on_signal())
        };
        let swept = run::sweep(&client, options, "examining").await;
        client.log_out().await;
        let code = self.code.as_deref().map(ComplianceCode::from);
        let matches = |task: &TaskReport| code.is_none() || task.code == code;
        let tasks: Vec<TaskReport> = swept?.tasks.into_iter().filter(matches).collect();
        let now = SystemClock.now();
        if global.json {
            output::json(&tasks.iter().map(|task| shown(task, now)).collect::<Vec<_>>());
        } else if tasks.is_empty() {
            output::note("no task matches");
        } else {
            let rows: Vec<[String; 8]> = tasks.iter().map(|task| row(task, now)).collect();
            let header = [
                "TASK",
                "DEVICE",
                "DESCRIPTION",
                "AGE",
                "CODE",
                "MEANING",
                "EMPTY",
                "WHY",
            ];
            for line in output::table(header, &rows) {
                output::line(&line);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether a task is empty; none if CloudVision does not provide enough data.
fn is_empty(task: &TaskReport) -> Option<bool> {
    let TaskOutcome::Kept { reasons, .. } = &task.outcome else {
        return None;
    };
    let emptiness = || reasons.iter().map(|reason| reason.emptiness());
    if emptiness().any(|emptiness| emptiness == Emptiness::NotEmpty) {
        Some(false)
    } else if emptiness().all(|emptiness| emptiness == Emptiness::Empty) {
        Some(true)
    } else {
        None
    }
}

/// Why a sweep would keep the task; empty if it would cancel it.
fn why(task: &TaskReport) -> Vec<String> {
    let name = Reason::DryRun.name();
    task.outcome
        .reasons()
        .into_iter()
        .filter(|reason| *reason != name)
        .collect()
}

fn row(task: &TaskReport, now: Timestamp) -> [String; 8] {
    let device = if task.hostname.is_empty() {
        &task.net_element_id
    } else {
        &task.hostname
    };
    let empty = match is_empty(task) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unclear",
    };
    let code = task.code.as_ref();
    [
        task.task_id.to_string(),
        device.clone(),
        task.description.clone(),
        task.created_ms
            .map(|created| age(created, now))
            .unwrap_or_default(),
        code.map_or("-", ComplianceCode::as_str).to_owned(),
        code.map_or("", ComplianceCode::meaning).to_owned(),
        empty.to_owned(),
        why(task).join(", "),
    ]
}

fn shown(task: &TaskReport, now: Timestamp) -> Value {
    json!({
        "task_id": task.task_id,
        "net_element_id": task.net_element_id,
        "hostname": task.hostname,
        "serial": task.serial,
        "description": task.description,
        "age_seconds": task.created_ms.map(|created| (now.as_millisecond() - created).max(0) / 1000),
        "code": task.code,
        "meaning": task.code.as_ref().map(ComplianceCode::meaning),
        "empty": is_empty(task),
        "reasons": why(task),
    })
}

/// The age in the largest unit that is still precise enough.
fn age(created_ms: i64, now: Timestamp) -> String {
    let seconds = (now.as_millisecond().saturating_sub(created_ms)).max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_shown_in_the_largest_precise_unit() {
        let now = Timestamp::from_millisecond(1_000_000_000).unwrap();
        for (seconds, expected) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(1_000_000_000 - seconds * 1000, now), expected);
        }
        assert!(age(i64::MIN, now).ends_with('d'));
    }
}
