//! How many requests are under way at once, and who goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Who goes first where several wait. Between check and cancel every moment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Finding out.
    Normal,
    /// The second reading, the cancel and what follows.
    High,
}

/// A bounded number of limiter.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimiter(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    free: usize,
    high: VecDeque<oneshot::Sender<Permit>>,
    normal: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to one request; given back when dropped.
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

    /// Waits for a permit. Dropping the wait loses nothing.
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
            .expect("hands are only dropped together with the queue, which we hold")
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
            // Who stopped waiting hands it back, and the next one gets it.
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
    async fn the_urgent_go_first_and_nothing_is_lost() {
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
            "the urgent one is first"
        );
        let second = urgent.now_or_never().unwrap();
        drop(second);
        // Handed over, and dropped before anybody looked.
        drop(ordinary);
        assert!(limiter.acquire(Priority::Normal).now_or_never().is_some());
        assert_eq!(lock(&limiter.0).free, 1);
    }
}
