//! Reads running executions for subscriptions: each execution once, however many listen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockstep_store::{ExecutionReference, ExecutionRow};
use tokio::sync::watch;

use crate::context::Shared;

/// How often an execution is read that changes, and the longest pause of one that does not.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What was read last of an execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// It goes on, or ended if its state is final.
    Row(Box<ExecutionRow>),
    /// It was deleted.
    Gone,
}

impl Progress {
    /// Whether nothing follows.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Row(row) => row.state.is_final(),
            Self::Gone => true,
        }
    }
}

/// The executions that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct ExecutionWatches(Mutex<HashMap<u64, watch::Sender<Progress>>>);

impl ExecutionWatches {
    /// What becomes of an execution, beginning with what is known of it now. A listener that is slow misses what was between two
    /// reads, and nothing is kept for it. Nothing is read when nobody listens. When the console stops, the channel is closed.
    pub(crate) fn listen(&self, shared: &Arc<Shared>, row: ExecutionRow) -> watch::Receiver<Progress> {
        let number = row.number;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(&number) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Progress::Row(Box::new(row)));
        all.insert(number, sender.clone());
        shared
            .streams
            .tasks
            .spawn(read(Arc::clone(shared), number, sender));
        receiver
    }

    /// Forgets an execution; if `unheard`, only if nobody listens. Says whether it did.
    fn forget(&self, number: u64, unheard: bool) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unheard && all.get(&number).is_some_and(|sender| sender.receiver_count() > 0) {
            return false;
        }
        all.remove(&number);
        true
    }
}

/// Reads an execution until it ended, nobody listens or the console stops. Goes on while the store is unavailable.
async fn read(shared: Arc<Shared>, number: u64, sender: watch::Sender<Progress>) {
    let watches = &shared.streams.watches;
    let mut pause = FIRST_PAUSE;
    while !sender.borrow().is_last() {
        tokio::select! {
            () = sender.closed() => {
                if watches.forget(number, true) {
                    return;
                }
                continue;
            }
            () = shared.stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        let reference = ExecutionReference::Number(number);
        let now = match shared.context.executions.execution(&reference).await {
            Ok(Some(row)) => Progress::Row(Box::new(row)),
            Ok(None) => Progress::Gone,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    execution = number,
                    "cannot read an execution for its subscribers; trying again"
                );
                pause = next(pause, false);
                continue;
            }
        };
        let changed = sender.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                *before = now;
            }
            changed
        });
        pause = next(pause, changed);
    }
    watches.forget(number, false);
}

/// The pause after a read.
fn next(pause: Duration, changed: bool) -> Duration {
    if changed {
        FIRST_PAUSE
    } else {
        LONGEST_PAUSE.min(pause * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_change_is_read_less_often() {
        let mut pause = FIRST_PAUSE;
        let mut pauses = Vec::new();
        for changed in [false, false, false, false, false, true, false] {
            pause = next(pause, changed);
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 4000, 250, 500]);
    }
}
