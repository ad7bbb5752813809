//! Limits the concurrent requests, with two priorities.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The order of waiting requests. The time between the second reading and the cancel must be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// First readings and lists.
    Normal,
    /// The second reading, the cancel, and the checks after it.
    High,
}

/// Gives out a fixed number of permits.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimiter(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    free: usize,
    high: VecDeque<oneshot::Sender<Permit>>,
    normal: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to send one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Mutex<Queue>>>);

impl ConcurrencyLimiter {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: count.max(1),
            high: VecDeque::new(),
            normal: VecDeque::new(),
        })))
    }

    /// Waits for a permit. Cancel-safe.
    pub(crate) async fn acquire(&self, priority: Priority) -> Permit {
        let waiting = {
            let mut queue = lock(&self.0);
            if queue.free > 0 {
                queue.free -= 1;
                return Permit(Some(self.0.clone()));
            }
            let (sender, waiting) = oneshot::channel();
            match priority {
                Priority::High => queue.high.push_back(sender),
                Priority::Normal => queue.normal.push_back(sender),
            }
            waiting
        };
        waiting
            .await
            .expect("senders are dropped only with the queue, which this limiter holds")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else {
            return;
        };
        let mut permit = Self(Some(queue.clone()));
        loop {
            let next = {
                let mut queue = lock(&queue);
                let next = queue.high.pop_front();
                let next = next.or_else(|| queue.normal.pop_front());
                if next.is_none() {
                    queue.free += 1;
                }
                next
            };
            let Some(next) = next else {
                permit.0 = None;
                return;
            };
            // A waiter that was cancelled returns the permit, and the next one gets it.
            match next.send(permit) {
                Ok(()) => return,
                Err(back) => permit = back,
            }
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn high_priority_goes_first_and_no_permit_is_lost() {
        let limiter = ConcurrencyLimiter::new(1);
        let first = limiter.acquire(Priority::Normal).await;
        let mut ordinary = Box::pin(limiter.acquire(Priority::Normal));
        let mut dropped = Box::pin(limiter.acquire(Priority::High));
        let mut urgent = Box::pin(limiter.acquire(Priority::High));
        assert!((&mut ordinary).now_or_never().is_none());
        assert!((&mut dropped).now_or_never().is_none());
        assert!((&mut urgent).now_or_never().is_none());
        drop(dropped);

        drop(first);
        assert!(
            (&mut ordinary).now_or_never().is_none(),
            "the high priority goes first"
        );
        let second = urgent.now_or_never().unwrap();
        drop(second);
        // The permit was passed on, and the waiter is dropped without taking it.
        drop(ordinary);
        assert!(limiter.acquire(Priority::Normal).now_or_never().is_some());
        assert_eq!(lock(&limiter.0).free, 1);
    }
}
