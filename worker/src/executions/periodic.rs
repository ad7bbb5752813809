//! The periodic task `elements`: finds what workers left undone, and what is due.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use lockstep_execution::{Event, Limit, Registry, releasable};
use lockstep_protocol::results::ElementFinished;
use lockstep_protocol::{ElementState, MessageKey};
use lockstep_store::{
    CapScope, ElementEnd, ElementRow, ExecutionReference, ExecutionRow, ExecutionTransaction, ExpiredElement,
    Facts, JsonText, Keys, StoreError,
};
use lockstep_telemetry::executions::{WAITING_FOR, waiting};
use serde_json::Value;

use super::ExecutionContext;
use super::advance::{Aftermath, CHUNK, advance, own_cap, release_own, skipped_elements};
use super::announce::{Announcement, Announcer};
use super::claim::cap;
use super::cluster::with_turn;
use super::finish::{Ends, finish_in};
use super::publisher::{AnnounceError, element_finished};
use super::schedules::fire;
use super::settle::release;
use super::sync;
use crate::runtime::{Leadership, PeriodicTask, TransactionRetry, chain};

/// The most rows that one transaction of the task handles.
const PAGE: u32 = 256;
/// The most times that an element begins a stage, if its worker dies each time.
const MOST_ATTEMPTS: u32 = 5;
/// The most pages of one kind in a run of the task: the other kinds have their turn.
const MOST_PAGES: u32 = 100;

/// Finds elements whose worker died, whose message is lost, or which may begin; executions that are over their deadline or were left in
/// the middle of their end; ends that were not announced; schedules that are due. One process of all runs it, every two seconds.
#[derive(Debug)]
pub struct ElementsTask {
    context: ExecutionContext,
    announcer: Announcer,
}

/// Why a part of a run was not done.
#[derive(Debug, thiserror::Error)]
enum TaskError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

/// What a transaction wrote, and what is to be done after it.
#[derive(Debug, Default)]
struct Written {
    aftermath: Aftermath,
    /// The messages that schedules caused.
    fired: Vec<MessageKey>,
    /// Whether there may be more of it.
    more: bool,
    /// How many elements may be queued of those that wait for each scope.
    places: BTreeMap<CapScope, u32>,
    /// Ended elements that were not announced.
    unannounced: Vec<ElementRow>,
}

impl ElementsTask {
    /// A task with these connections and limits.
    pub fn new(context: ExecutionContext) -> Self {
        // All series exist from the start.
        waiting([0; WAITING_FOR.len()]);
        Self {
            announcer: Announcer::new(&context),
            context,
        }
    }

