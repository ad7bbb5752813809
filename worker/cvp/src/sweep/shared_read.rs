use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// A value that concurrent callers read together. Each caller gets a reading that began after its call.
#[derive(Debug)]
pub(super) struct SharedRead<T> {
    /// How many readings began.
    begun: AtomicU64,
    /// The last reading and its number; locked during a reading.
    last: Mutex<Option<(u64, Option<Arc<T>>)>>,
}

impl<T> Default for SharedRead<T> {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }
}

impl<T> SharedRead<T> {
    /// Returns a reading that began after this call; `None` if it failed.
    pub(super) async fn get<E>(&self, read: impl AsyncFnOnce() -> Result<T, E>) -> Option<Arc<T>> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((number, value)) = &*last
            && *number > asked
        {
            return value.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let value = read().await.ok().map(Arc::new);
        *last = Some((number, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readings_are_shared_and_none_began_before_it_was_asked_for() {
        let (shared, reads) = (SharedRead::default(), AtomicU64::new(0));
        let start = Instant::now();
        let ask = async |at: u64| {
            sleep(Duration::from_millis(at)).await;
            let asked = Instant::now();
            let read = async || {
                reads.fetch_add(1, Ordering::SeqCst);
                let began = Instant::now();
                sleep(Duration::from_millis(50)).await;
                Ok::<_, ()>(began)
            };
            let began = *shared.get(read).await.unwrap();
            assert!(
                began >= asked,
                "asked {:?} began {:?}",
                asked - start,
                began - start
            );
        };
        join_all((0..100).map(ask)).await;
        // One from 0 to 50 ms, one for the calls during it, one for the calls during that.
        assert_eq!(reads.load(Ordering::SeqCst), 3);
    }
}
