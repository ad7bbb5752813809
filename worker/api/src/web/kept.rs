//! What many viewers share: it is read at most every few seconds, however many look.

use std::time::Duration;

use lockstep_http::ProblemResponse;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what was read is shown.
const FRESH: Duration = Duration::from_secs(5);

/// What was read last. Whether a viewer may see it is checked before.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Kept<T> {
    /// What was read last; if that is old, what `read` returns. Only one viewer reads; the others wait.
    pub(super) async fn get(
        &self,
        read: impl Future<Output = Result<T, ProblemResponse>>,
    ) -> Result<T, ProblemResponse> {
        let mut last = self.0.lock().await;
        if let Some((at, kept)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(kept.clone());
        }
        let fresh = read.await?;
        *last = Some((Instant::now(), fresh.clone()));
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_read_again_when_it_is_old_and_after_a_failure() {
        let kept = Kept::default();
        let read = async |number: u32| kept.get(async { Ok(number) }).await.ok();
        assert_eq!(read(1).await, Some(1));
        tokio::time::advance(FRESH / 2).await;
        assert_eq!(read(2).await, Some(1));
        tokio::time::advance(FRESH).await;
        let failed = kept.get(async { Err(ProblemResponse::internal()) }).await;
        assert!(failed.is_err());
        assert_eq!(read(3).await, Some(3));
    }
}