    /// Running elements whose worker did not renew them: they are queued again, or end.
    async fn expired(
        &self,
        tx: &mut (dyn ExecutionTransaction + '_),
        facts: &mut Facts,
    ) -> Result<Written, StoreError> {
        let expired = tx.expired(PAGE).await?;
        let more = expired.len() == PAGE as usize;
        let (mut again, mut ends) = (Vec::new(), Vec::new());
        for element in expired {
            match after_expiry(&element, &self.context.registry) {
                Expiry::Requeue => again.push((element.number, element.attempt)),
                Expiry::End(reason, message) => ends.push(end(&element, reason, message)),
            }
        }
        let mut aftermath = Aftermath::default();
        let mut unannounced = Vec::new();
        if !ends.is_empty() {
            tracing::warn!(
                elements = ends.len(),
                "running elements whose worker is gone are ended"
            );
            let ends = [Ends { owner: None, ends }];
            let finished = finish_in(&self.context, facts, tx, &ends, &BTreeSet::new()).await?;
            let ended = finished.ended.iter().map(|ended| ended.number).collect();
            unannounced = tx.unannounced(Some(&ended), PAGE).await?;
            aftermath = finished.aftermath;
        }
        if !again.is_empty() {
            let queued = tx.requeue(&again, self.context.options.overdue_after).await?;
            tracing::warn!(
                elements = queued.len(),
                "running elements whose worker is gone are queued again"
            );
            aftermath.queued.extend(queued);
        }
        Ok(Written {
            aftermath,
            more,
            unannounced,
            ..Written::default()
        })
    }

    /// Queued elements whose message seems to be lost.
    async fn overdue(&self, tx: &mut (dyn ExecutionTransaction + '_)) -> Result<Written, StoreError> {
        let queued = tx.overdue(PAGE, self.context.options.overdue_after).await?;
        Ok(Written {
            more: queued.len() == PAGE as usize,
            aftermath: Aftermath {
                queued,
                ..Aftermath::default()
            },
            ..Written::default()
        })
    }

    /// Parked elements: those whose time is over are skipped, and those whose time has come are queued.
    async fn parked(
        &self,
        tx: &mut (dyn ExecutionTransaction + '_),
        facts: &mut Facts,
    ) -> Result<Written, StoreError> {
        let options = &self.context.options;
        let expired = tx.expired_parked(PAGE).await?;
        let mut aftermath = Aftermath::default();
        if !expired.is_empty() {
            let executions = tx.executions_of(&expired).await?;
            let rows = tx.lock_numbers(&executions).await?;
            let skipped = tx.skip_parked(&expired).await?;
            let now = self.context.now(facts);
            for mut row in rows {
                let of_row = skipped.iter().filter(|element| element.execution == row.number);
                let count = of_row.count() as u64;
                if count == 0 {
                    continue;
                }
                row.parked = row.parked.saturating_sub(count);
                let event = skipped_elements(count);
                let grace = options.overdue_after;
                aftermath.join(advance(tx, facts, &mut row, event, now, options, grace).await?);
                let goes_on = row.ended_at.is_none() && row.halt.is_none() && !row.paused;
                if goes_on && own_cap(&row).is_some() {
                    aftermath.queued.extend(release_own(tx, &row, grace).await?);
                }
            }
        }
        let resumed = tx.resume_parked(PAGE, options.overdue_after).await?;
        let more = expired.len() == PAGE as usize || resumed.len() == PAGE as usize;
        aftermath.queued.extend(resumed);
        Ok(Written {
            more: more || aftermath.more,
            aftermath,
            ..Written::default()
        })
    }

    /// Elements that wait for a scope which has places.
    async fn waiting(&self, tx: &mut (dyn ExecutionTransaction + '_)) -> Result<Written, StoreError> {
        let counts = tx.waiting(CHUNK).await?;
        let places = self.places(tx, &counts).await?;
        waiting(tally(&counts));
        Ok(Written {
            places,
            ..Written::default()
        })
    }

    /// How many elements may be queued of those that wait for each scope.
    async fn places(
        &self,
        tx: &mut (dyn ExecutionTransaction + '_),
        counts: &BTreeMap<CapScope, u32>,
    ) -> Result<BTreeMap<CapScope, u32>, StoreError> {
        let stopped = tx.stop().await?.is_some();
        let executions = counts.keys().filter_map(|scope| match scope {
            CapScope::Execution(number) | CapScope::Ended(number) => Some(*number),
            _ => None,
        });
        let rows = tx.lock_numbers(&executions.collect()).await?;
        let rows: BTreeMap<u64, ExecutionRow> = rows.into_iter().map(|row| (row.number, row)).collect();
        let scopes: BTreeSet<CapScope> = counts.keys().cloned().collect();
        let (mut running, queued) = (tx.running(&scopes).await?, tx.queued(&scopes).await?);
        running.extend(with_turn(tx, &scopes).await?);
        let of = |counts: &BTreeMap<CapScope, u32>, scope| counts.get(scope).copied().unwrap_or(0);
        let places = counts.iter().filter_map(|(scope, waiting)| {
            let own = |number: &u64| rows.get(number).and_then(own_cap);
            let held = match scope {
                CapScope::Stop => stopped,
                CapScope::Execution(number) => rows
                    .get(number)
                    .is_none_or(|row| row.paused || row.halt.is_some()),
                _ => false,
            };
            let cap = match scope {
                _ if held => Some(0),
                CapScope::Stop => None,
                // It may be deleted.
                CapScope::Ended(number) if rows.get(number).is_none_or(|row| row.ended_at.is_some()) => None,
                scope => cap(&self.context.options.caps, scope, own),
            };
            let limit = Limit {
                cap: cap.unwrap_or(u32::MAX),
                running: of(&running, scope),
            };
            let places = releasable(limit, of(&queued, scope), *waiting);
            (places > 0).then(|| (scope.clone(), places))
        });
        Ok(places.collect())
    }

    /// Executions whose deadline is over, that are halted with elements that have not begun, or whose elements all ended, or ended their stage.
    async fn neglected(
        &self,
        tx: &mut (dyn ExecutionTransaction + '_),
        facts: &mut Facts,
    ) -> Result<Written, StoreError> {
        let now = self.context.now(facts);
        let options = &self.context.options;
        let grace = options.overdue_after;
        let rows = tx.neglected(now, PAGE).await?;
        let mut aftermath = Aftermath::default();
        let more = rows.len() == PAGE as usize;
        for mut row in rows {
            let over = row.request.deadline_at.is_some_and(|deadline| deadline <= now);
            // Cancelled by a transaction that ran beside the one that stored it.
            let cancelled = row.halt.is_none() && tx.was_cancelled(row.id).await?;
            let event = match (cancelled, over) {
                (true, _) => Event::CancelRequested { by: None },
                (false, true) => Event::DeadlineOver,
                (false, false) => Event::Checked,
            };
            aftermath.join(advance(tx, facts, &mut row, event, now, options, grace).await?);
        }
        Ok(Written {
            more: more || aftermath.more,
            aftermath,
            ..Written::default()
        })
    }

    /// Schedules that are due.
    async fn schedules(
        &self,
        tx: &mut (dyn ExecutionTransaction + '_),
        facts: &mut Facts,
    ) -> Result<Written, StoreError> {
        let (fired, more) = fire(tx, facts, self.context.now(facts)).await?;
        Ok(Written {
            fired,
            more,
            ..Written::default()
        })
    }

    /// The results of ended elements that were not announced.
    async fn results(&self, rows: Vec<ElementRow>) -> Result<Announcement, StoreError> {
        let mut executions: BTreeMap<u64, Option<ExecutionRow>> = BTreeMap::new();
        let mut announcement = Announcement::default();
        for row in rows {
            let execution = match executions.entry(row.execution) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let reference = ExecutionReference::Number(row.execution);
                    unknown.insert(self.context.executions.execution(&reference).await?)
                }
            };
            announcement.elements.push(row.number);
            if let Some(execution) = execution {
                let number = row.number;
                let data = self.told(execution, number).await?;
                let results = finished(execution, row);
                let results = results.map(|finished| element_finished(execution, number, finished, &data));
                announcement.results.extend(results);
            }
        }
        Ok(announcement)
    }

    /// What the provider of an element returned. Only the results of sweeps and of syncs tell it.
    async fn told(&self, execution: &ExecutionRow, element: u64) -> Result<Value, StoreError> {
        let data = if execution.request.cluster().is_some() {
            let results = self.context.cycle.results_of(element).await?;
            results.into_iter().next_back().map(|result| result.data)
        } else if execution.request.provider == sync::PROVIDER {
            let element = self.context.executions.element(element).await?;
            element.map(|element| element.data)
        } else {
            None
        };
        Ok(data.unwrap_or_default())
    }

    /// Runs the transaction of a part, and repeats it while others are first.
    async fn transaction(&self, part: Part) -> Result<Written, StoreError> {
        let mut retry = TransactionRetry::default();
        loop {
            match self.transaction_once(part).await {
                Ok(written) => return Ok(written),
                Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
            }
        }
    }

    async fn transaction_once(&self, part: Part) -> Result<Written, StoreError> {
        let (mut facts, mut transaction) = self.context.store.begin(&[], &Keys::default()).await?;
        let written = {
            let mut tx = transaction.executions();
            match part {
                Part::Expired => self.expired(&mut *tx, &mut facts).await?,
                Part::Neglected => self.neglected(&mut *tx, &mut facts).await?,
                Part::Parked => self.parked(&mut *tx, &mut facts).await?,
                Part::Waiting => self.waiting(&mut *tx).await?,
                Part::Overdue => self.overdue(&mut *tx).await?,
                Part::Unannounced => {
                    let unannounced = tx.unannounced(None, PAGE).await?;
                    Written {
                        more: unannounced.len() == PAGE as usize,
                        unannounced,
                        ..Written::default()
                    }
                }
                Part::Schedules => self.schedules(&mut *tx, &mut facts).await?,
            }
        };
        transaction.commit(&facts).await?;
        Ok(written)
    }

    /// One page of a part. Returns whether there may be more.
    async fn page(&self, part: Part) -> Result<bool, TaskError> {
        let Written {
            aftermath,
            fired,
            mut more,
            places,
            unannounced,
        } = self.transaction(part).await?;
        let mut announcement = self.announcer.of(aftermath);
        announcement.ended.extend(fired);
        self.announcer.announce(announcement).await?;
        for (scope, places) in places {
            let released = release(&self.announcer, &scope, places.min(CHUNK)).await?;
            more |= released >= CHUNK as usize;
        }
        if !unannounced.is_empty() {
            let results = self.results(unannounced).await?;
            self.announcer.announce(results).await?;
        }
        Ok(more)
    }
}

#[async_trait]
impl PeriodicTask for ElementsTask {
    async fn run(&self, leadership: &Leadership<'_>) {
        for part in Part::ALL {
            if let Err(error) = self.part(part, leadership).await {
                tracing::warn!(
                    part = part.as_str(),
                    error = chain(&error),
                    "a part of the periodic task is left to its next run"
                );
            }
        }
    }
}

/// The parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Expired,
    Neglected,
    Parked,
    Waiting,
    Overdue,
    Unannounced,
    Schedules,
}

impl Part {
    /// All parts, in the order in which they run: what ends makes room for what waits.
    const ALL: [Self; 7] = [
        Self::Expired,
        Self::Neglected,
        Self::Parked,
        Self::Waiting,
        Self::Overdue,
        Self::Unannounced,
        Self::Schedules,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired elements",
            Self::Neglected => "executions",
            Self::Parked => "parked elements",
            Self::Waiting => "waiting elements",
            Self::Overdue => "overdue elements",
            Self::Unannounced => "unannounced elements",
            Self::Schedules => "schedules",
        }
    }
}

impl ElementsTask {
    /// Does a part, page after page, as long as the leadership continues.
    async fn part(&self, part: Part, leadership: &Leadership<'_>) -> Result<(), TaskError> {
        for _ in 0..MOST_PAGES {
            if !leadership.continues().await? {
                return Ok(());
            }
            if !self.page(part).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What becomes of a running element whose worker did not renew it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expiry {
    /// It is queued again.
    Requeue,
    /// It fails: the reason for programs, and for people.
    End(&'static str, &'static str),
}

/// The rule. A provider that this process does not know may not be repeatable. With a journal, only its open step is not repeated.
fn after_expiry(element: &ExpiredElement, registry: &Registry) -> Expiry {
    let provider = registry.get(&element.provider);
    let repeatable = provider.is_some_and(|provider| provider.properties().repeatable);
    match element.halt {
        Some(halt) => Expiry::End(
            halt.as_str(),
            "its worker died while it ran, and its execution begins nothing more",
        ),
        None if !repeatable && !element.has_journal => Expiry::End(
            "interrupted",
            "its worker died while it ran, or lost the store; whether it was done is unknown, and its provider may not repeat it",
        ),
        None if element.attempts_in_stage >= MOST_ATTEMPTS => Expiry::End(
            "crashed",
            "its worker died each time it ran; it seems to crash its worker",
        ),
        None => Expiry::Requeue,
    }
}

fn end(element: &ExpiredElement, reason: &str, message: &str) -> ElementEnd {
    ElementEnd {
        number: element.number,
        attempt: element.attempt,
        state: ElementState::Failed,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        changed: false,
        next: None,
        parked: None,
        data: JsonText::null(),
        results: Vec::new(),
        facts: Vec::new(),
        checks: Vec::new(),
        items: Vec::new(),
    }
}

/// The result about an element that ended.
fn finished(execution: &ExecutionRow, row: ElementRow) -> Option<ElementFinished> {
    Some(ElementFinished {
        execution: execution.id,
        entity_type: row.entity_type,
        entity: row.entity,
        hostname: row.hostname,
        state: row.state,
        outcome: row.state.outcome()?,
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        diff: None,
        change_score: None,
    })
}

/// How many elements wait, by the kind of scope.
fn tally(counts: &BTreeMap<CapScope, u32>) -> [usize; WAITING_FOR.len()] {
    let mut tally = [0; WAITING_FOR.len()];
    for (scope, waiting) in counts {
        let place = match scope {
            CapScope::Stop => 0,
            CapScope::Overall => 1,
            CapScope::Provider(_) => 2,
            CapScope::Group(_) => 3,
            CapScope::Execution(_) => 4,
            CapScope::Device(_) => 5,
            CapScope::Cluster(_) => 6,
            CapScope::Stage(..) => 7,
            CapScope::Parked => 8,
            CapScope::Ended(_) => 9,
        };
        tally[place] += *waiting as usize;
    }
    tally
}

#[cfg(test)]
mod tests {
    use lockstep_store::Halt;

    use super::*;

    #[test]
    fn an_element_of_a_lost_worker_is_repeated_only_where_that_is_safe() {
        let registry = Registry::built_in();
        assert!(registry.get("ping").unwrap().properties().repeatable);
        let expired = |provider: &str, attempt, halt| ExpiredElement {
            number: 1,
            execution: 1,
            attempt: 7,
            attempts_in_stage: attempt,
            stage: 1,
            provider: provider.to_owned(),
            has_journal: false,
            halt,
        };
        let journalled = |attempt| ExpiredElement {
            has_journal: true,
            ..expired("a-newer-one", attempt, None)
        };
        let table = [
            (journalled(1), None),
            (journalled(5), Some("crashed")),
            (expired("ping", 1, None), None),
            (expired("ping", 4, None), None),
            (expired("ping", 5, None), Some("crashed")),
            (expired("ping", 1, Some(Halt::Cancelled)), Some("cancelled")),
            (expired("ping", 1, Some(Halt::Deadline)), Some("deadline")),
            (expired("a-newer-one", 1, None), Some("interrupted")),
            (
                expired("a-newer-one", 9, Some(Halt::Cancelled)),
                Some("cancelled"),
            ),
        ];
        for (element, expected) in table {
            let reason = match after_expiry(&element, &registry) {
                Expiry::Requeue => None,
                Expiry::End(reason, _) => Some(reason),
            };
            assert_eq!(reason, expected, "{element:?}");
        }
    }

    #[test]
    fn what_waits_is_counted_by_the_kind_of_scope() {
        let counts = [
            (CapScope::Device("sw1".to_owned()), 2),
            (CapScope::Device("sw2".to_owned()), 3),
            (CapScope::Stop, 1),
        ];
        assert_eq!(tally(&counts.into()), [1, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
    }
}
