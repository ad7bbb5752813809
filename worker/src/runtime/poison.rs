//! Poison-message detection: the store counts delivery attempts that began and did not end.
//!
//! A redelivered message may have crashed its worker; usually it did not: its worker was stopped for another reason, or lost its
//! connection. The first time it is processed with others, and the attempt is recorded. If it is redelivered again before
//! that attempt ended, it is processed alone, each attempt recorded right before. After [`MOST_ATTEMPTS`] attempts without an
//! end it is dead-lettered.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep_protocol::Code;
use lockstep_store::DeliveryAttempt;

use super::intake::Received;
use super::lane::{Abandoned, LaneContext};
use crate::handlers::Rejection;

/// After so many attempts without an end a message is poison.
const MOST_ATTEMPTS: u32 = 5;

/// How long deleting the counts may take.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(2);

/// How a message is to be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoisonCheck {
    /// With others.
    Shared,
    /// Alone; the attempt is recorded first.
    Isolated,
    /// Not at all: it is dead-lettered.
    Poison,
}

impl PoisonCheck {
    /// The rule: `unfinished` is how many attempts began without an end.
    fn of(unfinished: u32) -> Self {
        match unfinished {
            0 => Self::Shared,
            1..MOST_ATTEMPTS => Self::Isolated,
            _ => Self::Poison,
        }
    }
}

/// Why a poison message is dead-lettered.
pub(super) fn poison() -> Rejection {
    let reason = format!(
        "its processing began {MOST_ATTEMPTS} times and never ended: it seems to crash its worker; check the worker's \
         log, fix the cause, then requeue it"
    );
    Rejection::new(Code::Crashed, "$", reason)
}

impl LaneContext {
    /// How each message is to be processed. Records an attempt for the redelivered messages that are processed with others.
    pub(super) async fn check_poison(&self, messages: &[&Received]) -> Result<Vec<PoisonCheck>, Abandoned> {
        let redelivered: Vec<DeliveryAttempt> = redelivered(messages).collect();
        if redelivered.is_empty() {
            return Ok(vec![PoisonCheck::Shared; messages.len()]);
        }
        let unfinished = self
            .ask_store(async || self.delivery_attempts.unfinished(&redelivered).await)
            .await?;
        let first: BTreeSet<DeliveryAttempt> = redelivered
            .iter()
            .zip(&unfinished)
            .filter(|(_, unfinished)| **unfinished == Some(0))
            .map(|(attempt, _)| attempt.clone())
            .collect();
        self.record(first).await?;
        let mut unfinished = unfinished.into_iter();
        let checks = messages.iter().map(|message| {
            // A completed message is only answered.
            let unfinished = message.redelivered.then(|| unfinished.next().flatten()).flatten();
            PoisonCheck::of(unfinished.unwrap_or(0))
        });
        Ok(checks.collect())
    }

    /// Records that a message is about to be processed alone.
    pub(super) async fn record_attempt(&self, message: &Received) -> Result<(), Abandoned> {
        self.record([attempt(message)].into()).await
    }

    async fn record(&self, attempts: BTreeSet<DeliveryAttempt>) -> Result<(), Abandoned> {
        if attempts.is_empty() {
            return Ok(());
        }
        let attempts: Vec<DeliveryAttempt> = attempts.into_iter().collect();
        self.ask_store(|| self.delivery_attempts.record(&attempts)).await
    }

    /// Deletes the counts of messages that ended, were postponed or are given back. If that fails, they keep a count that is
    /// one too high.
    pub(super) async fn clear_attempts(&self, messages: &[&Received]) {
        let attempts: BTreeSet<DeliveryAttempt> = redelivered(messages).collect();
        if attempts.is_empty() {
            return;
        }
        let attempts: Vec<DeliveryAttempt> = attempts.into_iter().collect();
        let cleared = tokio::time::timeout(CLEAR_TIMEOUT, self.delivery_attempts.clear(&attempts)).await;
        if !matches!(cleared, Ok(Ok(()))) {
            tracing::debug!(lane = %self.lane, attempts = attempts.len(), "delivery attempts were not cleared");
        }
    }
}

fn redelivered(messages: &[&Received]) -> impl Iterator<Item = DeliveryAttempt> {
    let redelivered = messages.iter().filter(|message| message.redelivered);
    redelivered.map(|message| attempt(message))
}

fn attempt(message: &Received) -> DeliveryAttempt {
    DeliveryAttempt {
        message: message.key.clone(),
        redrive_count: message.redrive_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_attempts_without_an_end_make_a_message_poison() {
        let expected = [
            PoisonCheck::Shared,
            PoisonCheck::Isolated,
            PoisonCheck::Isolated,
            PoisonCheck::Isolated,
            PoisonCheck::Isolated,
            PoisonCheck::Poison,
            PoisonCheck::Poison,
        ];
        let rule: Vec<PoisonCheck> = (0..7).map(PoisonCheck::of).collect();
        assert_eq!(rule, expected);
    }
}
