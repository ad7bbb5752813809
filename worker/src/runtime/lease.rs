//! Leases, held as long as something runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockstep_store::{Facts, Lease, Leases, StoreError};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::error_chain::chain;

/// The interval between tries to acquire a lease that another run holds.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Leases that are renewed until they are released or dropped. Dropped leases expire.
#[derive(Debug)]
pub struct HeldLeases {
    held: Vec<Lease>,
    leases: Arc<dyn Leases>,
    time: Duration,
    state: Arc<State>,
    /// Ends when this is dropped.
    renewal: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Fires when one of the leases is lost, or may be.
    lost: CancellationToken,
    /// An open transaction holds the rows of the leases: no other worker can acquire them, and a renewal would wait for it.
    in_transaction: AtomicBool,
    /// They were given back in a transaction.
    released: AtomicBool,
}

impl HeldLeases {
    /// Acquires all of these leases or none, waiting at most `wait` for other holders. `None` if that took too long.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn acquire(
        leases: Arc<dyn Leases>,
        names: impl IntoIterator<Item = String>,
        time: Duration,
        wait: Duration,
    ) -> Result<Option<Self>, StoreError> {
        // In one order, so that two runs never wait for one another.
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let until = Instant::now() + wait;
        loop {
            let start = Instant::now();
            if let Some(held) = all_or_none(&*leases, &names, time).await? {
                return Ok(Some(Self::renewed(leases, held, time, start)));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(ASK_AGAIN).await;
        }
    }

    fn renewed(leases: Arc<dyn Leases>, held: Vec<Lease>, time: Duration, since: Instant) -> Self {
        let state = Arc::<State>::default();
        let renewing = (!held.is_empty()).then(|| {
            let renew = renew(leases.clone(), held.clone(), time, since, state.clone());
            AbortOnDropHandle::new(tokio::spawn(renew))
        });
        Self {
            held,
            leases,
            time,
            state,
            renewal: renewing,
        }
    }

    /// The leases, as the store checks them.
    pub fn leases(&self) -> &[Lease] {
        &self.held
    }

    /// Whether all of them were still held when a transaction began.
    pub fn are_held(&self, facts: &Facts) -> bool {
        self.held.iter().all(|lease| facts.holds(lease))
    }

    /// Fires when a lease is lost, or when no renewal has succeeded for two thirds of its time. From then on nothing new is
    /// begun under it outside of the store.
    pub fn lost(&self) -> &CancellationToken {
        &self.state.lost
    }

    /// Renews them now. False if one is lost.
    ///
    /// # Errors
    /// See [`StoreError`]; the leases may be held or lost.
    pub async fn renew(&self) -> Result<bool, StoreError> {
        renew_all(&*self.leases, &self.held, self.time).await
    }

    /// A transaction holds them from now on, until the guard is dropped.
    pub(super) fn in_transaction(&self) -> InTransaction<'_> {
        self.state.in_transaction.store(true, Ordering::SeqCst);
        InTransaction(&self.state)
    }

    /// They were given back by a transaction.
    pub(super) fn note_released(&self) {
        self.state.released.store(true, Ordering::SeqCst);
    }

    /// Gives them back, unless a transaction did.
    pub async fn release(mut self) {
        self.renewal = None;
        if self.state.released.load(Ordering::SeqCst) {
            return;
        }
        for lease in &self.held {
            if let Err(error) = self.leases.release(lease).await {
                tracing::debug!(
                    lease = lease.name,
                    error = chain(&error),
                    "lease not released; it expires"
                );
            }
        }
    }
}

/// As long as a transaction holds the rows of leases.
#[derive(Debug)]
pub(super) struct InTransaction<'a>(&'a State);

impl Drop for InTransaction<'_> {
    fn drop(&mut self) {
        self.0.in_transaction.store(false, Ordering::SeqCst);
    }
}

