//! Carries out what follows from an event for an execution: the pure engine says what, and this writes it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_execution::{
    Caps, Counts, Event, Halt, Limit, Progress, StageProgress, Step, initially, next, releasable,
};
use lockstep_protocol::results::ExecutionFinished;
use lockstep_protocol::{Message, MessageKey, WorkResult};
use lockstep_store::{
    BegunStage, CapScope, Effects, ElementCounts, ExecutionRow, ExecutionTransaction, Facts, FollowUpRequest,
    FollowUpTarget, Origin, QueuedElement, StageRow, StoreError,
};

use super::ExecutionOptions;
use super::cluster::pass_on;
use super::phase::{main, stages};
use super::sweep::after_end;

/// The most elements that one transaction skips or queues of one execution. The periodic task goes on.
pub(super) const CHUNK: u32 = 1000;

/// What is to be done after the commit, beside publishing the follow-ups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Aftermath {
    /// The numbers of elements that were queued.
    pub(super) queued: Vec<QueuedElement>,
    /// Executions that ended: the messages that requested them have follow-ups now.
    pub(super) ended: Vec<ExecutionRow>,
    /// Executions that report how far they are.
    pub(super) progressed: Vec<ExecutionRow>,
    /// Whether an execution has unstarted elements left that are to be skipped.
    pub(super) more: bool,
}

impl Aftermath {
    pub(super) fn join(&mut self, other: Self) {
        self.queued.extend(other.queued);
        self.ended.extend(other.ended);
        self.progressed.extend(other.progressed);
        self.more |= other.more;
    }
}

