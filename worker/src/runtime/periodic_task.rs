//! Work that is done now and then by one process of all.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::HeldLease;
use super::lane::chain;
use lockstep_store::{Leases, StoreError};

/// How long a process holds the lease without a sign of life: so long the others wait for one that died.
const LEASE_TIME: Duration = Duration::from_secs(15);
/// The longest wait for the first round.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// How long giving back the lease may take: what is not given back runs out.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// What is done in a round.
#[async_trait]
pub trait PeriodicTask: Debug + Send + Sync + 'static {
    /// Does what is due, in small steps: before each it asks whether it may go on. Dropping the future is harmless. What
    /// fails is logged and left to the next round.
    async fn round(&self, leadership: &Leadership<'_>);
}

/// The right to a round.
#[derive(Clone, Copy, Debug)]
pub struct Leadership<'a>(&'a HeldLease);

impl<'a> Leadership<'a> {
    /// As long as this lease is held.
    pub fn new(lease: &'a HeldLease) -> Self {
        Self(lease)
    }

    /// Whether the next step may be taken: the lease is held, and now for longer.
    ///
    /// # Errors
    /// The store cannot tell.
    pub async fn goes_on(&self) -> Result<bool, StoreError> {
        self.0.renew().await
    }
}

/// Rounds under a lease. One process does them, the others stand by. Never more than one is under way: the next begins a
/// pause after the last one ended.
#[derive(Clone, Debug)]
pub struct PeriodicTaskRunner {
    /// Where the lease is.
    pub leases: Arc<dyn Leases>,
    /// Its name.
    pub name: &'static str,
    /// How long to pause between two rounds.
    pub every: Duration,
}

impl PeriodicTaskRunner {
    /// Goes on until `stop`, which also cuts off a round.
    pub async fn run(self, round: &dyn PeriodicTask, stop: CancellationToken) {
        let mut held = None;
        // In no step with other workers.
        let mut pause = self
            .every
            .min(FIRST_PAUSE)
            .mul_f64(rand::rng().random_range(0.1..1.0));
        while let Some(()) = stop.run_until_cancelled(tokio::time::sleep(pause)).await {
            if stop
                .run_until_cancelled(self.once(&mut held, round))
                .await
                .is_none()
            {
                break;
            }
            pause = self.every.mul_f64(rand::rng().random_range(0.9..1.1));
        }
        if let Some(held) = held {
            let _ = tokio::time::timeout(GIVING_BACK, held.release()).await;
        }
    }

    async fn once(&self, held: &mut Option<HeldLease>, round: &dyn PeriodicTask) {
        match self.leadership(held).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(
                    lease = self.name,
                    error = chain(&error),
                    "the store is away; the next round tries again"
                );
                return;
            }
        }
        if let Some(held) = held {
            round.round(&Leadership::new(held)).await;
        }
    }

    /// Holds the lease, if nobody else does. It is kept between rounds.
    async fn leadership(&self, held: &mut Option<HeldLease>) -> Result<(), StoreError> {
        if let Some(lease) = held {
            if lease.renew().await? {
                return Ok(());
            }
            *held = None;
        }
        let leases = self.leases.clone();
        *held = HeldLease::acquire(leases, self.name, LEASE_TIME, Duration::ZERO).await?;
        if let Some(held) = held {
            tracing::info!(
                lease = self.name,
                fence = held.lease().fence,
                "this process does the rounds"
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
        pub(crate) away: std::sync::atomic::AtomicBool,
    }

    impl FakeLeases {
        fn check(&self) -> Result<(), StoreError> {
            if self.away.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable {
                    operation: "lease",
                    source: "away".into(),
                });
            }
            Ok(())
        }

        /// Takes it away from whoever has it.
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
    pub(crate) async fn held(leases: &Arc<FakeLeases>) -> HeldLease {
        let acquired = HeldLease::acquire(leases.clone(), "test", LEASE_TIME, Duration::ZERO).await;
        acquired.unwrap().unwrap()
    }

    /// Counts its rounds, each of which takes a while.
    #[derive(Debug, Default)]
    struct Counted {
        periodic_task: AtomicU32,
        under_way: AtomicU32,
        takes: Duration,
    }

    #[async_trait]
    impl PeriodicTask for Arc<Counted> {
        async fn round(&self, _hold: &Leadership<'_>) {
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            tokio::time::sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.periodic_task.fetch_add(1, Ordering::SeqCst);
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
        let periodic_task = PeriodicTaskRunner {
            leases: leases.clone(),
            name: "test",
            every: Duration::from_mins(1),
        };
        let (round, stop) = (counted.clone(), stop.clone());
        let task = tokio::spawn(async move { periodic_task.run(&round, stop).await });
        (counted, task)
    }

    const SECONDS: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_does_the_rounds_and_the_next_one_goes_on_when_it_stops() {
        let leases = Arc::new(FakeLeases::default());
        let (first_stop, second_stop) = (CancellationToken::new(), CancellationToken::new());
        let (first, first_task) = begin(&leases, SECONDS, &first_stop);
        // The first one has begun by now, whatever its pause.
        tokio::time::sleep(Duration::from_secs(61)).await;
        let (second, _task) = begin(&leases, SECONDS, &second_stop);
        tokio::time::sleep(Duration::from_mins(10)).await;
        let done = first.periodic_task.load(Ordering::SeqCst);
        assert!((9..=12).contains(&done), "{done}");
        assert_eq!(second.periodic_task.load(Ordering::SeqCst), 0);
        first_stop.cancel();
        first_task.await.unwrap();
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(first.periodic_task.load(Ordering::SeqCst), done);
        assert!(second.periodic_task.load(Ordering::SeqCst) >= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_waited_for_and_a_lost_lease_is_acquired_anew() {
        let leases = Arc::new(FakeLeases::default());
        leases.away.store(true, Ordering::SeqCst);
        let stop = CancellationToken::new();
        let (counted, _task) = begin(&leases, SECONDS, &stop);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(counted.periodic_task.load(Ordering::SeqCst), 0);
        leases.away.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_mins(3)).await;
        let before = counted.periodic_task.load(Ordering::SeqCst);
        assert!(before >= 2, "{before}");
        leases.steal();
        tokio::time::sleep(Duration::from_mins(3)).await;
        let meanwhile = counted.periodic_task.load(Ordering::SeqCst);
        assert!(meanwhile <= before + 1, "{meanwhile} after {before}");
        leases.free();
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert!(counted.periodic_task.load(Ordering::SeqCst) > meanwhile);
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_takes_long_delays_the_next_one_and_ends_on_stop() {
        let leases = Arc::new(FakeLeases::default());
        let stop = CancellationToken::new();
        let (counted, task) = begin(&leases, Duration::from_mins(10), &stop);
        tokio::time::sleep(Duration::from_mins(25)).await;
        let periodic_task = counted.periodic_task.load(Ordering::SeqCst);
        assert!((1..=2).contains(&periodic_task), "{periodic_task}");
        stop.cancel();
        tokio::time::timeout(SECONDS, task).await.unwrap().unwrap();
    }
}
