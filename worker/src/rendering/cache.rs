use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Values by key, each loaded once at a time. When all together need more than the bound, those that were not used for longest go; the last
/// one stays in any case.
#[derive(Debug)]
pub(super) struct Cache<T> {
    /// The most bytes.
    most: usize,
    /// The least recently used first.
    entries: Mutex<VecDeque<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    key: String,
    value: Arc<OnceCell<Loaded<T>>>,
}

/// A value with its size in bytes.
#[derive(Debug)]
struct Loaded<T> {
    value: Arc<T>,
    bytes: usize,
}

impl<T> Cache<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::default(),
        }
    }

    /// The value of a key. `load` gives it with its size in bytes, if nobody has loaded it; what fails is tried again by the next caller.
    pub(super) async fn get<E>(
        &self,
        key: &str,
        load: impl Future<Output = Result<(T, usize), E>>,
    ) -> Result<Arc<T>, E> {
        let cell = self.cell(key);
        let loaded = cell.get_or_try_init(|| async {
            let (value, bytes) = load.await?;
            Ok(Loaded {
                value: Arc::new(value),
                bytes,
            })
        });
        let value = loaded.await?.value.clone();
        self.evict();
        Ok(value)
    }

    /// The cell of a key, which is the most recently used one then.
    fn cell(&self, key: &str) -> Arc<OnceCell<Loaded<T>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.iter().position(|entry| entry.key == key);
        let entry = known
            .and_then(|place| entries.remove(place))
            .unwrap_or_else(|| Entry {
                key: key.to_owned(),
                value: Arc::default(),
            });
        let cell = entry.value.clone();
        entries.push_back(entry);
        cell
    }

    fn evict(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |entry: &Entry<T>| entry.value.get().map_or(0, |loaded| loaded.bytes);
        let mut total: usize = entries.iter().map(bytes).sum();
        while total > self.most && entries.len() > 1 {
            let Some(oldest) = entries.pop_front() else { return };
            total = total.saturating_sub(bytes(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_was_not_used_for_longest_goes_when_the_bound_is_exceeded() {
        let cache = Cache::new(10);
        let loads = AtomicUsize::new(0);
        let get = async |key: &str, bytes: usize| {
            let load = async {
                loads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>((key.to_owned(), bytes))
            };
            let value = cache.get(key, load).await.unwrap();
            assert_eq!(*value, key);
            loads.load(Ordering::Relaxed)
        };
        assert_eq!(get("a", 4).await, 1);
        assert_eq!(get("b", 4).await, 2);
        assert_eq!(get("a", 4).await, 2, "kept");
        assert_eq!(get("c", 4).await, 3);
        assert_eq!(get("a", 4).await, 3, "used more recently than b");
        assert_eq!(get("b", 4).await, 4, "evicted");
        assert_eq!(get("d", 100).await, 5);
        assert_eq!(get("d", 100).await, 5, "the last one stays");
        assert_eq!(get("a", 4).await, 6);
    }

    #[tokio::test]
    async fn many_callers_load_once_and_a_failure_is_tried_again() {
        let cache = Cache::<u8>::new(10);
        let failed = cache
            .get("a", async { Err::<(u8, usize), _>("unavailable") })
            .await;
        assert_eq!(failed.unwrap_err(), "unavailable");
        let loads = AtomicUsize::new(0);
        let load = || async {
            tokio::task::yield_now().await;
            loads.fetch_add(1, Ordering::Relaxed);
            Ok::<_, &str>((7, 1))
        };
        let (one, other) = tokio::join!(cache.get("a", load()), cache.get("a", load()));
        assert_eq!((*one.unwrap(), *other.unwrap(), loads.into_inner()), (7, 7, 1));
    }
}
