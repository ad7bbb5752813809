//! A run lane on the embedded bus, with a runner whose behaviour the test defines.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Delivery};
use lockstep_clock::SystemClock;
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::results::{EventApplied, IgnoredReason, Outcome, Scope};
use lockstep_protocol::topology::{Lane, Queue, Topology};
use lockstep_protocol::{Command, Envelope, Message, WorkResult};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{DeadLetter, DeadLetterQuery, DeadLetters, Schema};
use lockstep_testbed::wait;
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{
    Attempt, RunContext, RunEnd, RunLaneOptions, Runner, WorkerContext, WorkerOptions, run,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::system::load::{envelope, outgoing};
use crate::system::records::Records;
use crate::system::{Oracle, PATIENCE};

/// Retry delays are a thousandth of the real ones: the longest is 600 ms.
const RETRY_DELAY_SCALE: f64 = 0.001;

/// The key of messages without a repository.
pub(crate) const ALONE: &str = "alone";

type Script = Box<dyn Fn(Run) -> BoxFuture<'static, Vec<RunEnd>> + Send + Sync>;

/// One call of the runner.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Number of earlier calls.
    pub(crate) number: usize,
    pub(crate) attempts: Vec<Attempt>,
}

impl Run {
    /// Applies all messages of the run.
    pub(crate) fn applied(&self) -> Vec<RunEnd> {
        vec![applied(); self.attempts.len()]
    }

    fn key(&self) -> &str {
        name(&self.attempts[0].envelope.message).unwrap_or(ALONE)
    }

    /// The ids of the messages in the run.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.attempts
            .iter()
            .map(|attempt| attempt.key.identity.id.as_str())
            .collect()
    }
}

/// A runner that calls the function of the test and records its runs.
pub(crate) struct Scripted {
    script: Script,
    runs: Mutex<Vec<Run>>,
    running: AtomicUsize,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new<F>(script: impl Fn(Run) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Vec<RunEnd>> + Send + 'static,
    {
        Arc::new(Self {
            script: Box::new(move |run| Box::pin(script(run))),
            runs: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    pub(crate) fn runs(&self) -> Vec<Run> {
        self.runs.lock().expect("no panic").clone()
    }

    /// Key and number of messages of each run so far.
    pub(crate) fn sizes(&self) -> Vec<(String, usize)> {
        let runs = self.runs();
        runs.iter()
            .map(|run| (run.key().to_owned(), run.attempts.len()))
            .collect()
    }

    /// The attempt numbers of a message, in order.
    pub(crate) fn numbers(&self, message: &Envelope) -> Vec<u32> {
        let attempts = self.runs().into_iter().flat_map(|run| run.attempts);
        attempts
            .filter(|attempt| attempt.key.identity == message.identity)
            .map(|attempt| attempt.number)
            .collect()
    }

    /// Waits until this number of runs is active at once.
    pub(crate) async fn running(&self, count: usize) -> Result<()> {
        wait::until("runs under way", PATIENCE, async || {
            match self.running.load(Ordering::SeqCst) {
                running if running == count => Ok(()),
                running => Err(format!("{running} are, {:?}", self.sizes())),
            }
        })
        .await?;
        Ok(())
    }
}

/// Counts a run as active until it is dropped, however the run ends.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn name(message: &Message) -> Option<&str> {
    match message {
        Message::Command(Command::RepositoryRefreshRequested(command)) => Some(command.repository.as_str()),
        _ => None,
    }
}

#[async_trait]
impl Runner for Scripted {
    fn key(&self, message: &Message) -> Option<String> {
        name(message).filter(|name| *name != ALONE).map(str::to_owned)
    }

    fn leases(&self, attempts: &[Attempt]) -> Vec<String> {
        let names = attempts
            .iter()
            .filter_map(|attempt| name(&attempt.envelope.message));
        names
            .filter(|name| *name != ALONE)
            .map(|name| format!("repository/{name}"))
            .collect()
    }

    async fn run(&self, _context: &RunContext<'_>, attempts: &[Attempt]) -> Vec<RunEnd> {
        let run = {
            let mut runs = self.runs.lock().expect("no panic");
            let run = Run {
                number: runs.len(),
                attempts: attempts.to_vec(),
            };
            runs.push(run.clone());
            run
        };
        self.running.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(&self.running);
        (self.script)(run).await
    }
}

/// The end of a run that flags no device.
pub(crate) fn applied() -> RunEnd {
    RunEnd::Applied(WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Ignored,
        reason: Some(IgnoredReason::Unchanged),
        scope: Scope::None,
        flipped: 0,
        devices: Vec::new(),
        truncated: false,
        unknown_hostnames: Vec::new(),
        commit: None,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    }))
}

/// A message about a repository with this name, which is its key.
pub(crate) fn message(key: &str) -> Envelope {
    envelope(RepositoryRefreshRequested {
        repository: key.to_owned().try_into().expect("it is a name"),
    })
}

/// A bus and a store in a temporary folder.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) bus: Arc<dyn Bus>,
    pub(super) store: Arc<SqliteStore>,
}

