//! Periodic tasks of which one process of all runs each: leader election by a lease.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_store::{Leases, StoreError};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::HeldLeases;
use super::error_chain::chain;

/// How long a leader keeps the lease without renewing it, at least and at most: so long the others wait for one that crashed. It is three
/// pauses between two runs, so that frequent tasks go on soon.
const LEASE_TIME: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// The longest wait for the first run.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// How long giving back the lease may take: otherwise it expires.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Something that is done now and then by one process of all.
#[async_trait]
pub trait PeriodicTask: Debug + Send + Sync + 'static {
    /// Does what is due, in small steps, and asks before each whether the leadership continues. Cancellation-safe: the future
    /// may be dropped at any point. Failures are logged and left to the next run.
    async fn run(&self, leadership: &Leadership<'_>);
}

/// The right to run a periodic task.
#[derive(Clone, Copy, Debug)]
pub struct Leadership<'a>(&'a HeldLeases);

impl<'a> Leadership<'a> {
    /// As long as this lease is held.
    pub fn new(lease: &'a HeldLeases) -> Self {
        Self(lease)
    }

    /// Renews the lease. True if the next step may be taken.
    ///
    /// # Errors
    /// The store is unavailable; the lease may be held or lost.
    pub async fn continues(&self) -> Result<bool, StoreError> {
        self.0.renew().await
    }
}

/// Runs a periodic task under a lease: one process is the leader, the others stand by. Runs never overlap: the next one begins
/// a pause after the last one ended.
#[derive(Clone, Debug)]
pub struct PeriodicTaskRunner {
    /// Keeps the lease.
    pub leases: Arc<dyn Leases>,
    /// The name of the task and of its lease.
    pub name: Cow<'static, str>,
    /// The pause between two runs.
    pub every: Duration,
}

