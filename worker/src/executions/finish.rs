//! The transaction in which ends of elements are committed, and all that follows from them for their executions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_execution::{Caps, Event};
use lockstep_protocol::{ElementOutcome, GroupName};
use lockstep_store::{
    CapScope, ElementEnd, ElementOwner, EndedElement, ExecutionRow, ExecutionTransaction, Facts, Keys,
    Parking, StoreError,
};

use super::ExecutionContext;
use super::advance::{Aftermath, advance, own_cap, release_own};
use super::claim::scopes;

/// Ends that are to be committed, of elements that one worker ran.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ends {
    /// The worker. `None` for elements that were found with an expired lease.
    pub(super) owner: Option<ElementOwner>,
    pub(super) ends: Vec<ElementEnd>,
}

/// What became final, and what is to be done after the commit.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    pub(super) ended: Vec<EndedElement>,
    pub(super) executions: Vec<ExecutionRow>,
    pub(super) aftermath: Aftermath,
}

impl Finished {
    pub(super) fn join(&mut self, other: Self) {
        self.ended.extend(other.ended);
        // The newer rows count.
        let newer = |row: &ExecutionRow| other.executions.iter().any(|other| other.number == row.number);
        self.executions.retain(|row| !newer(row));
        self.executions.extend(other.executions);
        self.aftermath.join(other.aftermath);
    }
}

/// Commits ends in one transaction. `locks` are the scopes with a cap in which the elements have places, as far as they are known:
/// who counts them does not miss a place that becomes free.
pub(super) async fn finish(
    context: &ExecutionContext,
    ends: &[Ends],
    locks: &BTreeSet<CapScope>,
) -> Result<Finished, StoreError> {
    let (mut facts, mut transaction) = context.store.begin(&[], &Keys::default()).await?;
    let finished = finish_in(context, &mut facts, &mut *transaction.executions(), ends, locks).await?;
    transaction.commit(&facts).await?;
    Ok(finished)
}

