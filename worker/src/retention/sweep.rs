use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Keep;
use super::keep::DELIVERY_ATTEMPTS;
use crate::runtime::{Leadership, PeriodicTask, chain};
use lockstep_clock::Clock;
use lockstep_store::{Records, Retention, StoreError};

/// Rows in one transaction.
const CHUNK: u32 = 5000;
/// How many times longer than a chunk took is the pause after it.
const PAUSE_TIMES: u32 = 3;
/// The shortest pause after a chunk in which something was deleted.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Deletes what is kept long enough.
#[derive(Clone, Debug)]
pub struct RetentionSweep {
    /// Where it is.
    pub store: Arc<dyn Retention>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How long things are kept.
    pub keep: Keep,
}

/// How many were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Inbox rows.
    pub inbox: u64,
    /// Causes.
    pub causes: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Starts of deliveries.
    pub delivery_attempts: u64,
    /// Whether the lease was lost on the way: then another process goes on.
    pub cut: bool,
}

impl RetentionSweep {
    /// One sweep over all there is. `deleted` also counts what was deleted before an error.
    ///
    /// # Errors
    /// See [`StoreError`]: the next sweep goes on.
    pub async fn sweep(&self, leadership: &Leadership<'_>, deleted: &mut Deleted) -> Result<(), StoreError> {
        let Keep {
            inbox,
            causes,
            dead_letters,
        } = self.keep;
        let mut goes_on = self
            .expire(
                &Records::DeadLetters,
                dead_letters,
                leadership,
                &mut deleted.dead_letters,
            )
            .await?;
        if goes_on {
            goes_on = self
                .expire(&Records::Inbox, inbox, leadership, &mut deleted.inbox)
                .await?;
        }
        if goes_on {
            // Once in a sweep: what is closed stays closed.
            let open = Records::Causes(Arc::new(self.store.open_causes().await?));
            goes_on = self
                .expire(&open, causes, leadership, &mut deleted.causes)
                .await?;
        }
        if goes_on {
            let starts = &mut deleted.delivery_attempts;
            goes_on = self
                .expire(&Records::DeliveryAttempts, DELIVERY_ATTEMPTS, leadership, starts)
                .await?;
        }
        deleted.cut = !goes_on;
        Ok(())
    }

    /// All old records of a kind, chunk by chunk. False if the lease was lost.
    async fn expire(
        &self,
        records: &Records,
        keep: Duration,
        leadership: &Leadership<'_>,
        count: &mut u64,
    ) -> Result<bool, StoreError> {
        let before = self.clock.now() - keep;
        let mut from = 0;
        loop {
            if !leadership.continues().await? {
                return Ok(false);
            }
            let began = Instant::now();
            let chunk = self.store.expire(records, before, from, CHUNK).await?;
            *count += chunk.deleted;
            let Some(next) = chunk.next else {
                return Ok(true);
            };
            from = next;
            tokio::time::sleep(pause(began.elapsed(), chunk.deleted)).await;
        }
    }
}

/// How long to leave the database to others after a chunk.
fn pause(took: Duration, deleted: u64) -> Duration {
    match deleted {
        0 => took,
        _ => (took * PAUSE_TIMES).max(SHORTEST_PAUSE),
    }
}

