//! Runs elements on this worker: claims them, runs their providers, renews their leases, and commits and announces their ends.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, Envelope, Message};
use lockstep_store::{CapScope, ElementEnd, ElementOwner, ExecutionRow, JsonText, QueuedElement, StoreError};
use lockstep_telemetry::executions::ElementMetrics;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ExecutionContext;
use super::advance::own_cap;
use super::announce::{Announcement, Announcer};
use super::claim::{Claim, Claimed, claim, groups, scopes};
use super::element::{Element, ElementRun};
use super::element_end::Why;
use super::finish::{Ends, Finished, finish};
use super::journal::{JournalWriter, WaitingEntries, journal};
use super::publisher::element_finished;
use super::running::{Places, Running, Told};
use super::sync;
use crate::fail_point::{self, FailPoint};
use crate::handlers::{Processing, processing};
use crate::runtime::{Claimant, TransactionRetry, chain};

/// The most ends in one transaction.
const GROUP: usize = 256;
/// The most groups of ends whose announcement waits for the broker. Then committing waits, too.
const ANNOUNCEMENTS: usize = 64;
/// The most executions with limits of their own that a worker remembers.
const MOST_LIMITED: usize = 10_000;

/// Runs elements of executions: the claimant of the lanes on which they run, the devices lane and the CloudVision lane.
#[derive(Debug)]
pub struct ElementRunner(Arc<Worker>);

#[derive(Debug)]
struct Worker {
    context: ExecutionContext,
    /// The lane whose elements it runs. Those of the other one have places of their own.
    lane: Lane,
    announcer: Announcer,
    running: Running,
    metrics: ElementMetrics,
    /// The owner of the elements that are claimed next.
    owner: Mutex<ElementOwner>,
    /// Executions that limit themselves: their scopes are locked before their elements are counted.
    limited: Mutex<BTreeSet<CapScope>>,
    /// The running elements. Aborted when the worker is abandoned.
    tasks: Mutex<JoinSet<()>>,
    ends: mpsc::UnboundedSender<Ended>,
    journal: JournalWriter,
    /// Taken by the first call of `work`.
    waiting: Mutex<Option<Waiting>>,
}

/// What running elements have for their worker.
#[derive(Debug)]
struct Waiting {
    ended: mpsc::UnboundedReceiver<Ended>,
    entries: WaitingEntries,
}

/// An element whose provider ended.
#[derive(Debug)]
struct Ended {
    element: Arc<Element>,
    owner: ElementOwner,
    end: ElementEnd,
}

/// Elements whose ends are committed together.
#[derive(Debug, Default)]
struct Group {
    elements: BTreeMap<u64, Arc<Element>>,
    ends: Vec<Ends>,
    /// The scopes with a cap in which they have places.
    locks: BTreeSet<CapScope>,
}

impl ElementRunner {
    /// Runs elements of the devices lane with these connections and limits.
    pub fn new(context: ExecutionContext) -> Self {
        Self::of_lane(Lane::Devices, context)
    }

    /// Runs elements of this lane with these connections and limits.
    pub fn of_lane(lane: Lane, context: ExecutionContext) -> Self {
        let (ends, ended) = mpsc::unbounded_channel();
        let (journal, entries) = journal();
        Self(Arc::new(Worker {
            running: Running::new(context.options.places.max(1)),
            announcer: Announcer::new(&context),
            context,
            lane,
            metrics: ElementMetrics::new(),
            owner: Mutex::new(ElementOwner(Uuid::new_v4())),
            limited: Mutex::default(),
            tasks: Mutex::default(),
            ends,
            journal,
            waiting: Mutex::new(Some(Waiting { ended, entries })),
        }))
    }
}

#[async_trait]
impl Claimant for ElementRunner {
    fn claims(&self, message: &Message) -> bool {
        element(message).is_some()
    }

    fn places(&self) -> usize {
        self.0.context.options.places
    }

    async fn free(&self) -> usize {
        self.0.running.free().await
    }