/// Writes ends as a part of an open transaction.
pub(super) async fn finish_in(
    context: &ExecutionContext,
    facts: &mut Facts,
    tx: &mut (dyn ExecutionTransaction + '_),
    ends: &[Ends],
    locks: &BTreeSet<CapScope>,
) -> Result<Finished, StoreError> {
    let options = &context.options;
    // What gets a place that became free begins within this time, also if this process is killed before it publishes that.
    let grace = options.lease_time;
    let caps = &options.caps;
    if !locks.is_empty() {
        tx.lock_caps(locks).await?;
    }
    let numbers = ends
        .iter()
        .flat_map(|ends| ends.ends.iter().map(|end| end.number));
    let numbers: BTreeSet<u64> = numbers.collect();
    let executions = tx.executions_of(&numbers).await?;
    // An execution that is waited for ends before or after this transaction.
    let awaited = awaited(ends);
    let mut rows = tx
        .lock_numbers(&executions.union(&awaited).copied().collect())
        .await?;
    let ended_before = awaited.iter().filter(|number| {
        let row = rows.iter().find(|row| row.number == **number);
        row.is_none_or(|row| row.ended_at.is_some())
    });
    let ended_before: Vec<u64> = ended_before.copied().collect();
    rows.retain(|row| executions.contains(&row.number));
    let groups: BTreeSet<GroupName> = caps
        .groups
        .keys()
        .filter_map(|group| GroupName::try_from(group.clone()).ok())
        .collect();
    let mut finished = Finished::default();
    for Ends { owner, ends } in ends {
        // The worker that ran them announces their ends. Those of a worker that is gone are due for the periodic task at once.
        let due_after = owner.map_or(Duration::ZERO, |_| options.overdue_after);
        let ended = tx.finish(ends, *owner, &groups, due_after).await?;
        finished.ended.extend(ended);
    }
    for number in ended_before {
        let released = tx.release(&CapScope::Ended(number), 1, grace).await?;
        finished.aftermath.queued.extend(released);
    }
    let now = context.now(facts);
    for row in &mut rows {
        let parked = finished.ended.iter();
        row.parked += parked
            .filter(|element| element.parked && element.execution == row.number)
            .filter(|element| !waits_for_end(ends, element.number))
            .count() as u64;
        let event = event(row.number, &finished.ended, ends);
        let Some(event) = event else { continue };
        let followed = advance(tx, facts, row, event, now, options, grace).await?;
        finished.aftermath.join(followed);
    }
    for row in &rows {
        let goes_on = row.ended_at.is_none() && row.halt.is_none() && !row.paused;
        if goes_on && own_cap(row).is_some() {
            let released = release_own(tx, row, grace).await?;
            finished.aftermath.queued.extend(released);
        }
    }
    let mut devices = BTreeSet::new();
    for (scope, places) in freed(caps, &rows, &finished.ended) {
        if matches!(scope, CapScope::Device(_)) {
            devices.insert(scope);
        } else {
            let released = tx.release(&scope, places, grace).await?;
            finished.aftermath.queued.extend(released);
        }
    }
    let released = tx.release_one_each(&devices, grace).await?;
    finished.aftermath.queued.extend(released);
    finished.executions = rows;
    Ok(finished)
}

/// The executions whose ends elements wait for from now on.
fn awaited(ends: &[Ends]) -> BTreeSet<u64> {
    let ends = ends.iter().flat_map(|ends| &ends.ends);
    ends.filter_map(|end| match end.parked {
        Some(Parking::Ended(number)) => Some(number),
        Some(Parking::Until(_)) | None => None,
    })
    .collect()
}

/// Whether an element waits for the end of an execution, not for a time.
fn waits_for_end(ends: &[Ends], element: u64) -> bool {
    let mut ends = ends.iter().flat_map(|ends| &ends.ends);
    ends.any(|end| end.number == element && matches!(end.parked, Some(Parking::Ended(_))))
}

/// What happened to an execution by these ends. `None` if nothing did.
fn event(execution: u64, ended: &[EndedElement], ends: &[Ends]) -> Option<Event> {
    let ended: Vec<&EndedElement> = ended
        .iter()
        .filter(|element| element.execution == execution && !element.parked)
        .collect();
    let outcomes = |outcome| {
        let of_outcome = ended.iter().filter(|element| element.state.outcome() == outcome);
        of_outcome.count() as u64
    };
    let going_on = |end: &&ElementEnd| end.next.is_some();
    let is_partly_failed = |end: &&ElementEnd| {
        let mut outcomes = end.results.iter().map(|result| result.state.outcome());
        outcomes.any(|outcome| outcome == Some(ElementOutcome::Failed))
    };
    let ends: Vec<&ElementEnd> = ends
        .iter()
        .flat_map(|ends| &ends.ends)
        .filter(|end| ended.iter().any(|element| element.number == end.number))
        .collect();
    let partly_failed = ends.iter().copied().filter(going_on).filter(is_partly_failed);
    let added: usize = ends.iter().map(|end| end.items.len()).sum();
    (!ended.is_empty()).then(|| Event::ElementsEnded {
        done: outcomes(Some(ElementOutcome::Done)),
        failed: outcomes(Some(ElementOutcome::Failed)),
        skipped: outcomes(Some(ElementOutcome::Skipped)),
        passed: outcomes(None),
        partly_failed: partly_failed.count() as u64,
        added: added as u64,
    })
}

/// The scopes in which places became free, but for executions, and how many.
fn freed(caps: &Caps, rows: &[ExecutionRow], ended: &[EndedElement]) -> BTreeMap<CapScope, u32> {
    let providers: BTreeMap<u64, &str> = rows
        .iter()
        .map(|row| (row.number, row.request.provider.as_str()))
        .collect();
    let mut freed = BTreeMap::new();
    for element in ended {
        let provider = providers.get(&element.execution).copied().unwrap_or_default();
        let shared = scopes(caps, provider, std::iter::empty());
        for scope in shared.into_iter().chain(element.frees.iter().cloned()) {
            *freed.entry(scope).or_insert(0) += 1;
        }
    }
    freed
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{ElementState, Level};
    use lockstep_store::EntityResult;
    use serde_json::Value;

    use super::*;

    fn end(number: u64, state: ElementState, next: Option<u16>, results: &[ElementState]) -> ElementEnd {
        let results = results.iter().map(|state| EntityResult {
            phase: 0,
            level: Level::Device,
            entity: 1,
            name: "name".to_owned(),
            parent: None,
            state: *state,
            reason: None,
            message: None,
            changed: false,
            pre_run: Value::Null,
            data: Value::Null,
        });
        ElementEnd {
            number,
            attempt: 1,
            state,
            next,
            parked: None,
            reason: None,
            message: None,
            changed: false,
            data: Value::Null.into(),
            results: results.collect(),
            facts: Vec::new(),
            checks: Vec::new(),
            items: vec![("item".to_owned(), Value::Null); usize::from(number == 1)],
        }
    }

    #[test]
    fn only_ends_that_took_place_count_and_those_that_go_on_count_for_their_stage() {
        use ElementState::{Failed, Filtered, Pending, Successful};
        let ends = [Ends {
            owner: None,
            ends: vec![
                end(1, Successful, None, &[]),
                end(2, Failed, None, &[Failed]),
                end(3, Filtered, None, &[]),
                end(4, Pending, Some(2), &[Successful]),
                end(5, Pending, Some(2), &[Successful, Failed]),
                // Another attempt began.
                end(6, Failed, None, &[Failed]),
                // Of another execution.
                end(7, Failed, None, &[Failed]),
            ],
        }];
        let ended = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (7, 2)];
        let states = [Successful, Failed, Filtered, Pending, Pending, Failed];
        let ended: Vec<EndedElement> = ended
            .into_iter()
            .zip(states)
            .map(|((number, execution), state)| EndedElement {
                number,
                execution,
                state,
                parked: false,
                frees: Vec::new(),
            })
            .collect();
        let expected = Event::ElementsEnded {
            done: 1,
            failed: 1,
            skipped: 1,
            passed: 2,
            partly_failed: 1,
            added: 1,
        };
        assert_eq!(event(1, &ended, &ends), Some(expected));
        assert_eq!(event(3, &ended, &ends), None);
    }
}
