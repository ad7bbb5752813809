use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a missing service is remembered, since a cluster may be upgraded.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Remembers whether the cluster has a service that not all releases have.
#[derive(Debug, Default)]
pub(super) struct OptionalService(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    available: bool,
    missing_until: Option<Instant>,
}

impl OptionalService {
    pub(super) fn is_missing(&self) -> bool {
        let seen = self.lock();
        !seen.available && seen.missing_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn was_available(&self) -> bool {
        self.lock().available
    }

    pub(super) fn remember_available(&self) {
        self.lock().available = true;
    }

    pub(super) fn remember_missing(&self) {
        self.lock().missing_until = Some(Instant::now() + REMEMBERED);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_missing_service_is_forgotten_and_an_available_one_is_not() {
        let service = OptionalService::default();
        assert!(!service.is_missing() && !service.was_available());
        service.remember_missing();
        assert!(service.is_missing());
        tokio::time::advance(REMEMBERED).await;
        assert!(!service.is_missing());
        service.remember_missing();
        service.remember_available();
        assert!(!service.is_missing() && service.was_available());
    }
}