#[async_trait]
impl PeriodicTask for RetentionSweep {
    async fn run(&self, leadership: &Leadership<'_>) {
        let mut deleted = Deleted::default();
        let swept = self.sweep(leadership, &mut deleted).await;
        let Deleted {
            inbox,
            causes,
            dead_letters,
            delivery_attempts,
            cut,
        } = deleted;
        if inbox + causes + dead_letters + delivery_attempts > 0 {
            tracing::info!(
                inbox,
                causes,
                dead_letters,
                delivery_attempts,
                "deleted what was kept long enough"
            );
        }
        if cut {
            tracing::warn!("the lease was lost; another process goes on deleting");
        }
        if let Err(error) = swept {
            tracing::warn!(
                error = chain(&error),
                "cannot delete what is old; the next round goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;
    use crate::runtime::periodic_task_tests::{FakeLeases, held};
    use lockstep_store::{Expired, OpenCauses};

    /// What was asked: of what, before which second, from where.
    type Asked = (&'static str, i64, u64);

    #[derive(Clone, Copy, Debug)]
    enum ScriptedAnswer {
        /// So many deleted, and where the next chunk goes on.
        Chunk(u64, Option<u64>),
        Fails,
    }

    #[derive(Debug, Default)]
    struct FakeStore {
        asked: Mutex<Vec<Asked>>,
        answers: Mutex<VecDeque<ScriptedAnswer>>,
        /// The lease is lost in this chunk.
        loses: Option<(usize, Arc<FakeLeases>)>,
    }

    #[async_trait]
    impl Retention for FakeStore {
        async fn open_causes(&self) -> Result<OpenCauses, StoreError> {
            Ok(OpenCauses::default())
        }

        async fn expire(
            &self,
            records: &Records,
            before: Timestamp,
            from: u64,
            limit: u32,
        ) -> Result<Expired, StoreError> {
            assert_eq!(limit, CHUNK);
            let what = match records {
                Records::Inbox => "inbox",
                Records::Causes(_) => "causes",
                Records::DeadLetters => "dead letters",
                Records::DeliveryAttempts => "starts",
            };
            let mut asked = self.asked.lock().unwrap();
            asked.push((what, before.as_second(), from));
            if let Some((chunk, leases)) = &self.loses
                && *chunk == asked.len()
            {
                leases.steal();
            }
            let answer = self.answers.lock().unwrap().pop_front();
            match answer.unwrap_or(ScriptedAnswer::Chunk(0, None)) {
                ScriptedAnswer::Chunk(deleted, next) => Ok(Expired { deleted, next }),
                ScriptedAnswer::Fails => Err(StoreError::Unavailable {
                    operation: "expire",
                    source: "away".into(),
                }),
            }
        }
    }

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1_000_000).unwrap()
        }
    }

    fn sweep(store: &Arc<FakeStore>) -> RetentionSweep {
        RetentionSweep {
            store: store.clone(),
            clock: Arc::new(Noon),
            keep: Keep {
                inbox: Duration::from_secs(100),
                causes: Duration::from_secs(200),
                dead_letters: Duration::from_mins(5),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_swept_chunk_by_chunk_each_with_its_age() {
        let leases = Arc::<FakeLeases>::default();
        let lease = held(&leases).await;
        let store = Arc::new(FakeStore {
            answers: Mutex::new(
                [
                    ScriptedAnswer::Chunk(1, None),
                    ScriptedAnswer::Chunk(5000, Some(7)),
                    ScriptedAnswer::Chunk(20, Some(9)),
                    ScriptedAnswer::Chunk(2, None),
                ]
                .into(),
            ),
            ..FakeStore::default()
        });
        let mut deleted = Deleted::default();
        sweep(&store)
            .sweep(&Leadership::new(&lease), &mut deleted)
            .await
            .unwrap();
        let expected = [
            ("dead letters", 999_700, 0),
            ("inbox", 999_900, 0),
            ("inbox", 999_900, 7),
            ("inbox", 999_900, 9),
            ("causes", 999_800, 0),
            ("starts", 913_600, 0),
        ];
        assert_eq!(*store.asked.lock().unwrap(), expected);
        let expected = Deleted {
            inbox: 5022,
            dead_letters: 1,
            ..Deleted::default()
        };
        assert_eq!(deleted, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_ends_it_before_the_next_chunk_and_an_error_at_once() {
        let leases = Arc::<FakeLeases>::default();
        let lease = held(&leases).await;
        let store = Arc::new(FakeStore {
            answers: Mutex::new(
                [
                    ScriptedAnswer::Chunk(1, None),
                    ScriptedAnswer::Chunk(5000, Some(7)),
                ]
                .into(),
            ),
            loses: Some((2, leases.clone())),
            ..FakeStore::default()
        });
        let mut deleted = Deleted::default();
        sweep(&store)
            .sweep(&Leadership::new(&lease), &mut deleted)
            .await
            .unwrap();
        assert_eq!((deleted.inbox, deleted.cut), (5000, true));
        assert_eq!(store.asked.lock().unwrap().len(), 2);

        let leases = Arc::<FakeLeases>::default();
        let lease = held(&leases).await;
        let store = Arc::new(FakeStore {
            answers: Mutex::new(
                [
                    ScriptedAnswer::Chunk(1, None),
                    ScriptedAnswer::Chunk(5000, Some(7)),
                    ScriptedAnswer::Fails,
                ]
                .into(),
            ),
            ..FakeStore::default()
        });
        let mut deleted = Deleted::default();
        let error = sweep(&store).sweep(&Leadership::new(&lease), &mut deleted).await;
        assert!(matches!(error, Err(StoreError::Unavailable { .. })), "{error:?}");
        assert_eq!(
            (deleted.dead_letters, deleted.inbox, deleted.cut),
            (1, 5000, false)
        );
    }

    #[test]
    fn three_quarters_of_the_time_belong_to_others() {
        let millis = Duration::from_millis;
        for (took, deleted, expected) in [(5, 0, 5), (5, 1, 20), (40, 5000, 120), (0, 0, 0)] {
            assert_eq!(pause(millis(took), deleted), millis(expected), "{took} {deleted}");
        }
    }
}
