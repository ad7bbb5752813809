//! From start to orderly stop: signals, the two tokens all else sees, and the tasks of the process.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to let go after the hard token.
const LETTING_GO: Duration = Duration::from_secs(5);

/// The tasks of a process and what stops them. The first SIGTERM or SIGINT cancels `soft`: take nothing new, finish what
/// runs. A second one, or the end of the grace time, cancels `hard`: let go of everything.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) soft: CancellationToken,
    pub(crate) hard: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Lifecycle {
    /// Begins to listen for signals.
    ///
    /// # Errors
    /// When the operating system does not allow it.
    pub(crate) fn start(grace: Duration) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(watch(signals, grace, soft.clone(), hard.clone()));
        Ok(Self {
            soft,
            hard,
            tasks: JoinSet::new(),
        })
    }

    /// Adds a task that is to run until it is told to stop.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for something that is part of the start; `None` if the process was told to stop meanwhile.
    pub(crate) async fn starting<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.soft.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Waits until all tasks ended. One that ends unasked stops the others.
    ///
    /// # Errors
    /// What the first task that failed or ended unasked said.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut failure = None;
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                () = let_go(&self.hard) => {
                    tracing::warn!(tasks = self.tasks.len(), "tasks did not let go and were cut off");
                    self.tasks.shutdown().await;
                    None
                }
            };
            let Some(ended) = ended else { break };
            let unasked = !self.soft.is_cancelled();
            let error = match ended {
                Ok((name, Err(error))) => Some(error.context(format!("the {name} failed"))),
                Ok((name, Ok(()))) => unasked.then(|| anyhow!("the {name} ended unasked")),
                Err(crash) => Some(anyhow!(crash).context("a task crashed")),
            };
            if unasked {
                self.soft.cancel();
            }
            failure = failure.or(error);
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn let_go(hard: &CancellationToken) {
    hard.cancelled().await;
    tokio::time::sleep(LETTING_GO).await;
}

/// Turns signals and the end of the grace time into tokens. Also runs out the grace time when a task ended unasked.
async fn watch(mut signals: [Signal; 2], grace: Duration, soft: CancellationToken, hard: CancellationToken) {
    tokio::select! {
        () = received(&mut signals) => tracing::info!("stopping: what runs is finished; a second signal cuts it off"),
        () = soft.cancelled() => {}
    }
    soft.cancel();
    tokio::select! {
        () = received(&mut signals) => tracing::warn!("second signal: letting go of everything"),
        () = tokio::time::sleep(grace) => tracing::warn!("the grace time is over: letting go of everything"),
    }
    hard.cancel();
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

    const GRACE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_task_that_ends_unasked_stops_the_others_and_is_a_failure() {
        let mut lifecycle = Lifecycle::start(GRACE).unwrap();
        let soft = lifecycle.soft.clone();
        lifecycle.spawn("console", async move {
            soft.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("worker", async { Ok(()) });
        assert_eq!(
            lifecycle.run().await.unwrap_err().to_string(),
            "the worker ended unasked"
        );
    }

    #[tokio::test]
    async fn tasks_that_end_when_told_to_are_no_failure() {
        let mut lifecycle = Lifecycle::start(GRACE).unwrap();
        let soft = lifecycle.soft.clone();
        lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            Ok(())
        });
        lifecycle.soft.cancel();
        lifecycle.run().await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_the_start() {
        let lifecycle = Lifecycle::start(GRACE).unwrap();
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.starting(std::future::pending::<()>()).await, None);
    }
}
