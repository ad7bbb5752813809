//! The life of an execution: what follows when elements end and requests arrive.

use lockstep_protocol::commands::RunLimits;
use lockstep_protocol::{ExecutionState, Stage};

use crate::admission::{Staged, execution_cap};
use crate::cycle::StagePlan;

/// Executions with fewer elements do not report their progress.
const REPORTS_FROM: u64 = 100;

/// What an execution is decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: ExecutionState,
    /// How many elements it has, and how many ended.
    pub counts: Counts,
    /// Its limits: the canary, and the share of elements that may fail.
    pub limits: RunLimits,
    /// Whether nothing more begins until it is resumed.
    pub paused: bool,
    /// Whether only the elements of its canary may begin. True from the start if it has a canary.
    pub in_canary: bool,
    /// How many elements began and are parked.
    pub parked: u64,
    /// Why nothing more begins at all.
    pub halt: Option<Halt>,
    /// Why it was halted or ended so, for people.
    pub reason: Option<String>,
    /// The stages that it goes through.
    pub plan: StagePlan,
    /// The index of the phase of the task itself: the number of pre-tasks.
    pub main: u8,
    /// The stage that it is in.
    pub stage: StageProgress,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageProgress {
    /// Its index in the plan.
    pub index: u16,
    /// How many elements take part in it.
    pub elements: u64,
    /// How many of these ended it.
    pub ended: u64,
}

/// How many elements an execution has, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All elements.
    pub elements: u64,
    /// Those that were done.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that did not run.
    pub skipped: u64,
}

impl Counts {
    fn ended(&self) -> u64 {
        self.done + self.failed + self.skipped
    }

    fn open(&self) -> u64 {
        self.elements.saturating_sub(self.ended())
    }

    /// How many tenths of the elements ended.
    fn tenths(&self) -> u8 {
        let tenths = u128::from(self.ended()) * 10 / u128::from(self.elements.max(1));
        u8::try_from(tenths).unwrap_or(u8::MAX)
    }
}

/// Why no more elements of an execution begin, ever. One that goes further, in this order, replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Halt {
    /// A larger share of the elements failed than allowed.
    TooManyFailed,
    /// An element of the canary failed.
    CanaryFailed,
    /// The fleet failed, and everything is below it.
    ParentFailed,
    /// The deadline is over.
    Deadline,
    /// It was cancelled.
    Cancelled,
}

/// What happened to an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its elements were stored.
    Started,
    /// So many elements ended their stage with this transaction, and no other.
    ElementsEnded {
        /// Those that were done.
        done: u64,
        /// Those that failed.
        failed: u64,
        /// Those that did not run.
        skipped: u64,
        /// Those that go on in a later stage.
        passed: u64,
        /// Those among them of which a part failed.
        partly_failed: u64,
        /// Elements that were added: items that step 1 found.
        added: u64,
    },
    /// A stage was begun, as [`Step::BeginStage`] said, and so many elements take part in it.
    StageBegun {
        /// How many.
        elements: u64,
    },
    /// Somebody wants it to end.
    CancelRequested {
        /// Who, as authenticated.
        by: Option<String>,
    },
    /// Somebody wants it to begin nothing more until it is resumed.
    PauseRequested,
    /// Somebody wants it to go on.
    ResumeRequested,
    /// Its deadline passed.
    DeadlineOver,
    /// Nothing new: a periodic task looks whether something was missed.
    Checked,
}

/// What is to be done. What the steps say about the execution itself is in the [`Progress`] that comes with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The canary passed: the other elements may begin.
    OpenCanary,
    /// Queue elements that wait for the execution, as many as may begin.
    Release,
    /// All elements ended the stage before: begin this one, and tell by [`Event::StageBegun`] how many elements take part. If the execution
    /// is paused, none of them is queued yet.
    BeginStage {
        /// The index of the stage.
        stage: u16,
    },
    /// Nothing more begins. What runs is told to stop if the halt says so.
    Halt {
        /// Why.
        halt: Halt,
        /// Why, for people.
        reason: String,
    },
    /// Skip all elements that have not begun. Repeated whenever it may not have been finished.
    SkipUnstarted,
    /// Tell how far it is: so many tenths of its elements ended, 1 to 9. Each is told at most once.
    ReportProgress {
        /// How many.
        tenths: u8,
    },
    /// It ended.
    End {
        /// How.
        state: ExecutionState,
        /// Why, where the counts do not say it.
        reason: Option<String>,
    },
}

