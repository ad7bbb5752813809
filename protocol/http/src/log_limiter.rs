use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The lines that are written in a window.
const LINES: u32 = 10;
/// How long it takes until the next `LINES` lines may be written.
const WINDOW: Duration = Duration::from_mins(1);

/// Limits the lines in the log that anybody can cause: ten each minute. The others are counted.
#[derive(Debug, Default)]
pub struct LogLimiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    window: Option<Instant>,
    written: u32,
    omitted: u64,
}

impl LogLimiter {
    /// Whether a line may be written now; with the number of lines that were omitted before it.
    pub fn line(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.window.is_none_or(|began| now - began >= WINDOW) {
            state.window = Some(now);
            state.written = 0;
        }
        if state.written >= LINES {
            state.omitted += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_lines_a_minute_are_written_and_the_others_counted() {
        let limiter = LogLimiter::default();
        let lines = |count: usize| (0..count).filter_map(|_| limiter.line()).collect::<Vec<_>>();
        assert_eq!(lines(1000), [0; 10]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(lines(5), [990, 0, 0, 0, 0]);
        assert_eq!(lines(7), [0; 5]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(lines(1), [2]);
    }
}
