//! Deliveries with the same key, which wait for one another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// What waits, by key. A key is there as long as somebody works it, and no longer: senders choose keys freely, and
/// those that are never seen again must cost nothing.
#[derive(Debug)]
pub(super) struct CoalescingQueue<T> {
    waiting: Mutex<HashMap<String, VecDeque<T>>>,
}

impl<T> Default for CoalescingQueue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<T> CoalescingQueue<T> {
    /// Lets a job wait for its turn. True if nobody works its key: then somebody has to begin.
    pub(super) fn add(&self, key: &str, job: T) -> bool {
        let mut waiting = self.lock();
        if let Some(jobs) = waiting.get_mut(key) {
            jobs.push_back(job);
            return false;
        }
        waiting.insert(key.to_owned(), VecDeque::from([job]));
        true
    }

    /// Takes what waits, at most so many.
    pub(super) fn take(&self, key: &str, most: usize) -> Vec<T> {
        let mut waiting = self.lock();
        let Some(jobs) = waiting.get_mut(key) else {
            return Vec::new();
        };
        jobs.drain(..most.min(jobs.len())).collect()
    }

    /// Ends the work on a key, unless something waits. True if it ended: the next job needs somebody to begin.
    pub(super) fn end(&self, key: &str) -> bool {
        let mut waiting = self.lock();
        let ended = waiting.get(key).is_none_or(VecDeque::is_empty);
        if ended {
            waiting.remove(key);
        }
        ended
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, VecDeque<T>>> {
        self.waiting
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_worked_by_one_and_forgotten_when_nothing_waits() {
        let coalescing = CoalescingQueue::default();
        assert!(coalescing.add("a", 1), "nobody works it");
        assert!(!coalescing.add("a", 2), "the first one sees to it");
        assert!(coalescing.add("b", 9), "keys do not wait for one another");
        assert_eq!(coalescing.take("a", 1), [1]);
        assert!(!coalescing.end("a"), "one waits");
        assert_eq!(coalescing.take("a", 5), [2]);
        assert!(coalescing.end("a"));
        assert_eq!(coalescing.lock().keys().collect::<Vec<_>>(), ["b"]);
        assert!(coalescing.add("a", 3), "it begins anew");
        assert_eq!(coalescing.take("a", 5), [3]);
    }
}
