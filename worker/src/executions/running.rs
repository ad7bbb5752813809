//! The elements that run on this worker: until when they belong to it, and who is told to stop.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lockstep_store::{ElementOwner, RenewedElements};
use lockstep_telemetry::executions::RunningMetrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::element_end::Why;

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
    /// One for each element that ended, and whose end waits for its commit. While one is left, an element that ends frees its place at
    /// once; so the ends in memory are bounded.
    uncommitted: Arc<Semaphore>,
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
    place: OwnedSemaphorePermit,
}

/// Places that are taken for elements before they are claimed.
#[derive(Debug)]
pub(super) struct Places(OwnedSemaphorePermit);

impl Places {
    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.0.num_permits()
    }
}

impl Running {
    pub(super) fn new(places: usize) -> Self {
        Self {
            total: places,
            places: Arc::new(Semaphore::new(places)),
            uncommitted: Arc::new(Semaphore::new(places)),
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

    /// Waits for so many free places, at most all, and takes them.
    pub(super) async fn take(&self, places: usize) -> Places {
        let places = u32::try_from(places.min(self.total)).unwrap_or(u32::MAX);
        let taken = self.places.clone().acquire_many_owned(places).await;
        Places(taken.expect("it is never closed"))
    }

    /// Takes places that are free now, at most so many. `None` if there is none, or somebody waits for them.
    pub(super) fn take_free(&self, most: usize) -> Option<Places> {
        let free = self.places.available_permits().min(most);
        let places = u32::try_from(free).ok().filter(|places| *places > 0)?;
        self.places
            .clone()
            .try_acquire_many_owned(places)
            .ok()
            .map(Places)
    }

    /// Waits until all places are free, and all ends are committed.
    pub(super) async fn none(&self) {
        let all = u32::try_from(self.total).unwrap_or(u32::MAX);
        // They are never closed.
        let _places = self.places.acquire_many(all).await;
        let _committed = self.uncommitted.acquire_many(all).await;
    }

    /// An element begins at one of these places. `None` if none is left.
    pub(super) fn add(
        &self,
        places: &mut Places,
        number: u64,
        attempt: u32,
        owner: ElementOwner,
        until: Instant,
    ) -> Option<Arc<Told>> {
        let place = places.0.split(1)?;
        let told = Arc::<Told>::default();
        let entry = Entry {
            attempt,
            owner,
            until,
            added: Instant::now(),
            told: told.clone(),
            ended: false,
            place,
        };
        let mut elements = self.lock();
        // An older attempt whose lease was lost still ends here: it is told, and forgotten.
        if let Some(older) = elements.insert(number, entry) {
            older.told.tell(Why::Lost);
        }
        self.metrics.set(elements.len());
        Some(told)
    }

    /// The provider of an element ended: it can no longer be told to stop, and its place is free for another one.
    pub(super) fn ended(&self, number: u64, attempt: u32) {
        if let Some(entry) = self
            .lock()
            .get_mut(&number)
            .filter(|entry| entry.attempt == attempt)
        {
            entry.ended = true;
            if let Ok(uncommitted) = self.uncommitted.clone().try_acquire_owned() {
                entry.place = uncommitted;
            }
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
        let mut places = running.take(4).await;
        let mut add = |number| running.add(&mut places, number, 1, owner, begun + LEASE).unwrap();
        let (kept, cancelled, lost) = (add(1), add(2), add(3));
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
        let mut places = running.take(2).await;
        let told = running.add(&mut places, 1, 1, owner, begun + LEASE).unwrap();
        let ended = running.add(&mut places, 2, 1, owner, begun + LEASE).unwrap();
        assert!(running.add(&mut places, 3, 1, owner, begun + LEASE).is_none());
        running.ended(2, 1);
        tokio::time::advance(LEASE * 2 / 3).await;
        assert_eq!(running.tell_overdue(Instant::now(), LEASE), 0);
        tokio::time::advance(SECOND).await;
        assert_eq!(running.tell_overdue(Instant::now(), LEASE), 1);
        assert_eq!((told.why(), ended.why()), (Some(Why::Lost), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_when_the_element_ended_as_long_as_few_ends_wait_for_their_commit() {
        let running = Running::new(2);
        let owner = ElementOwner(Uuid::nil());
        let until = Instant::now() + LEASE;
        for numbers in [[1, 2], [3, 4]] {
            let mut places = running.take(2).await;
            assert!(running.take_free(1).is_none());
            for number in numbers {
                running.add(&mut places, number, 1, owner, until).unwrap();
            }
            assert_eq!(places.left(), 0);
            for number in numbers {
                running.ended(number, 1);
            }
        }
        // Four ends are in memory: the two of the second pair keep their places.
        assert!(running.take_free(2).is_none());
        running.remove(3, 1);
        assert_eq!(running.take_free(2).map(|places| places.left()), Some(1));
        for number in [1, 2, 4] {
            running.remove(number, 1);
        }
        running.none().await;
        assert_eq!(running.len(), 0);
    }
}
