//! Computes the wait between two tries: exponential backoff with jitter, so that workers do not retry at the same time.

use std::time::Duration;

use rand::RngExt;

/// Doubles from `first` to `longest`, with 25 % of jitter.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// How long to wait before the next try.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.longest);
        wait.mul_f64(rand::rng().random_range(0.75..1.25))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let waits: Vec<u128> = (0..4).map(|_| backoff.next().as_millis()).collect();
        for (wait, middle) in waits.into_iter().zip([100, 200, 300, 300]) {
            assert!(
                wait * 4 >= middle * 3 && wait * 4 <= middle * 5 + 4,
                "{wait} is not about {middle}"
            );
        }
    }
}
