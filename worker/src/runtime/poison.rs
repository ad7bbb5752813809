//! Messages that kill their workers: found by the store, which remembers what began and never ended.
//!
//! A redelivered message is suspect, and mostly innocent: its worker was killed for another one, or lost its connection. The
//! first time it is worked with the others, its start noted. If it comes again and that start never ended, it is worked
//! alone, each start noted right before. After [`MOST_STARTS`] without an end it is dead.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep_protocol::Code;

use super::backoff::Backoff;
use super::intake::Received;
use super::lane::{Abandoned, LaneContext, chain};
use crate::handlers::Rejection;
use lockstep_store::{DeliveryAttempt, StoreError};

/// After so many starts without an end a message is dead.
const MOST_STARTS: u32 = 5;

/// How long the store may take to forget.
const FORGETTING: Duration = Duration::from_secs(2);

/// How a message is to be worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoisonCheck {
    /// With others.
    Together,
    /// By itself, its start noted first.
    Alone,
    /// Not at all: it is dead.
    Poison,
}

impl PoisonCheck {
    /// The rule: `begun` is how often it began without an end.
    fn of(begun: u32) -> Self {
        match begun {
            0 => Self::Together,
            1..MOST_STARTS => Self::Alone,
            _ => Self::Poison,
        }
    }
}

/// Why poison is dead.
pub(super) fn poison() -> Rejection {
    let reason = format!(
        "the work on it began {MOST_STARTS} times and never ended: it seems to end the process of its worker; \
         requeue it after the worker's log told why and that is mended"
    );
    Rejection::new(Code::Crashed, "$", reason)
}

impl LaneContext {
    /// How each message is to be worked. The starts of redelivered ones that are worked together are noted.
    pub(super) async fn check_poison(&self, messages: &[&Received]) -> Result<Vec<PoisonCheck>, Abandoned> {
        let redelivered: Vec<DeliveryAttempt> = messages
            .iter()
            .filter(|message| message.redelivered)
            .map(|message| start(message))
            .collect();
        if redelivered.is_empty() {
            return Ok(vec![PoisonCheck::Together; messages.len()]);
        }
        let begun = self
            .patiently(async || self.starts.begun(&redelivered).await)
            .await?;
        let note: BTreeSet<DeliveryAttempt> = redelivered
            .iter()
            .zip(&begun)
            .filter(|(_, begun)| **begun == Some(0))
            .map(|(start, _)| start.clone())
            .collect();
        self.note(note).await?;
        let mut begun = begun.into_iter();
        let checks = messages.iter().map(|message| {
            let begun = if message.redelivered {
                begun.next().flatten()
            } else {
                None
            };
            // What ended needs no suspicion: it is only answered.
            PoisonCheck::of(begun.unwrap_or(0))
        });
        Ok(checks.collect())
    }

    /// Notes that the work on a message begins alone.
    pub(super) async fn note_start(&self, message: &Received) -> Result<(), Abandoned> {
        self.note([start(message)].into()).await
    }

    async fn note(&self, starts: BTreeSet<DeliveryAttempt>) -> Result<(), Abandoned> {
        if starts.is_empty() {
            return Ok(());
        }
        let starts: Vec<DeliveryAttempt> = starts.into_iter().collect();
        self.patiently(|| self.starts.note(&starts)).await
    }

    /// Forgets the starts of these, which ended, were postponed or are given back. If that fails, they are a little more
    /// suspect than they deserve.
    pub(super) async fn forget_starts(&self, messages: &[&Received]) {
        let starts: BTreeSet<DeliveryAttempt> = messages
            .iter()
            .filter(|message| message.redelivered)
            .map(|message| start(message))
            .collect();
        if starts.is_empty() {
            return;
        }
        let starts: Vec<DeliveryAttempt> = starts.into_iter().collect();
        let forgotten = tokio::time::timeout(FORGETTING, self.starts.forget(&starts)).await;
        if !matches!(forgotten, Ok(Ok(()))) {
            tracing::debug!(lane = %self.lane, starts = starts.len(), "starts are not forgotten");
        }
    }

    /// Asks the store for as long as it takes.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Abandoned>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut away = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            let answer = tokio::select! {
                biased;
                () = self.abandon.cancelled() => return Err(Abandoned),
                answer = ask() => answer,
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tracing::warn!(lane = %self.lane, error = chain(&error), "store away; the lane holds what it has");
                    self.wait(&mut away).await?;
                }
            }
        }
    }
}

fn start(message: &Received) -> DeliveryAttempt {
    DeliveryAttempt {
        identity: message.identity.clone(),
        redrive_count: message.redrive_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_starts_without_an_end_are_enough() {
        let expected = [
            PoisonCheck::Together,
            PoisonCheck::Alone,
            PoisonCheck::Alone,
            PoisonCheck::Alone,
            PoisonCheck::Alone,
            PoisonCheck::Poison,
            PoisonCheck::Poison,
        ];
        let rule: Vec<PoisonCheck> = (0..7).map(PoisonCheck::of).collect();
        assert_eq!(rule, expected);
    }
}
