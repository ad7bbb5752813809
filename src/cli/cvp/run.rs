//! Runs one sweep and collects the report of each task.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use lockstep_clock::SystemClock;
use lockstep_cvp::CvpClient;
use lockstep_cvp::sweep::{self, Summary, SweepContext, SweepEvent, SweepOptions, TaskReport};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::cli::output;
use crate::config::CvpConfig;
use crate::roles::CVP_AUTHOR;

/// The result of a sweep, the newest task first.
#[derive(Debug)]
pub(in crate::cli) struct Swept {
    pub(in crate::cli) tasks: Vec<TaskReport>,
    pub(in crate::cli) summary: Summary,
}

/// The options of a sweep of this cluster.
pub(super) fn options(cluster: &CvpConfig, stop: &CancellationToken) -> SweepOptions {
    SweepOptions {
        policy: cluster.policy.clone(),
        author: CVP_AUTHOR.to_owned(),
        // Most tasks wait between two readings; the client limits the requests in flight.
        in_flight: usize::from(cluster.concurrency) * 4,
        stop: stop.clone(),
        ..SweepOptions::default()
    }
}

/// Runs a sweep.
///
/// # Errors
/// If the tasks cannot be listed.
pub(super) async fn sweep(
    client: &Arc<CvpClient>,
    options: SweepOptions,
    what: &'static str,
) -> anyhow::Result<Swept> {
    let progress = Progress::start(what);
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let observe = {
        let (progress, tasks) = (progress.clone(), tasks.clone());
        move |event: SweepEvent<'_>| {
            progress.update(&event);
            if let SweepEvent::Settled(report) = event {
                lock(&tasks).push(report.clone());
            }
        }
    };
    let context = SweepContext {
        cvp: client.clone(),
        clock: Arc::new(SystemClock),
        observe: Arc::new(observe),
    };
    let summary = sweep::run(context, options).await;
    progress.end();
    let summary = summary.context("cannot list the tasks; nothing was cancelled")?;
    let mut tasks = std::mem::take(&mut *lock(&tasks));
    sort(&mut tasks);
    Ok(Swept { tasks, summary })
}

/// Sweeps a cluster without confirmation.
///
/// # Errors
/// If the tasks cannot be listed.
#[cfg(feature = "simulators")]
pub(in crate::cli) async fn sweep_once(cluster: &CvpConfig) -> anyhow::Result<Swept> {
    let client = Arc::new(crate::roles::cvp_client(cluster)?);
    let options = SweepOptions {
        dry_run: false,
        ..options(cluster, &CancellationToken::new())
    };
    let swept = sweep(&client, options, "sweeping").await;
    client.log_out().await;
    swept
}

/// Sorts by number, the newest first, as CloudVision lists tasks.
pub(super) fn sort(tasks: &mut [TaskReport]) {
    tasks.sort_by_cached_key(|report| {
        let id = report.task_id.as_str();
        Reverse((id.parse::<u64>().unwrap_or_default(), id.to_owned()))
    });
}

/// A token that Ctrl-C cancels: tasks in progress are finished. A second Ctrl-C exits the process.
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        output::note("stopping after the tasks in progress; press Ctrl-C again to exit immediately");
        token.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    stop
}

fn lock(tasks: &Mutex<Vec<TaskReport>>) -> std::sync::MutexGuard<'_, Vec<TaskReport>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}
