//! How many requests are under way at once, and who goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Who goes first where several wait. Between check and cancel every moment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Finding out.
    Ordinary,
    /// The second reading, the cancel and what follows.
    Urgent,
}

/// A bounded number of permits.
#[derive(Clone, Debug)]
pub(crate) struct Permits(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    free: usize,
    urgent: VecDeque<oneshot::Sender<Permit>>,
    ordinary: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to one request; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Mutex<Queue>>>);

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: count.max(1),
            urgent: VecDeque::new(),
            ordinary: VecDeque::new(),
        })))
    }

    /// Waits for a permit. Dropping the wait loses nothing.
    pub(crate) async fn acquire(&self, urgency: Urgency) -> Permit {
        let waiting = {
            let mut queue = lock(&self.0);
            if queue.free > 0 {
                queue.free -= 1;
                return Permit(Some(self.0.clone()));
            }
            let (hand, waiting) = oneshot::channel();
            match urgency {
                Urgency::Urgent => queue.urgent.push_back(hand),
                Urgency::Ordinary => queue.ordinary.push_back(hand),
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
                let next = queue.urgent.pop_front();
                let next = next.or_else(|| queue.ordinary.pop_front());
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
        let permits = Permits::new(1);
        let first = permits.acquire(Urgency::Ordinary).await;
        let mut ordinary = Box::pin(permits.acquire(Urgency::Ordinary));
        let mut given_up = Box::pin(permits.acquire(Urgency::Urgent));
        let mut urgent = Box::pin(permits.acquire(Urgency::Urgent));
        assert!((&mut ordinary).now_or_never().is_none());
        assert!((&mut given_up).now_or_never().is_none());
        assert!((&mut urgent).now_or_never().is_none());
        drop(given_up);

        drop(first);
        assert!(
            (&mut ordinary).now_or_never().is_none(),
            "the urgent one is first"
        );
        let second = urgent.now_or_never().unwrap();
        drop(second);
        // Handed over, and dropped before anybody looked.
        drop(ordinary);
        assert!(permits.acquire(Urgency::Ordinary).now_or_never().is_some());
        assert_eq!(lock(&permits.0).free, 1);
    }
}
