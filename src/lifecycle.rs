//! The start and the stop of a process: signals, the two tokens that stop everything else, and the tasks.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end after the abandon token is cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The tasks of a process, and the tokens that stop them. The first SIGTERM or SIGINT cancels `stop`: tasks take nothing new and
/// finish their work. A second signal, or the end of the shutdown timeout, cancels `abandon`: tasks abandon their work.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) stop: CancellationToken,
    pub(crate) abandon: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Lifecycle {
    /// Listens for signals from now on. `grace` is the shutdown timeout.
    ///
    /// # Errors
    /// If the operating system does not allow it.
    pub(crate) fn start(grace: Duration) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(watch(signals, grace, stop.clone(), abandon.clone()));
        Ok(Self {
            stop,
            abandon,
            tasks: JoinSet::new(),
        })
    }

    /// Adds a task that runs until `stop` is cancelled.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for a step of the start; `None` if the process is stopped meanwhile.
    pub(crate) async fn starting<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Waits until all tasks have ended. A task that ends before the stop stops the others.
    ///
    /// # Errors
    /// The error of the first task that failed or ended before the stop.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut failure = None;
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                () = timed_out(&self.abandon) => {
                    tracing::warn!(tasks = self.tasks.len(), "aborted tasks that did not end in time");
                    self.tasks.shutdown().await;
                    None
                }
            };
            let Some(ended) = ended else { break };
            let unexpected = !self.stop.is_cancelled();
            let error = match ended {
                Ok((name, Err(error))) => Some(error.context(format!("the {name} failed"))),
                Ok((name, Ok(()))) => unexpected.then(|| anyhow!("the {name} ended unexpectedly")),
                Err(crash) => Some(anyhow!(crash).context("a task panicked")),
            };
            if unexpected {
                self.stop.cancel();
            }
            failure = failure.or(error);
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn timed_out(abandon: &CancellationToken) {
    abandon.cancelled().await;
    tokio::time::sleep(CANCEL_TIMEOUT).await;
}

/// Cancels the tokens after signals and after the shutdown timeout, which also begins when a task ended unexpectedly.
async fn watch(
    mut signals: [Signal; 2],
    grace: Duration,
    stop: CancellationToken,
    abandon: CancellationToken,
) {
    tokio::select! {
        () = received(&mut signals) => tracing::info!("stopping after the work in flight; a second signal stops immediately"),
        () = stop.cancelled() => {}
    }
    stop.cancel();
    tokio::select! {
        () = received(&mut signals) => tracing::warn!("second signal: abandoning the work in flight"),
        () = tokio::time::sleep(grace) => tracing::warn!("shutdown timeout: abandoning the work in flight"),
    }
    abandon.cancel();
}

async fn received([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_task_that_ends_unexpectedly_stops_the_others_and_is_a_failure() {
        let mut lifecycle = Lifecycle::start(GRACE).unwrap();
        let stop = lifecycle.stop.clone();
        lifecycle.spawn("console", async move {
            stop.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("worker", async { Ok(()) });
        assert_eq!(
            lifecycle.run().await.unwrap_err().to_string(),
            "the worker ended unexpectedly"
        );
    }

    #[tokio::test]
    async fn tasks_that_end_after_the_stop_are_not_a_failure() {
        let mut lifecycle = Lifecycle::start(GRACE).unwrap();
        let stop = lifecycle.stop.clone();
        lifecycle.spawn("worker", async move {
            stop.cancelled().await;
            Ok(())
        });
        lifecycle.stop.cancel();
        lifecycle.run().await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_a_step_of_the_start() {
        let lifecycle = Lifecycle::start(GRACE).unwrap();
        lifecycle.stop.cancel();
        assert_eq!(lifecycle.starting(std::future::pending::<()>()).await, None);
    }
}
