use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Keep;
use super::keep::{DELIVERY_ATTEMPTS, HOUR_SAMPLES, LOGIN_SESSIONS, MINUTE_SAMPLES};
use crate::runtime::{Leadership, PeriodicTask, chain};
use lockstep_store::{Records, Retention, SampleInterval, Schema, StoreError};

/// The number of rows in one transaction.
const CHUNK: u32 = 5000;
/// The pause after a chunk, as a multiple of the duration of the chunk.
const PAUSE_TIMES: u32 = 3;
/// The shortest pause after a chunk that deleted rows.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Deletes expired records.
#[derive(Clone, Debug)]
pub struct RetentionSweep {
    /// The store with the records.
    pub store: Arc<dyn Retention>,
    /// Gives the time from which ages are computed: a worker's wrong clock deletes nothing early.
    pub schema: Arc<dyn Schema>,
    /// How long records are kept.
    pub keep: Keep,
}

/// The numbers of deleted records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Deleted inbox rows.
    pub inbox: u64,
    /// Deleted causes.
    pub causes: u64,
    /// Deleted dead letters.
    pub dead_letters: u64,
    /// Deleted delivery attempts.
    pub delivery_attempts: u64,
    /// Deleted executions and elements.
    pub executions: u64,
    /// Deleted former hostnames.
    pub former_hostnames: u64,
    /// Deleted links that were removed before.
    pub removed_links: u64,
    /// Deleted management domains that were removed before.
    pub removed_management_domains: u64,
    /// Deleted entries of the history of devices.
    pub device_history: u64,
    /// Elements of syncs whose large texts were removed.
    pub sync_texts: u64,
    /// Deleted sessions of browsers.
    pub login_sessions: u64,
    /// Deleted entries of the audit.
    pub audit: u64,
    /// Deleted samples of the fleet, of minutes.
    pub minute_samples: u64,
    /// Deleted samples of the fleet, of hours.
    pub hour_samples: u64,
    /// Whether the sweep ended early, because the leadership was lost.
    pub cut: bool,
}

impl RetentionSweep {
    /// Runs one sweep over all records. `deleted` also counts what was deleted before an error.
    ///
    /// # Errors
    /// See [`StoreError`]; the next sweep tries again.
    pub async fn sweep(&self, leadership: &Leadership<'_>, deleted: &mut Deleted) -> Result<(), StoreError> {
        let Keep {
            inbox,
            causes,
            dead_letters,
            executions,
            sync_texts,
            audit,
        } = self.keep;
        let mut continues = self
            .expire(
                &Records::DeadLetters,
                dead_letters,
                leadership,
                &mut deleted.dead_letters,
            )
            .await?;
        if continues {
            // Read once in a sweep, because a closed cause is never opened again, and new ones are younger than what expires.
            let open = Arc::new(self.store.open_causes().await?);
            continues = self
                .expire(
                    &Records::Inbox(open.clone()),
                    inbox,
                    leadership,
                    &mut deleted.inbox,
                )
                .await?
                && self
                    .expire(&Records::Causes(open), causes, leadership, &mut deleted.causes)
                    .await?;
        }
        if continues {
            let attempts = &mut deleted.delivery_attempts;
            continues = self
                .expire(
                    &Records::DeliveryAttempts,
                    DELIVERY_ATTEMPTS,
                    leadership,
                    attempts,
                )
                .await?;
        }
        if continues {
            let count = &mut deleted.executions;
            continues = self
                .expire(&Records::Executions, executions, leadership, count)
                .await?;
        }
        for (records, keep, count) in [
            (Records::FormerHostnames, inbox, &mut deleted.former_hostnames),
            (Records::RemovedLinks, inbox, &mut deleted.removed_links),
            (
                Records::RemovedManagementDomains,
                inbox,
                &mut deleted.removed_management_domains,
            ),
            (Records::DeviceHistory, causes, &mut deleted.device_history),
            (Records::SyncTexts, sync_texts, &mut deleted.sync_texts),
            (
                Records::LoginSessions,
                LOGIN_SESSIONS,
                &mut deleted.login_sessions,
            ),
            (Records::Audit, audit, &mut deleted.audit),
            (
                Records::FleetSamples(SampleInterval::Minute),
                MINUTE_SAMPLES,
                &mut deleted.minute_samples,
            ),
            (
                Records::FleetSamples(SampleInterval::Hour),
                HOUR_SAMPLES,
                &mut deleted.hour_samples,
            ),
        ] {
            continues = continues && self.expire(&records, keep, leadership, count).await?;
        }
        deleted.cut = !continues;
        Ok(())
    }