/// What follows from an event: the execution afterwards, and what is to be done. An execution that ended stays as it is.
///
/// Events may come again: a repeated request changes nothing, and repeats only steps that may be repeated.
pub fn next(progress: &Progress, event: &Event) -> (Progress, Vec<Step>) {
    let mut after = progress.clone();
    let mut steps = Vec::new();
    if progress.state.is_final() {
        return (after, steps);
    }
    match event {
        Event::Started | Event::Checked => {}
        Event::ElementsEnded {
            done,
            failed,
            skipped,
            passed,
            partly_failed: _,
            added,
        } => {
            after.counts.elements += added;
            after.counts.done += done;
            after.counts.failed += failed;
            after.counts.skipped += skipped;
            after.stage.ended += done + failed + skipped + passed;
        }
        Event::StageBegun { elements } => after.stage.elements = *elements,
        Event::CancelRequested { by } => {
            let reason = by
                .as_ref()
                .map_or_else(|| "cancelled".to_owned(), |by| format!("cancelled by {by}"));
            after.halt_for(Halt::Cancelled, reason, &mut steps);
        }
        Event::PauseRequested => after.paused = true,
        Event::ResumeRequested => {
            after.paused = false;
            if after.halt.is_none() {
                steps.push(Step::Release);
            }
        }
        Event::DeadlineOver => {
            after.halt_for(Halt::Deadline, "its deadline is over".to_owned(), &mut steps);
        }
    }
    if after.counts.open() == 0 {
        let (state, reason) = after.end();
        after.state = state;
        after.reason.clone_from(&reason);
        return (after, vec![Step::End { state, reason }]);
    }
    after.check_failures(event, &mut steps);
    if after.halt.is_some() {
        if !matches!(event, Event::ElementsEnded { .. }) || after.halt != progress.halt {
            steps.push(Step::SkipUnstarted);
        }
    } else {
        if after.is_canary_stage() && after.stage.ended >= after.canary() {
            after.in_canary = false;
            steps.push(Step::OpenCanary);
            if !after.paused && !steps.contains(&Step::Release) {
                steps.push(Step::Release);
            }
        }
        after.join(&mut steps);
    }
    let tenths = after.counts.tenths();
    if after.counts.elements >= REPORTS_FROM && tenths > progress.counts.tenths() {
        steps.push(Step::ReportProgress { tenths });
    }
    (after, steps)
}

impl Progress {
    /// How many elements may run at once by its own limits, if they bound it.
    pub fn cap(&self) -> Option<u32> {
        let is_staged = self.stage.index == self.plan.canary(self.main);
        let staged = is_staged.then_some(Staged {
            in_canary: self.in_canary,
            ended: self.stage.ended,
            parked: self.parked,
        });
        execution_cap(&self.limits, staged)
    }

    /// Whether the elements of its canary run, or are about to. In stages before, nothing is held back for the canary.
    fn is_canary_stage(&self) -> bool {
        self.in_canary && self.stage.index == self.plan.canary(self.main)
    }

    fn canary(&self) -> u64 {
        let canary = self.limits.canary.map_or(0, |canary| u64::from(canary.get()));
        canary.min(self.stage.elements)
    }

    /// Begins the next stage if all elements ended this one.
    fn join(&mut self, steps: &mut Vec<Step>) {
        let StageProgress {
            index,
            elements,
            ended,
        } = self.stage;
        if ended < elements || usize::from(index) + 1 >= self.plan.0.len() {
            return;
        }
        let stage = index + 1;
        self.stage = StageProgress {
            index: stage,
            ..StageProgress::default()
        };
        steps.push(Step::BeginStage { stage });
    }

    /// Whether everything is below an element that fails in this stage: the fleet prepares, or its pre-task ends.
    fn is_above_all(&self) -> bool {
        let planned = self.plan.0.get(usize::from(self.stage.index));
        planned.is_some_and(|planned| match planned.stage {
            Stage::PreRunGlobal => true,
            Stage::RunGlobal => planned.phase < self.main,
            Stage::Items | Stage::PreRunGroups | Stage::Devices | Stage::RunGroups => false,
        })
    }

    /// Halts, unless it is halted for the same reason or one that goes further.
    fn halt_for(&mut self, halt: Halt, reason: String, steps: &mut Vec<Step>) {
        if self.halt < Some(halt) {
            self.halt = Some(halt);
            self.reason = Some(reason.clone());
            steps.push(Step::Halt { halt, reason });
        }
    }

    /// Halts if more failed with this event than the canary, the fleet or the share of failed elements allows.
    fn check_failures(&mut self, event: &Event, steps: &mut Vec<Step>) {
        let Counts { elements, failed, .. } = self.counts;
        let (failed_now, partly) = match event {
            Event::ElementsEnded {
                failed,
                partly_failed,
                ..
            } => (*failed, *partly_failed),
            _ => (0, 0),
        };
        if failed_now > 0 && self.is_above_all() {
            let reason = "the step on the whole fleet failed, so nothing else runs".to_owned();
            self.halt_for(Halt::ParentFailed, reason, steps);
        }
        if failed_now + partly > 0 && self.is_canary_stage() {
            let reason = "an element of its canary failed".to_owned();
            self.halt_for(Halt::CanaryFailed, reason, steps);
        }
        let Some(percent) = self.limits.max_failed_percent else {
            return;
        };
        if u128::from(failed) * 100 > u128::from(elements) * u128::from(percent) {
            let reason =
                format!("{failed} of {elements} elements failed; at most {percent} percent may fail");
            self.halt_for(Halt::TooManyFailed, reason, steps);
        }
    }

    /// How it ends when all elements ended, and why.
    fn end(&self) -> (ExecutionState, Option<String>) {
        let Counts {
            elements,
            done,
            failed,
            skipped,
        } = self.counts;
        let halted = self.halt.and(self.reason.clone());
        match (done, failed) {
            _ if self.halt == Some(Halt::Cancelled) => (ExecutionState::Aborted, halted),
            _ if elements == 0 => (
                ExecutionState::Aborted,
                Some("no element was selected".to_owned()),
            ),
            (0, 0) => {
                let all = match skipped {
                    1 => "the only element was skipped".to_owned(),
                    _ => format!("all {skipped} elements were skipped"),
                };
                let why = halted.map_or_else(String::new, |why| format!(": {why}"));
                (ExecutionState::Aborted, Some(all + &why))
            }
            (_, 0) => (ExecutionState::Successful, halted),
            (0, _) => (ExecutionState::Failed, halted),
            _ => (ExecutionState::PartialFailed, halted),
        }
    }
}

#[cfg(test)]
mod stage_tests;
#[cfg(test)]
mod tests;
