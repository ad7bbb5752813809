//! Poison-message detection: the store counts delivery attempts that began and did not end.
//!
//! An attempt begins when its decision runs, with all locks and leases that it needs: waiting is no start. A run lane counts
//! every start. A batched lane counts those of redelivered messages: such a message may have crashed its worker; usually it
//! did not, since its worker was stopped for another reason, or lost its connection. At first the message is still processed
//! with others, and from the next time on alone. After [`MOST_ATTEMPTS`] attempts without an end it is dead-lettered.
//!
//! A message that was postponed, or given back by an orderly stop, gives back this start and keeps those before it.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use lockstep_protocol::Code;
use lockstep_store::{AttemptStart, DeliveryAttempt, DeliveryAttempts};

use super::Settlement;
use super::intake::Received;
use super::lane::{Abandoned, LaneContext};
use crate::handlers::Rejection;

/// After so many attempts without an end a message is poison.
const MOST_ATTEMPTS: u32 = 5;

/// How long writing that attempts ended may take.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// How a message is to be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoisonCheck {
    /// With others.
    Shared,
    /// Alone.
    Isolated,
    /// Not at all: it is dead-lettered.
    Poison,
}

/// Which starts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// Those of redelivered messages: the first delivery costs nothing.
    Redeliveries,
    /// All. A postponed message comes back as a new delivery, so only this finds what kills its worker between postponements.
    Every,
}

impl PoisonCheck {
    /// The rule: `unfinished` is how many attempts began without an end.
    fn of(unfinished: u32, counting: Counting) -> Self {
        let shared = match counting {
            Counting::Redeliveries => 0,
            Counting::Every => 1,
        };
        match unfinished {
            MOST_ATTEMPTS.. => Self::Poison,
            unfinished if unfinished > shared => Self::Isolated,
            _ => Self::Shared,
        }
    }
}

/// A message, and what is known of earlier attempts at it.
#[derive(Clone, Debug)]
pub(super) struct Checked<'a> {
    pub(super) message: &'a Received,
    pub(super) check: PoisonCheck,
    /// The start of this attempt, if it is to be counted.
    pub(super) start: Option<AttemptStart>,
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
    /// How each message is to be processed.
    pub(super) async fn check_poison<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a Received>,
        counting: Counting,
    ) -> Result<Vec<Checked<'a>>, Abandoned> {
        let mut checked: Vec<Checked<'_>> = messages
            .into_iter()
            .map(|message| Checked {
                message,
                check: PoisonCheck::Shared,
                start: None,
            })
            .collect();
        let is_counted = |message: &Received| counting == Counting::Every || message.redelivered;
        let mut counted: Vec<&mut Checked<'_>> = checked
            .iter_mut()
            .filter(|checked| is_counted(checked.message))
            .collect();
        if counted.is_empty() {
            return Ok(checked);
        }
        let attempts: Vec<DeliveryAttempt> = counted.iter().map(|checked| attempt(checked.message)).collect();
        let unfinished = self
            .ask_store(|| self.delivery_attempts.unfinished(&attempts))
            .await?;
        for ((checked, attempt), unfinished) in counted.iter_mut().zip(attempts).zip(unfinished) {
            // A completed message is only answered.
            let Some(unfinished) = unfinished else { continue };
            checked.check = PoisonCheck::of(unfinished, counting);
            checked.start = Some(AttemptStart { attempt, unfinished });
        }
        Ok(checked)
    }

    /// Attempts begin, outside of a transaction.
    pub(super) async fn record_starts(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), Abandoned> {
        if starts.is_empty() {
            return Ok(());
        }
        self.ask_store(|| self.delivery_attempts.record(starts)).await
    }

    /// The attempts are over: counts of messages that ended are deleted; starts of the others are given back, also those of an
    /// abandoned delivery, which has no settlements. If that fails, a count stays one too high.
    pub(super) async fn end_attempts(&self, checked: &[Checked<'_>], settlements: Option<&[Settlement]>) {
        let mut ended: BTreeSet<DeliveryAttempt> = BTreeSet::new();
        let mut back: BTreeSet<AttemptStart> = BTreeSet::new();
        for (place, checked) in checked.iter().enumerate() {
            let Some(start) = checked.start.clone() else {
                continue;
            };
            let settlement = settlements.and_then(|settlements| settlements.get(place));
            if settlement.is_some_and(ends) {
                ended.insert(start.attempt);
            } else {
                back.insert(start);
            }
        }
        if !ended.is_empty() {
            let cleared = tokio::time::timeout(END_TIMEOUT, self.delivery_attempts.clear(&ended)).await;
            if !matches!(cleared, Ok(Ok(()))) {
                tracing::debug!(lane = %self.lane, attempts = ended.len(), "delivery attempts were not cleared");
            }
        }
        if !give_back(&*self.delivery_attempts, &back).await && self.cut_off.is_cancelled() {
            self.owed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(back);
        }
    }

    /// Gives back the starts that could not be given back while the store did not answer.
    pub(super) async fn give_back_owed(&self) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        give_back(&*self.delivery_attempts, &owed).await;
    }
}

/// Gives starts back: they waited, and neither ended nor crashed. If that fails, a count stays one too high, and this returns
/// false.
pub(super) async fn give_back(attempts: &dyn DeliveryAttempts, starts: &BTreeSet<AttemptStart>) -> bool {
    if starts.is_empty() {
        return true;
    }
    let given_back = tokio::time::timeout(END_TIMEOUT, attempts.give_back(starts)).await;
    let done = matches!(given_back, Ok(Ok(())));
    if !done {
        tracing::debug!(attempts = starts.len(), "delivery attempts were not given back");
    }
    done
}

/// Whether a settlement is the end of an attempt. A message that waits without an attempt spent keeps what was counted before.
fn ends(settlement: &Settlement) -> bool {
    match settlement {
        Settlement::Applied(_) | Settlement::Dead(_) | Settlement::Refused(_) | Settlement::Retry { .. } => {
            true
        }
        Settlement::Forward { .. }
        | Settlement::Postpone { .. }
        | Settlement::Waiting
        | Settlement::Claimed => false,
    }
}

fn attempt(message: &Received) -> DeliveryAttempt {
    DeliveryAttempt {
        message: message.key.clone(),
        redrive_count: message.redrive_count,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::topology::{Lane, RetryDelay};

    use super::*;

    #[test]
    fn five_attempts_without_an_end_make_a_message_poison() {
        use PoisonCheck::{Isolated, Poison, Shared};
        let rule = |counting| -> Vec<PoisonCheck> {
            (0..7)
                .map(|unfinished| PoisonCheck::of(unfinished, counting))
                .collect()
        };
        assert_eq!(
            rule(Counting::Redeliveries),
            [Shared, Isolated, Isolated, Isolated, Isolated, Poison, Poison]
        );
        assert_eq!(
            rule(Counting::Every),
            [Shared, Shared, Isolated, Isolated, Isolated, Poison, Poison]
        );
    }

    #[test]
    fn only_an_end_forgets_what_was_counted() {
        let delay = RetryDelay::Seconds5;
        assert!(ends(&Settlement::Retry {
            delay,
            attempt: 2,
            reason: String::new()
        }));
        for waits in [
            Settlement::Postpone { delay },
            Settlement::Waiting,
            Settlement::Forward { lane: Lane::Events },
        ] {
            assert!(!ends(&waits), "{waits:?}");
        }
    }
}