    async fn claim(&self, messages: &[&Envelope]) -> Result<(), StoreError> {
        let elements = messages.iter().filter_map(|envelope| element(&envelope.message));
        let elements: BTreeSet<u64> = elements.collect();
        let places = self.0.running.take(elements.len()).await;
        let worker = self.0.clone();
        // A task of its own: what is committed begins, also when nobody waits for it any more.
        let claiming = tokio::spawn(async move { worker.claim(&elements, places).await });
        match claiming.await {
            Ok(claimed) => claimed,
            // Only a bug gets here.
            Err(error) => Err(StoreError::Corrupt {
                what: "an element".to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    async fn work(&self, stop: CancellationToken, no_more: CancellationToken, abandon: CancellationToken) {
        let Some(Waiting { ended, entries }) = lock(&self.0.waiting).take() else {
            tracing::error!("elements run already in this process");
            return;
        };
        let (announcements, waiting) = mpsc::channel(ANNOUNCEMENTS);
        let all_ended = CancellationToken::new();
        let work = async {
            let stopping = async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = no_more.cancelled() => {}
                }
                self.0.running.tell_all(Why::WorkerStops);
                no_more.cancelled().await;
                // Those that were claimed in the meantime.
                self.0.running.tell_all(Why::WorkerStops);
                self.0.running.none().await;
                all_ended.cancel();
            };
            let renewing = all_ended.run_until_cancelled(self.0.renew());
            let committing = Box::pin(self.0.commit_ends(ended, announcements, &stop, &all_ended));
            let announcing = self.0.announcer.run(waiting);
            let journalling = all_ended.run_until_cancelled(entries.write_to(&self.0.context.cycle));
            tokio::join!(stopping, renewing, committing, announcing, journalling);
        };
        if abandon.run_until_cancelled(work).await.is_none() {
            let left = self.0.running.len();
            if left > 0 {
                tracing::warn!(
                    elements = left,
                    "running elements did not end in time; other workers find their leases expired"
                );
            }
            *lock(&self.0.tasks) = JoinSet::new();
        }
    }
}

/// The element that a message is about.
fn element(message: &Message) -> Option<u64> {
    match processing(message) {
        Some(Processing::Element(element)) => Some(element),
        _ => None,
    }
}

impl Worker {
    /// Claims elements, at most as many as there are places, and begins those that may run.
    async fn claim(self: &Arc<Self>, elements: &BTreeSet<u64>, mut places: Places) -> Result<(), StoreError> {
        let began = Instant::now();
        let owner = *lock(&self.owner);
        let claimed = loop {
            let limited = lock(&self.limited).clone();
            match claim(&self.context, elements, owner, &limited).await {
                Ok(Claimed::Committed(claimed)) => break claimed,
                Ok(Claimed::Lock(scopes)) => {
                    let mut limited = lock(&self.limited);
                    if limited.len() + scopes.len() > MOST_LIMITED {
                        limited.clear();
                    }
                    limited.extend(scopes);
                }
                Err(error) => {
                    if !error.is_conflict() {
                        // It may be committed: what it began is not renewed with what this worker knows.
                        *lock(&self.owner) = ElementOwner(Uuid::new_v4());
                    }
                    return Err(error);
                }
            }
        };
        self.metrics.claimed(began.elapsed());
        fail_point::pass(FailPoint::AfterClaim);
        let Claim {
            begun,
            executions,
            queued,
        } = claimed;
        let executions: Vec<Arc<ExecutionRow>> = executions.into_iter().map(Arc::new).collect();
        for candidate in begun {
            let execution = executions.iter().find(|row| row.number == candidate.execution);
            let element = execution
                .and_then(|execution| Element::new(candidate, execution.clone(), &self.context.registry));
            if let Some(element) = element {
                self.begin(Arc::new(element), &mut places, owner, began);
            }
        }
        if !queued.is_empty() {
            self.announcer.announce_soon(Announcement {
                queued,
                ..Announcement::default()
            });
        }
        Ok(())
    }

    fn begin(
        self: &Arc<Self>,
        element: Arc<Element>,
        places: &mut Places,
        owner: ElementOwner,
        claimed: Instant,
    ) {
        let number = element.candidate.number;
        let until = claimed + self.context.options.lease_time;
        // This process stood still since the claim.
        if Instant::now() >= until {
            tracing::warn!(
                element = number,
                "the lease of a claimed element is over before it begins; it is left to other workers"
            );
            return;
        }
        let Some(told) = self.running.add(places, number, element.attempt(), owner, until) else {
            tracing::error!(
                element = number,
                "no place is free for a claimed element; its lease expires"
            );
            return;
        };
        let worker = self.clone();
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { worker.run(element, owner, told).await });
    }

    async fn run(self: Arc<Self>, element: Arc<Element>, owner: ElementOwner, told: Arc<Told>) {
        let (number, attempt) = (element.candidate.number, element.attempt());
        tracing::debug!(element = number, attempt, entity = element.candidate.name, execution = %element.execution.id, "element begins");
        let on = ElementRun {
            context: &self.context,
            told: &told,
            owner,
            journal: &self.journal,
        };
        let end = element.run(on).await;
        fail_point::pass(FailPoint::ElementRan);
        let Some(end) = end else {
            tracing::info!(element = number, attempt, why = ?told.why(), "element left to other workers");
            self.running.remove(number, attempt);
            return;
        };
        self.running.ended(number, attempt);
        // The receiver is there as long as the worker works.
        let _ = self.ends.send(Ended { element, owner, end });
    }

    /// Renews what this worker runs, and tells elements to stop.
    async fn renew(&self) {
        let lease = self.context.options.lease_time;
        loop {
            tokio::time::sleep(lease / 3).await;
            // After a standstill of this process other workers may have them; the store may answer late.
            self.running.tell_overdue(Instant::now(), Duration::ZERO);
            for owner in self.running.owners() {
                let sent = Instant::now();
                let renewal = self.context.executions.renew_elements(owner, lease);
                match tokio::time::timeout(lease / 3, renewal).await {
                    Ok(Ok(renewed)) => self.running.renewed(owner, sent, lease, &renewed),
                    Ok(Err(error)) => {
                        tracing::warn!(error = chain(&error), "running elements are not renewed");
                    }
                    Err(_) => tracing::warn!("running elements are not renewed: the store does not answer"),
                }
            }
            let overdue = self.running.tell_overdue(Instant::now(), lease);
            if overdue > 0 {
                tracing::warn!(
                    elements = overdue,
                    "no renewal succeeded in time; running elements are told to stop"
                );
            }
        }
    }

    /// Commits ends in groups, until all elements have ended.
    async fn commit_ends(
        self: &Arc<Self>,
        mut ended: mpsc::UnboundedReceiver<Ended>,
        announcements: mpsc::Sender<Announcement>,
        stop: &CancellationToken,
        all_ended: &CancellationToken,
    ) {
        let mut taken = Vec::with_capacity(GROUP);
        loop {
            let received = tokio::select! {
                biased;
                received = ended.recv_many(&mut taken, GROUP) => received,
                () = all_ended.cancelled() => 0,
            };
            if received == 0 {
                return;
            }
            let mut group = self.group(taken.drain(..));
            let mut finished = self.commit(&mut group).await;
            fail_point::pass(FailPoint::AfterFinish);
            if !stop.is_cancelled() {
                self.claim_queued(&mut finished.aftermath.queued).await;
            }
            let announcement = self.announcement(&group, finished);
            for element in group.elements.values() {
                self.running.remove(element.candidate.number, element.attempt());
            }
            if announcements.send(announcement).await.is_err() {
                return;
            }
        }
    }

    /// Claims elements that were queued for what became free, as far as places are free here: they begin without a message. The others
    /// stay in the list, to be announced.
    async fn claim_queued(self: &Arc<Self>, queued: &mut Vec<QueuedElement>) {
        let own = queued.iter().filter(|queued| queued.lane == self.lane);
        let own: Vec<u64> = own.map(|queued| queued.number).collect();
        let Some(places) = self.running.take_free(own.len()) else {
            return;
        };
        let claimed: BTreeSet<u64> = own.into_iter().take(places.left()).collect();
        match self.claim(&claimed, places).await {
            Ok(()) => queued.retain(|queued| !claimed.contains(&queued.number)),
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    "queued elements are not claimed at once, but announced"
                );
            }
        }
    }

    fn group(&self, ended: impl Iterator<Item = Ended>) -> Group {
        let caps = &self.context.options.caps;
        let mut group = Group::default();
        for Ended { element, owner, end } in ended {
            let Element {
                candidate, execution, ..
            } = &*element;
            let own = own_cap(execution).map(|_| CapScope::Execution(execution.number));
            let shared = scopes(caps, &execution.request.provider, groups(candidate));
            group
                .locks
                .extend(own.into_iter().chain(shared).chain(execution.request.cluster()));
            group.elements.insert(end.number, element);
            match group.ends.iter_mut().find(|ends| ends.owner == Some(owner)) {
                Some(ends) => ends.ends.push(end),
                None => group.ends.push(Ends {
                    owner: Some(owner),
                    ends: vec![end],
                }),
            }
        }
        group
    }

    /// Commits ends, and repeats that for as long as it takes. What the store refuses is committed one by one, and then as a failure.
    async fn commit(&self, group: &mut Group) -> Finished {
        let error = match self.commit_together(&group.ends, &group.locks).await {
            Ok(finished) => return finished,
            Err(error) => error,
        };
        tracing::warn!(
            elements = group.elements.len(),
            error = chain(&error),
            "ends of elements are committed one by one"
        );
        let mut finished = Finished::default();
        for Ends { owner, ends } in &mut group.ends {
            for end in ends {
                finished.join(self.commit_alone(*owner, end, &group.locks).await);
            }
        }
        finished
    }

    async fn commit_alone(
        &self,
        owner: Option<ElementOwner>,
        end: &mut ElementEnd,
        locks: &BTreeSet<CapScope>,
    ) -> Finished {
        let alone = |end: &ElementEnd| Ends {
            owner,
            ends: vec![end.clone()],
        };
        let error = match self.commit_together(&[alone(end)], locks).await {
            Ok(finished) => return finished,
            Err(error) => error,
        };
        let error = error.to_string();
        tracing::error!(
            element = end.number,
            error,
            "the store refuses the end of an element; it fails instead"
        );
        *end = ElementEnd {
            state: ElementState::Failed,
            reason: Some("store-refused".to_owned()),
            message: Some(format!("the store refused its result: {error}")),
            next: None,
            parked: None,
            data: JsonText::null(),
            results: Vec::new(),
            facts: Vec::new(),
            checks: Vec::new(),
            items: Vec::new(),
            ..end.clone()
        };
        match self.commit_together(&[alone(end)], locks).await {
            Ok(finished) => finished,
            Err(error) => {
                tracing::error!(
                    element = end.number,
                    error = chain(&error),
                    "an element cannot be ended; its lease expires"
                );
                Finished::default()
            }
        }
    }

    async fn commit_together(
        &self,
        ends: &[Ends],
        locks: &BTreeSet<CapScope>,
    ) -> Result<Finished, StoreError> {
        let mut retry = TransactionRetry::default();
        loop {
            let began = Instant::now();
            let error = match finish(&self.context, ends, locks).await {
                Ok(finished) => {
                    self.metrics.finished(began.elapsed());
                    for outcome in finished.ended.iter().filter_map(|ended| ended.state.outcome()) {
                        self.metrics.ended(outcome);
                    }
                    return Ok(finished);
                }
                Err(error) => error,
            };
            let passing = error.is_passing();
            match retry.after(error) {
                Ok(pause) => tokio::time::sleep(pause).await,
                // Concurrent transactions were first for long.
                Err(_) if passing => retry = TransactionRetry::default(),
                Err(error) => return Err(error),
            }
        }
    }

    /// What is published about a group of ends.
    fn announcement(&self, group: &Group, finished: Finished) -> Announcement {
        let Finished {
            ended,
            executions,
            aftermath,
        } = finished;
        let ended: BTreeSet<u64> = ended.iter().map(|ended| ended.number).collect();
        let mut announcement = self.announcer.of(aftermath);
        for end in group.ends.iter().flat_map(|ends| &ends.ends) {
            let number = end.number;
            let Some(element) = group.elements.get(&number).filter(|_| ended.contains(&number)) else {
                tracing::info!(
                    element = number,
                    attempt = end.attempt,
                    "the end of an element is discarded: another attempt began, or it ended before"
                );
                continue;
            };
            tracing::debug!(element = number, execution = %element.execution.id, state = %end.state, reason = end.reason, "element ended");
            let newer = executions
                .iter()
                .find(|row| row.number == element.execution.number);
            let execution = newer.unwrap_or(&element.execution);
            // One that goes on in a later stage has not ended.
            if let Some(finished) = element.finished(end) {
                announcement.elements.push(number);
                let data = told(execution, end);
                announcement
                    .results
                    .push(element_finished(execution, number, finished, &data));
            }
        }
        announcement
    }
}

/// What the provider found, as far as results tell it.
fn told<'a>(execution: &ExecutionRow, end: &'a ElementEnd) -> Cow<'a, Value> {
    if execution.request.provider == sync::PROVIDER {
        return serde_json::from_str(end.data.as_str()).map_or(Cow::Owned(Value::Null), Cow::Owned);
    }
    let last = end.results.last();
    last.map_or(Cow::Owned(Value::Null), |result| Cow::Borrowed(&result.data))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
