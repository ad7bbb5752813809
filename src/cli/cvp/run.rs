//! One sweep for the command line: from the client to the reports.

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

/// What a sweep found and did, the newest task first.
#[derive(Debug)]
pub(in crate::cli) struct Swept {
    pub(in crate::cli) tasks: Vec<TaskReport>,
    pub(in crate::cli) summary: Summary,
}

/// The options that go with a cluster.
pub(super) fn options(cluster: &CvpConfig, stop: &CancellationToken) -> SweepOptions {
    SweepOptions {
        policy: cluster.policy.clone(),
        author: concat!("Lockstep ", env!("CARGO_PKG_VERSION")).to_owned(),
        // Tasks wait for time to pass, too; the requests under way are bounded by the client.
        in_flight: usize::from(cluster.concurrency) * 4,
        stop: stop.clone(),
        ..SweepOptions::default()
    }
}

/// Sweeps once.
///
/// # Errors
/// When the tasks cannot be listed.
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
            progress.tell(&event);
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
    let summary = summary.context("the tasks cannot be listed; nothing was cancelled")?;
    let mut tasks = std::mem::take(&mut *lock(&tasks));
    sort(&mut tasks);
    Ok(Swept { tasks, summary })
}

/// Sweeps a cluster, without asking.
///
/// # Errors
/// When the tasks cannot be listed.
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

/// The newest first, as CloudVision lists them.
pub(super) fn sort(tasks: &mut [TaskReport]) {
    tasks.sort_by_cached_key(|report| {
        let id = report.task_id.as_str();
        Reverse((id.parse::<u64>().unwrap_or_default(), id.to_owned()))
    });
}

/// Ends a sweep early on Ctrl-C, after what was begun; a second one ends the process.
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        output::note("stopping: what was begun is finished; again to end at once");
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
