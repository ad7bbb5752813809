//! Exponential back-off with jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Short, since a broker that is back waits for this long at most; many workers share the load by the jitter.
const LONGEST: Duration = Duration::from_secs(2);

/// A connection or consumer that worked for this long resets the back-off.
pub(super) const HEALTHY: Duration = Duration::from_secs(30);

/// Delays that double from 100 ms to 2 s. Each is shortened by a random part of up to one half, so that workers that lost
/// the same broker do not reconnect at the same instant.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next delay.
    pub(super) fn wait(&mut self) -> Duration {
        self.jittered(rand::random())
    }

    /// Starts again with the shortest delay.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next delay; `chance` is in 0..1.
    fn jittered(&mut self, chance: f64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        full.mul_f64(1.0 - chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_can_be_reset() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..9).map(|_| backoff.jittered(0.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.jittered(0.0).as_millis(), 100);
    }

    #[test]
    fn jitter_shortens_a_delay_by_at_most_half() {
        for (chance, expected) in [(0.0, 100), (0.5, 75), (1.0, 50)] {
            assert_eq!(Backoff::new().jittered(chance).as_millis(), expected);
        }
    }
}
