//! The elements that run on this worker: until when they belong to it, and who is told to stop.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lockstep_store::{ElementOwner, RenewedElements};
use lockstep_telemetry::executions::RunningMetrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::element::Why;

/// Tells a running element to stop.
#[derive(Debug, Default)]
pub(super) struct Told {
    cancel: CancellationToken,
    why: OnceLock<Why>,
}

impl Told {
    /// Tells it, for this reason. The first reason counts.
    pub(super) fn tell(&self, why: Why) {
        let _ = self.why.set(why);
        self.cancel.cancel();
    }

    /// Fires when it is told.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The reason, if it was told.
    pub(super) fn why(&self) -> Option<Why> {
        self.why.get().copied()
    }
}

/// The running elements of this worker, and its places for them.
#[derive(Debug)]
pub(super) struct Running {
    total: usize,
    places: Arc<Semaphore>,
    elements: Mutex<BTreeMap<u64, Entry>>,
    metrics: RunningMetrics,
}

#[derive(Debug)]
struct Entry {
    attempt: u32,
    owner: ElementOwner,
    /// Until when it belongs to this worker at least.
    until: Instant,
    /// When it was added, after the commit of its claim.
    added: Instant,
    told: Arc<Told>,
    /// Whether its provider ended, and its end waits for its commit.
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Running {
    pub(super) fn new(places: usize) -> Self {
        Self {
            total: places,
            places: Arc::new(Semaphore::new(places)),
            elements: Mutex::default(),
            metrics: RunningMetrics::new(),
        }
    }

    /// Waits for a free place, and returns how many there are.
    pub(super) async fn free(&self) -> usize {
        // It is never closed.
        let place = self.places.acquire().await;
        self.places.available_permits() + usize::from(place.is_ok())
    }

    /// Waits until all places are free.
    pub(super) async fn none(&self) {
        let all = u32::try_from(self.total).unwrap_or(u32::MAX);
        // It is never closed.
        let _ = self.places.acquire_many(all).await;
    }

    /// An element begins. `None` if there is no place, or this attempt is known.
    pub(super) fn add(
        &self,
        number: u64,
        attempt: u32,
        owner: ElementOwner,
        until: Instant,
    ) -> Option<Arc<Told>> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let told = Arc::<Told>::default();
        let entry = Entry {
            attempt,
            owner,
            until,
            added: Instant::now(),
            told: told.clone(),
            ended: false,
            _place: place,
        };
        let mut elements = self.lock();
        // An older attempt whose lease was lost still ends here: it is told, and forgotten.
        if let Some(older) = elements.insert(number, entry) {
            older.told.tell(Why::Lost);
        }
        self.metrics.set(elements.len());
        Some(told)
    }

    /// The provider of an element ended: it can no longer be told to stop.
    pub(super) fn ended(&self, number: u64, attempt: u32) {
        if let Some(entry) = self
            .lock()
            .get_mut(&number)
            .filter(|entry| entry.attempt == attempt)
        {
            entry.ended = true;
        }
    }

    /// An element does not run here any more.
    pub(super) fn remove(&self, number: u64, attempt: u32) {
        let mut elements = self.lock();
        if elements
            .get(&number)
            .is_some_and(|entry| entry.attempt == attempt)
        {
            elements.remove(&number);
        }
        self.metrics.set(elements.len());
    }

    /// The owners of the elements.
    pub(super) fn owners(&self) -> HashSet<ElementOwner> {
        self.lock().values().map(|entry| entry.owner).collect()
    }

    /// A renewal that was sent at this time found this.
    pub(super) fn renewed(
        &self,
        owner: ElementOwner,
        sent: Instant,
        lease: Duration,
        found: &RenewedElements,
    ) {
        let held: BTreeSet<u64> = found.held.iter().copied().collect();
        let mut elements = self.lock();
        for (number, entry) in elements.iter_mut().filter(|(_, entry)| entry.owner == owner) {
            if held.contains(number) {
                entry.until = sent + lease;
            } else if entry.added < sent {
                entry.told.tell(Why::Lost);
            }
        }
        for stop in &found.stop {
            if let Some(entry) = elements.get(&stop.number) {
                entry.told.tell(Why::Halted(stop.halt));
            }
        }
    }

    /// Tells the elements to stop whose time is nearly over because no renewal succeeded.
    pub(super) fn tell_overdue(&self, now: Instant, lease: Duration) -> usize {
        let elements = self.lock();
        let overdue = elements
            .values()
            .filter(|entry| !entry.ended && entry.until < now + lease / 3);
        overdue.map(|entry| entry.told.tell(Why::Lost)).count()
    }

    /// Tells all elements to stop.
    pub(super) fn tell_all(&self, why: Why) {
        for entry in self.lock().values() {
            entry.told.tell(why);
        }
    }

    /// How many elements run here.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.elements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use lockstep_store::{Halt, StoppedElement};
    use uuid::Uuid;

    use super::*;

    const LEASE: Duration = Duration::from_secs(9);
    const SECOND: Duration = Duration::from_secs(1);

    fn found(held: &[u64], stop: &[u64]) -> RenewedElements {
        let stop = stop.iter().map(|number| StoppedElement {
            number: *number,
            halt: Halt::Cancelled,
        });
        RenewedElements {
            stop: stop.collect(),
            held: held.to_vec(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_element_is_told_to_stop_when_its_lease_is_lost_or_its_execution_is_cancelled() {
        let running = Running::new(4);
        let owner = ElementOwner(Uuid::nil());
        let begun = Instant::now();
        let add = |number| running.add(number, 1, owner, begun + LEASE).unwrap();
        let (kept, cancelled, lost) = (add(1), add(2), add(3));
        assert_eq!(running.places.available_permits(), 1);
        tokio::time::advance(SECOND).await;
        let sent = Instant::now();
        // Claimed before the renewal was sent, and known only after it: the renewal did not see it.
        let claimed = add(4);
        running.renewed(owner, sent, LEASE, &found(&[1, 2, 9], &[2]));
        assert_eq!((kept.why(), claimed.why()), (None, None));
        assert_eq!(cancelled.why(), Some(Why::Halted(Halt::Cancelled)));
        assert_eq!(lost.why(), Some(Why::Lost));
        running.remove(3, 2);
        assert_eq!(running.len(), 4, "another attempt");
        running.remove(3, 1);
        assert_eq!(running.free().await, 1);
        cancelled.tell(Why::WorkerStops);
        assert_eq!(
            cancelled.why(),
            Some(Why::Halted(Halt::Cancelled)),
            "the first reason counts"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_renewal_all_are_told_before_others_may_begin_them() {
        let running = Running::new(4);
        let owner = ElementOwner(Uuid::nil());
        let begun = Instant::now();
        let told = running.add(1, 1, owner, begun + LEASE).unwrap();
        let ended = running.add(2, 1, owner, begun + LEASE).unwrap();
        running.ended(2, 1);
        tokio::time::advance(LEASE * 2 / 3).await;
        assert_eq!(running.tell_overdue(Instant::now(), LEASE), 0);
        tokio::time::advance(SECOND).await;
        assert_eq!(running.tell_overdue(Instant::now(), LEASE), 1);
        assert_eq!((told.why(), ended.why()), (Some(Why::Lost), None));
    }
}