async fn all_or_none(
    leases: &dyn Leases,
    names: &[String],
    time: Duration,
) -> Result<Option<Vec<Lease>>, StoreError> {
    let mut held = Vec::with_capacity(names.len());
    for name in names {
        match leases.acquire(name, time).await {
            Ok(Some(lease)) => held.push(lease),
            taken_or_failed => {
                for lease in &held {
                    // What is not given back expires.
                    let _ = leases.release(lease).await;
                }
                return taken_or_failed.map(|_| None);
            }
        }
    }
    Ok(Some(held))
}

async fn renew_all(leases: &dyn Leases, held: &[Lease], time: Duration) -> Result<bool, StoreError> {
    for lease in held {
        if !leases.renew(lease, time).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Renews at a third of the time, so that one failure does no harm. `renewed` is when the last renewal that succeeded was sent:
/// the lease holds at least until then plus its time, by whatever clock the store has.
async fn renew(
    leases: Arc<dyn Leases>,
    held: Vec<Lease>,
    time: Duration,
    mut renewed: Instant,
    state: Arc<State>,
) {
    let name = held.first().map_or("", |lease| lease.name.as_str());
    let mut pause = renewed + time / 3;
    loop {
        let renewal = async {
            sleep_until(pause).await;
            let sent = Instant::now();
            (sent, renew_all(&*leases, &held, time).await)
        };
        let ended = tokio::select! {
            biased;
            ended = renewal => Some(ended),
            () = sleep_until(renewed + time * 2 / 3) => None,
        };
        let in_transaction = state.in_transaction.load(Ordering::SeqCst);
        match ended {
            Some((sent, Ok(true))) => renewed = sent,
            _ if in_transaction => renewed = Instant::now(),
            Some((_, Ok(false))) => {
                tracing::warn!(lease = name, "lease lost");
                state.lost.cancel();
                return;
            }
            Some((_, Err(error))) => {
                tracing::warn!(lease = name, error = chain(&error), "lease not renewed");
            }
            None => {
                tracing::warn!(
                    lease = name,
                    "no renewal of the lease succeeded for two thirds of its time"
                );
                state.lost.cancel();
                return;
            }
        }
        pause = Instant::now() + time / 3;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::runtime::periodic_task::tests::FakeLeases;

    const TIME: Duration = Duration::from_secs(15);

    async fn held(leases: &Arc<FakeLeases>) -> HeldLeases {
        let names = ["test".to_owned()];
        let acquired = HeldLeases::acquire(leases.clone(), names, TIME, Duration::ZERO).await;
        acquired.unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_renewed_is_not_lost() {
        let leases = Arc::new(FakeLeases::default());
        let held = held(&leases).await;
        sleep(TIME * 20).await;
        assert!(!held.lost().is_cancelled());
        assert!(held.renew().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_renewal_for_two_thirds_of_its_time_a_lease_counts_as_lost() {
        let leases = Arc::new(FakeLeases::default());
        let held = held(&leases).await;
        leases.unavailable.store(true, Ordering::SeqCst);
        let began = Instant::now();
        held.lost().cancelled().await;
        assert_eq!(began.elapsed(), TIME * 2 / 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_another_worker_acquired_is_lost_with_the_next_renewal() {
        let leases = Arc::new(FakeLeases::default());
        let held = held(&leases).await;
        leases.steal();
        let began = Instant::now();
        held.lost().cancelled().await;
        assert_eq!(began.elapsed(), TIME / 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_transaction_keeps_a_lease_that_cannot_be_renewed() {
        let leases = Arc::new(FakeLeases::default());
        let held = held(&leases).await;
        leases.unavailable.store(true, Ordering::SeqCst);
        let transaction = held.in_transaction();
        sleep(TIME * 3).await;
        assert!(!held.lost().is_cancelled());
        drop(transaction);
        sleep(TIME).await;
        assert!(held.lost().is_cancelled());
    }
}
