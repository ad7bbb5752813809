//! Queues deliveries by key, so that those with the same key are processed one batch after another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// The waiting jobs by key. A key exists only while a task processes it: senders choose keys freely, so unused keys must not
/// accumulate.
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
    /// Appends a job to the queue of its key. True if no task processes the key; the caller must then start one.
    pub(super) fn add(&self, key: &str, job: T) -> bool {
        let mut waiting = self.lock();
        if let Some(jobs) = waiting.get_mut(key) {
            jobs.push_back(job);
            return false;
        }
        waiting.insert(key.to_owned(), VecDeque::from([job]));
        true
    }

    /// Takes up to `most` waiting jobs.
    pub(super) fn take(&self, key: &str, most: usize) -> Vec<T> {
        let mut waiting = self.lock();
        let Some(jobs) = waiting.get_mut(key) else {
            return Vec::new();
        };
        jobs.drain(..most.min(jobs.len())).collect()
    }

    /// Ends the processing of a key, unless a job waits. True if it ended; the next job then needs a new task.
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
    fn one_task_processes_a_key_which_is_removed_when_no_job_waits() {
        let coalescing = CoalescingQueue::default();
        assert!(coalescing.add("a", 1), "no task processes it yet");
        assert!(!coalescing.add("a", 2), "the first task processes it");
        assert!(coalescing.add("b", 9), "keys do not wait for one another");
        assert_eq!(coalescing.take("a", 1), [1]);
        assert!(!coalescing.end("a"), "one job waits");
        assert_eq!(coalescing.take("a", 5), [2]);
        assert!(coalescing.end("a"));
        assert_eq!(coalescing.lock().keys().collect::<Vec<_>>(), ["b"]);
        assert!(coalescing.add("a", 3), "the key is new again");
        assert_eq!(coalescing.take("a", 5), [3]);
    }
}