impl Place {
    pub(crate) async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bus = EmbeddedBus::open(folder.path(), EmbeddedOptions::default())?;
        bus.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
        let store = SqliteStore::open(SqliteOptions::new(folder.path().join("store.sqlite")))?;
        store.migrate().await?;
        Ok(Self { folder, bus, store })
    }

    pub(crate) async fn publish<'a>(&self, messages: impl IntoIterator<Item = &'a Envelope>) -> Result<()> {
        Ok(self
            .bus
            .publish(messages.into_iter().map(outgoing).collect())
            .await?)
    }

    pub(crate) fn oracle(&self) -> Oracle {
        Oracle {
            records: Records::Sqlite {
                path: self.store_file(),
            },
        }
    }

    pub(super) fn store_file(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    /// Starts a worker on the lane, without debounce unless the options set one.
    pub(crate) fn work(&self, runner: &Arc<dyn Runner>, options: WorkerOptions) -> Working {
        let context = WorkerContext {
            bus: self.bus.clone(),
            store: self.store.clone(),
            follow_ups: self.store.clone(),
            delivery_attempts: self.store.clone(),
            leases: self.store.clone(),
            schema: self.store.clone(),
            handlers: Arc::new(FleetHandlers::default()),
            claimants: BTreeMap::new(),
            runners: BTreeMap::from([(Lane::Repositories, runner.clone())]),
            clock: Arc::new(SystemClock),
        };
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let worker = tokio::spawn(run(context, options, stop.clone(), abandon.clone()));
        Working {
            stop,
            abandon,
            worker,
        }
    }

    /// The dead letters in the table, newest first.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let query = DeadLetterQuery {
            limit: 100,
            ..DeadLetterQuery::default()
        };
        let mut dead_letters = Vec::new();
        for head in self.store.dead_letters(&query).await? {
            dead_letters.extend(self.store.dead_letter(head.number).await?);
        }
        Ok(dead_letters)
    }

    /// The messages in a queue without consumer. They stay there.
    pub(crate) async fn left(&self, lane: Lane) -> Result<Vec<Delivery>> {
        let options = ConsumeOptions {
            prefetch: 1000,
            acknowledge: Acknowledge::Each,
        };
        let mut consumer = self.bus.consume(Queue::Lane(lane), options).await?;
        let moment = Duration::from_millis(300);
        let mut left = Vec::new();
        while let Ok(batch) = tokio::time::timeout(moment, consumer.take(1000)).await {
            left.extend(batch.context("the bus was closed")?.deliveries);
        }
        consumer.close().await;
        Ok(left)
    }
}

/// The worker options of tests.
pub(crate) fn options() -> WorkerOptions {
    options_of(RunLaneOptions {
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    })
}

/// Options with a debounce long enough for all messages that a test publishes at once.
pub(crate) fn in_batches() -> WorkerOptions {
    options_of(RunLaneOptions {
        debounce: Duration::from_millis(500),
        ..RunLaneOptions::default()
    })
}

pub(crate) fn options_of(lane: RunLaneOptions) -> WorkerOptions {
    WorkerOptions {
        lanes: vec![Lane::Repositories],
        run_lanes: [(Lane::Repositories, lane)].into(),
        ..WorkerOptions::default()
    }
}

/// A running worker.
pub(crate) struct Working {
    pub(crate) stop: CancellationToken,
    pub(crate) abandon: CancellationToken,
    worker: JoinHandle<Result<(), lockstep_worker::runtime::WorkerError>>,
}

impl Working {
    /// Waits for its end after a stop was requested.
    pub(crate) async fn ended(self) -> Result<()> {
        ensure!(self.stop.is_cancelled() || self.abandon.is_cancelled());
        Ok(tokio::time::timeout(PATIENCE, self.worker)
            .await
            .context("the worker does not end")???)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.ended().await
    }
}
