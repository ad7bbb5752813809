use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_cvp::gate::{Emptiness, Reason};
use lockstep_cvp::sweep::{SweepOptions, TaskOutcome, TaskReport};
use lockstep_cvp::{ComplianceCode, CvpClient};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::run;
use crate::cli::Global;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};
use crate::roles;

/// List tasks: whether each is empty, and why a sweep would keep it
///
/// Changes nothing. EMPTY is yes, no, or unclear where CloudVision does not provide enough data. WHY lists the reasons for which
/// `lockstep cvp sweep` would keep the task; worker/cvp/README.md explains each. Columns: task, device, description, age, code,
/// meaning, empty, why, serial, net-element. The list is ordered by descending number; all tasks are examined, whatever the limit.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep cvp tasks
  lockstep cvp tasks --code 0000
  lockstep cvp tasks --sort device -o wide
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
    #[command(flatten)]
    list: ListOptions,
}

impl Tasks {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<TaskListing> = self.list.plan(global)?;
        let cluster = self.cluster.configuration(global)?;
        let client = Arc::new(roles::cvp_client(&cluster)?);
        let listing = TaskListing {
            options: SweepOptions {
                status: self.status,
                dry_run: true,
                ..run::options(&cluster, &run::stop_on_signal())
            },
            code: self.code.as_deref().map(ComplianceCode::from),
            client,
        };
        let result = plan.run(&listing).await;
        listing.client.log_out().await;
        result
    }
}

/// The tasks of a cluster that match, each examined.
struct TaskListing {
    client: Arc<CvpClient>,
    options: SweepOptions,
    code: Option<ComplianceCode>,
}

/// A task and when it was examined.
struct Examined {
    report: TaskReport,
    at: Timestamp,
}

impl Listing for TaskListing {
    type Row = Examined;

    const NOUN: &'static str = "task";

    const COLUMNS: &'static [Column<Examined>] = &[
        Column::new("task", |task| {
            let id = task.report.task_id.as_str();
            id.parse().map_or_else(|_| Cell::text(id), Cell::Number)
        }),
        Column::new("device", |task| Cell::text(device(&task.report))),
        Column::shrinking("description", |task| Cell::text(&task.report.description)),
        Column::new("age", |task| Cell::age(created(&task.report))),
        Column::new("code", |task| {
            Cell::maybe(task.report.code.as_ref().map(ComplianceCode::as_str))
        }),
        Column::shrinking("meaning", |task| {
            Cell::maybe(task.report.code.as_ref().map(ComplianceCode::meaning))
        }),
        Column::new("empty", |task| match is_empty(&task.report) {
            Some(empty) => Cell::Boolean(empty),
            None => Cell::text("unclear"),
        }),
        Column::shrinking("why", |task| Cell::text(why(&task.report).join(", "))),
        Column::wide("serial", |task| Cell::text(&task.report.serial)),
        Column::wide("net-element", |task| Cell::text(&task.report.net_element_id)),
    ];

    const ORDER: &'static str = "-task";

    fn key(row: &Examined) -> String {
        row.report.task_id.to_string()
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<Examined>> {
        let swept = run::sweep(&self.client, self.options.clone(), "examining").await?;
        let matches = |task: &TaskReport| self.code.is_none() || task.code == self.code;
        let tasks = swept.tasks.into_iter().filter(matches);
        let at = SystemClock.now();
        Ok(Page::all(tasks.map(|report| Examined { report, at }).collect()))
    }
}

impl Serialize for Examined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown(&self.report, self.at).serialize(serializer)
    }
}

fn device(task: &TaskReport) -> &str {
    if task.hostname.is_empty() {
        &task.net_element_id
    } else {
        &task.hostname
    }
}

fn created(task: &TaskReport) -> Option<Timestamp> {
    Timestamp::from_millisecond(task.created_ms?).ok()
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