/// Applies an event to an execution that is locked, and writes all that follows from it. What gets a place is due after `grace`.
pub(super) async fn advance(
    executions: &mut (dyn ExecutionTransaction + '_),
    facts: &mut Facts,
    row: &mut ExecutionRow,
    event: Event,
    now: Timestamp,
    options: &ExecutionOptions,
    grace: Duration,
) -> Result<Aftermath, StoreError> {
    let mut aftermath = Aftermath::default();
    let mut event = Some(event);
    while let Some(happened) = event.take() {
        let (after, steps) = next(&progress(row), &happened);
        take_over(row, after);
        let ends = steps.iter().any(|step| matches!(step, Step::End { .. }));
        if ends {
            row.ended_at = Some(now);
            facts.absorb(finished(row), &origin(row, now));
            aftermath.ended.push(row.clone());
        }
        executions.update(row).await?;
        if ends {
            aftermath.queued.extend(pass_on(executions, row, grace).await?);
            if row.request.parent.is_some() {
                let waiting = CapScope::Ended(row.number);
                aftermath
                    .queued
                    .extend(executions.release(&waiting, 1, grace).await?);
            }
        }
        for step in steps {
            match step {
                Step::Release => {
                    let released = release_own(executions, row, grace).await?;
                    aftermath.queued.extend(released);
                }
                Step::Halt { halt, reason } => {
                    tracing::info!(execution = %row.id, task = row.request.task, halt = stored(halt).as_str(), reason, "execution begins nothing more");
                }
                Step::SkipUnstarted => {
                    let skipped = skip_unstarted(executions, row).await?;
                    aftermath.more |= skipped == u64::from(CHUNK);
                    if skipped > 0 {
                        event = Some(skipped_elements(skipped));
                    }
                }
                Step::ReportProgress { .. } => aftermath.progressed.push(row.clone()),
                Step::BeginStage { stage } => {
                    let begun = begin_stage(executions, row, stage, options).await?;
                    aftermath.queued.extend(begun.queued);
                    event = Some(Event::StageBegun {
                        elements: begun.elements,
                    });
                }
                // The row has it.
                Step::OpenCanary | Step::End { .. } => {}
            }
        }
    }
    Ok(aftermath)
}

pub(super) fn skipped_elements(skipped: u64) -> Event {
    Event::ElementsEnded {
        done: 0,
        failed: 0,
        skipped,
        passed: 0,
        partly_failed: 0,
        added: 0,
    }
}

/// Begins a stage: queues as many of its elements as may begin. Those of an execution that is paused wait until it is resumed.
async fn begin_stage(
    executions: &mut (dyn ExecutionTransaction + '_),
    row: &ExecutionRow,
    stage: u16,
    options: &ExecutionOptions,
) -> Result<BegunStage, StoreError> {
    let itself = CapScope::Execution(row.number);
    let own = own_cap(row).map(|cap| (itself.clone(), cap));
    let (queued, waits_for) = if row.paused {
        (0, None)
    } else {
        initially(u64::MAX, &caps_of_all(own, &row.request.provider, &options.caps))
    };
    let waits_for = waits_for.unwrap_or(itself);
    executions
        .begin_stage(row.number, stage, queued, &waits_for, options.overdue_after)
        .await
}

/// The caps that apply to all elements of an execution, in the order in which these wait: its own, and those of workers.
pub(super) fn caps_of_all(own: Option<(CapScope, u32)>, provider: &str, caps: &Caps) -> Vec<(CapScope, u32)> {
    let overall = caps.overall.map(|cap| (CapScope::Overall, cap.get()));
    let of_provider = caps.providers.get(provider);
    let of_provider = of_provider.map(|cap| (CapScope::Provider(provider.to_owned()), cap.get()));
    own.into_iter().chain(overall).chain(of_provider).collect()
}

async fn skip_unstarted(
    executions: &mut (dyn ExecutionTransaction + '_),
    row: &ExecutionRow,
) -> Result<u64, StoreError> {
    let Some(halt) = row.halt else {
        return Ok(0);
    };
    let message = row.reason.as_deref().unwrap_or_else(|| halt.as_str());
    executions.skip_unstarted(row.number, halt, message, CHUNK).await
}

/// Queues elements that wait for their execution, as many as may begin by its own limits.
pub(super) async fn release_own(
    executions: &mut (dyn ExecutionTransaction + '_),
    row: &ExecutionRow,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    let scope = CapScope::Execution(row.number);
    let limit = match own_cap(row) {
        None => CHUNK,
        Some(cap) => {
            let scopes = BTreeSet::from([scope.clone()]);
            let running = executions.running(&scopes).await?;
            let queued = executions.queued(&scopes).await?;
            let count =
                |counts: &std::collections::BTreeMap<_, u32>| counts.get(&scope).copied().unwrap_or(0);
            let limit = Limit {
                cap,
                running: count(&running),
            };
            releasable(limit, count(&queued), CHUNK)
        }
    };
    match limit {
        0 => Ok(Vec::new()),
        _ => executions.release(&scope, limit, grace).await,
    }
}

/// How many elements of an execution may run at once by its own limits.
pub(super) fn own_cap(row: &ExecutionRow) -> Option<u32> {
    progress(row).cap()
}

/// Logs that an execution ended.
pub(super) fn log_end(row: &ExecutionRow) {
    let ElementCounts {
        elements,
        done,
        failed,
        skipped,
    } = row.counts;
    tracing::info!(execution = %row.id, task = row.request.task, state = %row.state, reason = row.reason, elements, done, failed, skipped, "execution ended");
}

/// The key of the message that requested an execution.
pub(super) fn request_key(row: &ExecutionRow) -> MessageKey {
    MessageKey {
        identity: row.request.identity.clone(),
        actor: row.request.actor.as_deref().map(Into::into),
    }
}

fn origin(row: &ExecutionRow, now: Timestamp) -> Origin<'_> {
    Origin {
        identity: &row.request.identity,
        kind: row.request.kind,
        actor: row.request.actor.as_deref(),
        at: now,
        reply: Some(&row.request.reply),
    }
}

/// The result of an execution that ended, as a follow-up of the message that requested it.
fn finished(row: &ExecutionRow) -> Effects {
    let ElementCounts {
        done,
        failed,
        skipped,
        ..
    } = row.counts;
    let result = WorkResult::ExecutionFinished(ExecutionFinished {
        execution: row.id,
        state: row.state,
        reason: row.reason.clone(),
        dry_run: row.request.requested.dry_run,
        actor: row.request.actor.clone(),
        done,
        failed,
        skipped,
    });
    let follow_up = FollowUpRequest {
        message: Message::Result(result),
        subject: None,
        target: FollowUpTarget::Requester,
        delay: None,
        lease: None,
    };
    Effects {
        follow_ups: std::iter::once(follow_up).chain(after_end(row)).collect(),
        ..Effects::default()
    }
}

/// What the engine decides by.
fn progress(row: &ExecutionRow) -> Progress {
    let ElementCounts {
        elements,
        done,
        failed,
        skipped,
    } = row.counts;
    Progress {
        state: row.state,
        counts: Counts {
            elements,
            done,
            failed,
            skipped,
        },
        limits: *row.request.limits(),
        paused: row.paused,
        in_canary: row.in_canary,
        parked: row.parked,
        halt: row.halt.map(decided),
        reason: row.reason.clone(),
        plan: stages(&row.request),
        main: main(&row.request),
        stage: StageProgress {
            index: row.stage.index,
            elements: row.stage.elements,
            ended: row.stage.ended,
        },
    }
}

fn take_over(row: &mut ExecutionRow, after: Progress) {
    let Counts {
        elements,
        done,
        failed,
        skipped,
    } = after.counts;
    row.counts = ElementCounts {
        elements,
        done,
        failed,
        skipped,
    };
    row.state = after.state;
    row.paused = after.paused;
    row.in_canary = after.in_canary;
    row.halt = after.halt.map(stored);
    row.reason = after.reason;
    row.stage = StageRow {
        index: after.stage.index,
        elements: after.stage.elements,
        ended: after.stage.ended,
    };
}

fn stored(halt: Halt) -> lockstep_store::Halt {
    match halt {
        Halt::Cancelled => lockstep_store::Halt::Cancelled,
        Halt::Deadline => lockstep_store::Halt::Deadline,
        Halt::CanaryFailed => lockstep_store::Halt::CanaryFailed,
        Halt::ParentFailed => lockstep_store::Halt::ParentFailed,
        Halt::TooManyFailed => lockstep_store::Halt::TooManyFailed,
    }
}

fn decided(halt: lockstep_store::Halt) -> Halt {
    match halt {
        lockstep_store::Halt::Cancelled => Halt::Cancelled,
        lockstep_store::Halt::Deadline => Halt::Deadline,
        lockstep_store::Halt::CanaryFailed => Halt::CanaryFailed,
        lockstep_store::Halt::ParentFailed => Halt::ParentFailed,
        lockstep_store::Halt::TooManyFailed => Halt::TooManyFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_to_halt_are_the_same_in_the_engine_and_in_the_store() {
        for halt in lockstep_store::Halt::ALL {
            assert_eq!(stored(decided(halt)), halt);
        }
    }
}
