//! Waits for conditions with a timeout, instead of sleeping.

use std::fmt::{self, Display};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls the probe until it returns `Some`, `Ok` or `true`.
///
/// A probe can return `Err(state)` with the observed state, which is part of the time-out error.
///
/// # Errors
///
/// The condition was not true in time; the error has the name of the condition and the last observed state.
pub async fn until<O: Observation>(
    what: &str,
    timeout: Duration,
    mut probe: impl AsyncFnMut() -> O,
) -> Result<O::Value, TimedOut> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    let mut last_seen = None;
    loop {
        let Ok(observation) = timeout_at(deadline, probe()).await else {
            break;
        };
        match observation.value() {
            Ok(value) => return Ok(value),
            Err(state) => last_seen = Some(state),
        }
        if Instant::now() + pause >= deadline {
            break;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(TimedOut {
        what: what.to_owned(),
        timeout,
        last_seen,
    })
}

/// What is counted while a condition is not true yet.
#[derive(Debug)]
pub struct Progress {
    /// It grows while there is progress.
    pub count: usize,
    /// The observed state.
    pub state: String,
}

/// Like [`until`], for a condition that comes step by step: fails only if the count does not grow for `stall`. So it holds on a
/// machine of any speed, and still finds a stand-still.
///
/// # Errors
///
/// The count did not grow in time; the error has the name of the condition and the last observed state.
pub async fn while_growing<T>(
    what: &str,
    stall: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, Progress>,
) -> Result<T, TimedOut> {
    let mut most = None;
    loop {
        let step = until(what, stall, async || match probe().await {
            Ok(value) => Ok(Some(value)),
            Err(progress) if Some(progress.count) > most => {
                most = Some(progress.count);
                Ok(None)
            }
            Err(progress) => Err(progress.state),
        });
        if let Some(value) = step.await? {
            return Ok(value);
        }
        sleep(LONGEST_PAUSE).await;
    }
}

/// The result of a probe.
pub trait Observation {
    type Value;

    /// The value waited for.
    ///
    /// # Errors
    ///
    /// The condition is not true yet; the text is the observed state.
    fn value(self) -> Result<Self::Value, String>;
}

impl<T> Observation for Option<T> {
    type Value = T;

    fn value(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;

    fn value(self) -> Result<T, String> {
        self.map_err(|state| format!("{state:#}"))
    }
}

impl Observation for bool {
    type Value = ();

    fn value(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

/// A condition was not true in time.
#[derive(Debug)]
pub struct TimedOut {
    what: String,
    timeout: Duration,
    /// The last observed state; `None` if not even the first probe returned.
    last_seen: Option<String>,
}

impl Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            timeout,
            last_seen,
        } = self;
        write!(f, "waited {timeout:?} for {what}; ")?;
        match last_seen {
            Some(state) => write!(f, "last seen: {state}"),
            None => write!(f, "no probe answered"),
        }
    }
}

impl std::error::Error for TimedOut {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn probes_until_the_value_is_there() {
        let mut probes = 0;
        let value = until("three probes", Duration::from_secs(1), async || {
            probes += 1;
            if probes < 3 {
                Err(format!("{probes} probes"))
            } else {
                Ok("there")
            }
        })
        .await;
        assert_eq!(value.unwrap(), "there");
    }

    #[tokio::test(start_paused = true)]
    async fn time_out_reports_the_last_state_seen() {
        let error = until("an empty queue", Duration::from_secs(1), async || {
            Err::<(), _>("7 messages")
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 1s for an empty queue; last seen: 7 messages"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_growing_count_may_take_longer_than_the_timeout_and_a_stall_may_not() {
        let mut count = 0;
        let grown = while_growing("a hundred", Duration::from_secs(1), async || {
            sleep(Duration::from_millis(900)).await;
            count += 1;
            let state = count.to_string();
            if count == 100 {
                Ok(())
            } else {
                Err(Progress { count, state })
            }
        });
        assert!(grown.await.is_ok());
        let stalled = while_growing("more", Duration::from_secs(1), async || {
            Err::<(), _>(Progress {
                count: 7,
                state: "7 of 9".to_owned(),
            })
        });
        assert_eq!(
            stalled.await.unwrap_err().to_string(),
            "waited 1s for more; last seen: 7 of 9"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_bounded_too() {
        let error = until("an answer", Duration::from_secs(1), async || {
            std::future::pending::<bool>().await
        })
        .await
        .unwrap_err();
        assert_eq!(error.to_string(), "waited 1s for an answer; no probe answered");
    }
}