    /// Deletes all expired records of a kind, chunk by chunk. False if the leadership was lost.
    async fn expire(
        &self,
        records: &Records,
        keep: Duration,
        leadership: &Leadership<'_>,
        count: &mut u64,
    ) -> Result<bool, StoreError> {
        let before = self.schema.now().await? - keep;
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

/// The pause after a chunk, in which the database is free for the lanes.
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
            executions,
            former_hostnames,
            removed_links,
            removed_management_domains,
            device_history,
            sync_texts,
            login_sessions,
            audit,
            minute_samples,
            hour_samples,
            cut,
        } = deleted;
        let of_devices = former_hostnames + removed_links + removed_management_domains + device_history;
        let of_people = login_sessions + audit;
        let samples = minute_samples + hour_samples;
        if inbox
            + causes
            + dead_letters
            + delivery_attempts
            + executions
            + of_devices
            + sync_texts
            + of_people
            + samples
            > 0
        {
            tracing::info!(
                inbox,
                causes,
                dead_letters,
                delivery_attempts,
                executions,
                former_hostnames,
                removed_links,
                removed_management_domains,
                device_history,
                sync_texts,
                login_sessions,
                audit,
                samples,
                "expired records deleted"
            );
        }
        if cut {
            tracing::warn!("leadership lost; another process continues to delete expired records");
        }
        if let Err(error) = swept {
            tracing::warn!(
                error = chain(&error),
                "cannot delete expired records; the next sweep tries again"
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
    use lockstep_store::{Expired, Migrated, OpenCauses};

    /// A call of `expire`: the kind of records, the second before which they expire, and the start.
    type Call = (&'static str, i64, u64);

    #[derive(Clone, Copy, Debug)]
    enum ScriptedAnswer {
        /// The number of deleted rows, and the start of the next chunk.
        Chunk(u64, Option<u64>),
        Fails,
    }

    #[derive(Debug, Default)]
    struct FakeStore {
        calls: Mutex<Vec<Call>>,
        answers: Mutex<VecDeque<ScriptedAnswer>>,
        /// The number of the chunk in which the lease is lost.
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
                Records::Inbox(_) => "inbox",
                Records::Causes(_) => "causes",
                Records::DeadLetters => "dead letters",
                Records::DeliveryAttempts => "delivery attempts",
                Records::Executions => "executions",
                Records::FormerHostnames => "former hostnames",
                Records::RemovedLinks => "removed links",
                Records::RemovedManagementDomains => "removed management domains",
                Records::DeviceHistory => "device history",
                Records::SyncTexts => "texts of syncs",
                Records::LoginSessions => "login sessions",
                Records::Audit => "audit",
                Records::FleetSamples(SampleInterval::Minute) => "samples of minutes",
                Records::FleetSamples(SampleInterval::Hour) => "samples of hours",
            };
            let mut calls = self.calls.lock().unwrap();
            calls.push((what, before.as_second(), from));
            if let Some((chunk, leases)) = &self.loses
                && *chunk == calls.len()
            {
                leases.steal();
            }
            let answer = self.answers.lock().unwrap().pop_front();
            match answer.unwrap_or(ScriptedAnswer::Chunk(0, None)) {
                ScriptedAnswer::Chunk(deleted, next) => Ok(Expired { deleted, next }),
                ScriptedAnswer::Fails => Err(StoreError::Unavailable {
                    operation: "expire",
                    source: "no connection".into(),
                }),
            }
        }
    }

    #[derive(Debug)]
    struct Noon;

    #[async_trait]
    impl Schema for Noon {
        async fn migrate(&self) -> Result<Migrated, StoreError> {
            unreachable!("the sweep does not ask")
        }

        async fn ping(&self) -> Result<(), StoreError> {
            unreachable!("the sweep does not ask")
        }

        async fn now(&self) -> Result<Timestamp, StoreError> {
            Ok(Timestamp::from_second(1_000_000).unwrap())
        }
    }

    fn sweep(store: &Arc<FakeStore>) -> RetentionSweep {
        RetentionSweep {
            store: store.clone(),
            schema: Arc::new(Noon),
            keep: Keep {
                inbox: Duration::from_secs(100),
                causes: Duration::from_secs(200),
                dead_letters: Duration::from_mins(5),
                executions: Duration::from_secs(400),
                sync_texts: Duration::from_secs(350),
                audit: Duration::from_secs(500),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_record_is_deleted_chunk_by_chunk_at_its_age() {
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
            ("delivery attempts", 913_600, 0),
            ("executions", 999_600, 0),
            ("former hostnames", 999_900, 0),
            ("removed links", 999_900, 0),
            ("removed management domains", 999_900, 0),
            ("device history", 999_800, 0),
            ("texts of syncs", 999_650, 0),
            ("login sessions", 913_600, 0),
            ("audit", 999_500, 0),
            ("samples of minutes", 827_200, 0),
            ("samples of hours", -30_536_000, 0),
        ];
        assert_eq!(*store.calls.lock().unwrap(), expected);
        let expected = Deleted {
            inbox: 5022,
            dead_letters: 1,
            ..Deleted::default()
        };
        assert_eq!(deleted, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_ends_the_sweep_before_the_next_chunk_and_an_error_at_once() {
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
        assert_eq!(store.calls.lock().unwrap().len(), 2);

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
    fn the_pause_after_a_chunk_that_deleted_rows_is_three_times_its_duration() {
        let millis = Duration::from_millis;
        for (took, deleted, expected) in [(5, 0, 5), (5, 1, 20), (40, 5000, 120), (0, 0, 0)] {
            assert_eq!(pause(millis(took), deleted), millis(expected), "{took} {deleted}");
        }
    }
}
