use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an absence is believed: clusters are upgraded.
const BELIEVED: Duration = Duration::from_mins(10);

/// Whether a service that not all releases have is there, as far as was seen.
#[derive(Debug, Default)]
pub(super) struct Presence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    present: bool,
    absent_until: Option<Instant>,
}

impl Presence {
    pub(super) fn is_absent(&self) -> bool {
        let seen = self.lock();
        !seen.present && seen.absent_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn was_present(&self) -> bool {
        self.lock().present
    }

    pub(super) fn remember_presence(&self) {
        self.lock().present = true;
    }

    pub(super) fn remember_absence(&self) {
        self.lock().absent_until = Some(Instant::now() + BELIEVED);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_absence_ends_and_a_presence_does_not() {
        let presence = Presence::default();
        assert!(!presence.is_absent() && !presence.was_present());
        presence.remember_absence();
        assert!(presence.is_absent());
        tokio::time::advance(BELIEVED).await;
        assert!(!presence.is_absent());
        presence.remember_absence();
        presence.remember_presence();
        assert!(!presence.is_absent() && presence.was_present());
    }
}