impl PeriodicTaskRunner {
    /// Goes on until `stop`, which also ends a run that is under way.
    pub async fn run(self, task: &dyn PeriodicTask, stop: CancellationToken) {
        let mut held = None;
        // The first pause is random, so that workers that start together do not run together.
        let mut pause = self
            .every
            .min(FIRST_PAUSE)
            .mul_f64(rand::rng().random_range(0.1..1.0));
        while let Some(()) = stop.run_until_cancelled(tokio::time::sleep(pause)).await {
            let once = self.run_once(&mut held, task);
            if stop.run_until_cancelled(once).await.is_none() {
                break;
            }
            pause = self.every.mul_f64(rand::rng().random_range(0.9..1.1));
        }
        if let Some(held) = held {
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, held.release()).await;
        }
    }

    async fn run_once(&self, held: &mut Option<HeldLeases>, task: &dyn PeriodicTask) {
        if let Err(error) = self.lead(held).await {
            tracing::warn!(
                lease = &*self.name,
                error = chain(&error),
                "the store is unavailable; the next run tries again"
            );
            return;
        }
        if let Some(held) = held {
            task.run(&Leadership::new(held)).await;
        }
    }

    /// Acquires the lease, unless another process holds it. It is kept between runs.
    async fn lead(&self, held: &mut Option<HeldLeases>) -> Result<(), StoreError> {
        if let Some(lease) = held {
            if lease.renew().await? {
                return Ok(());
            }
            *held = None;
        }
        let names = [self.name.clone().into_owned()];
        let [shortest, longest] = LEASE_TIME;
        let time = (self.every * 3).clamp(shortest, longest);
        *held = HeldLeases::acquire(self.leases.clone(), names, time, Duration::ZERO).await?;
        if let Some(lease) = held.as_ref().and_then(|held| held.leases().first()) {
            tracing::info!(
                lease = &*self.name,
                fence = lease.fence,
                "this process is the leader of the periodic task"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use lockstep_store::Lease;

    /// One lease, on tokio's clock.
    #[derive(Debug, Default)]
    pub(crate) struct FakeLeases {
        held: Mutex<Option<(Lease, Instant)>>,
        pub(crate) unavailable: std::sync::atomic::AtomicBool,
    }

    impl FakeLeases {
        fn check(&self) -> Result<(), StoreError> {
            if self.unavailable.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable {
                    operation: "lease",
                    source: "no connection".into(),
                });
            }
            Ok(())
        }

        /// Gives the lease to another process.
        pub(crate) fn steal(&self) {
            let mut held = self.held.lock().unwrap();
            let fence = held.as_ref().map_or(0, |(lease, _)| lease.fence) + 1;
            let lease = Lease {
                name: "stolen".to_owned(),
                owner: Uuid::new_v4(),
                fence,
            };
            *held = Some((lease, Instant::now() + Duration::from_hours(1)));
        }

        fn free(&self) {
            self.held.lock().unwrap().as_mut().unwrap().1 = Instant::now();
        }
    }

    #[async_trait]
    impl Leases for FakeLeases {
        async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError> {
            self.check()?;
            let mut held = self.held.lock().unwrap();
            if held.as_ref().is_some_and(|(_, until)| *until > Instant::now()) {
                return Ok(None);
            }
            let lease = Lease {
                name: name.to_owned(),
                owner: Uuid::new_v4(),
                fence: held.as_ref().map_or(0, |(lease, _)| lease.fence) + 1,
            };
            *held = Some((lease.clone(), Instant::now() + time));
            Ok(Some(lease))
        }

        async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
            self.check()?;
            let mut held = self.held.lock().unwrap();
            match held.as_mut() {
                Some((current, until)) if current == lease && *until > Instant::now() => {
                    *until = Instant::now() + time;
                    Ok(true)
                }
                _ => Ok(false),
            }
        }

        async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
            self.check()?;
            let mut held = self.held.lock().unwrap();
            if let Some((current, until)) = held.as_mut()
                && current == lease
            {
                *until = Instant::now();
            }
            Ok(())
        }
    }

    /// A lease that is held.
    pub(crate) async fn held(leases: &Arc<FakeLeases>) -> HeldLeases {
        let acquired =
            HeldLeases::acquire(leases.clone(), ["test".to_owned()], LEASE_TIME[1], Duration::ZERO).await;
        acquired.unwrap().unwrap()
    }

    /// Counts its runs, each of which takes a while.
    #[derive(Debug, Default)]
    struct Counted {
        runs: AtomicU32,
        under_way: AtomicU32,
        takes: Duration,
    }

    #[async_trait]
    impl PeriodicTask for Arc<Counted> {
        async fn run(&self, _leadership: &Leadership<'_>) {
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            tokio::time::sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.runs.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn begin(
        leases: &Arc<FakeLeases>,
        takes: Duration,
        stop: &CancellationToken,
    ) -> (Arc<Counted>, tokio::task::JoinHandle<()>) {
        let counted = Arc::new(Counted {
            takes,
            ..Counted::default()
        });
        let runner = PeriodicTaskRunner {
            leases: leases.clone(),
            name: "test".into(),
            every: Duration::from_mins(1),
        };
        let (counting, stop) = (counted.clone(), stop.clone());
        let task = tokio::spawn(async move { runner.run(&counting, stop).await });
        (counted, task)
    }

    const SECONDS: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_process_leads_and_the_next_one_takes_over_when_it_stops() {
        let leases = Arc::new(FakeLeases::default());
        let (first_stop, second_stop) = (CancellationToken::new(), CancellationToken::new());
        let (first, first_task) = begin(&leases, SECONDS, &first_stop);
        // The first one has begun by now, whatever its pause.
        tokio::time::sleep(Duration::from_secs(61)).await;
        let (second, _task) = begin(&leases, SECONDS, &second_stop);
        tokio::time::sleep(Duration::from_mins(10)).await;
        let done = first.runs.load(Ordering::SeqCst);
        assert!((9..=12).contains(&done), "{done}");
        assert_eq!(second.runs.load(Ordering::SeqCst), 0);
        first_stop.cancel();
        first_task.await.unwrap();
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(first.runs.load(Ordering::SeqCst), done);
        assert!(second.runs.load(Ordering::SeqCst) >= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_store_is_waited_for_and_a_lost_lease_is_acquired_again() {
        let leases = Arc::new(FakeLeases::default());
        leases.unavailable.store(true, Ordering::SeqCst);
        let stop = CancellationToken::new();
        let (counted, _task) = begin(&leases, SECONDS, &stop);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(counted.runs.load(Ordering::SeqCst), 0);
        leases.unavailable.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_mins(3)).await;
        let before = counted.runs.load(Ordering::SeqCst);
        assert!(before >= 2, "{before}");
        leases.steal();
        tokio::time::sleep(Duration::from_mins(3)).await;
        let meanwhile = counted.runs.load(Ordering::SeqCst);
        assert!(meanwhile <= before + 1, "{meanwhile} after {before}");
        leases.free();
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert!(counted.runs.load(Ordering::SeqCst) > meanwhile);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_run_delays_the_next_one_and_ends_on_stop() {
        let leases = Arc::new(FakeLeases::default());
        let stop = CancellationToken::new();
        let (counted, task) = begin(&leases, Duration::from_mins(10), &stop);
        tokio::time::sleep(Duration::from_mins(25)).await;
        let runs = counted.runs.load(Ordering::SeqCst);
        assert!((1..=2).contains(&runs), "{runs}");
        stop.cancel();
        tokio::time::timeout(SECONDS, task).await.unwrap().unwrap();
    }
}
