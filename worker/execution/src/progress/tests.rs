use std::num::NonZeroU32;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::cycle::PlannedStage;

/// The stages of an execution with a run step on devices.
fn one_stage() -> StagePlan {
    let stage = Stage::Devices;
    StagePlan(vec![PlannedStage { phase: 0, stage }])
}

pub(super) fn progress(elements: u64) -> Progress {
    Progress {
        state: ExecutionState::Running,
        counts: Counts {
            elements,
            ..Counts::default()
        },
        limits: RunLimits::default(),
        paused: false,
        in_canary: false,
        parked: 0,
        halt: None,
        reason: None,
        plan: one_stage(),
        main: 0,
        stage: StageProgress {
            index: 0,
            elements,
            ended: 0,
        },
    }
}

fn with_canary(elements: u64, canary: u32) -> Progress {
    let mut progress = progress(elements);
    progress.limits.canary = NonZeroU32::new(canary);
    progress.in_canary = true;
    progress
}

fn with_percent(elements: u64, percent: u8) -> Progress {
    let mut progress = progress(elements);
    progress.limits.max_failed_percent = Some(percent);
    progress
}

fn halted(mut progress: Progress, halt: Halt) -> Progress {
    progress.halt = Some(halt);
    progress.reason = Some(format!("{halt:?}"));
    progress
}

pub(super) fn ended(done: u64, failed: u64, skipped: u64) -> Event {
    Event::ElementsEnded {
        done,
        failed,
        skipped,
        passed: 0,
        partly_failed: 0,
        added: 0,
    }
}

fn cancel() -> Event {
    Event::CancelRequested {
        by: Some("anna".to_owned()),
    }
}

pub(super) fn halt(halt: Halt, reason: &str) -> Step {
    let reason = reason.to_owned();
    Step::Halt { halt, reason }
}

/// The execution after these events, and the steps of the last one.
pub(super) fn after(progress: Progress, events: &[Event]) -> (Progress, Vec<Step>) {
    let first = (progress, Vec::new());
    events
        .iter()
        .fold(first, |(progress, _), event| next(&progress, event))
}

#[test]
fn an_execution_ends_by_its_counts() {
    use ExecutionState::{Aborted, Failed, PartialFailed, Successful};
    let (late, canary) = (Halt::Deadline, Halt::CanaryFailed);
    // execution; done, failed, skipped; state and reason
    let table = [
        (progress(3), (3, 0, 0), Successful, None),
        (progress(3), (2, 1, 0), PartialFailed, None),
        (progress(3), (0, 3, 0), Failed, None),
        (progress(3), (0, 1, 2), Failed, None),
        (progress(3), (1, 0, 2), Successful, None),
        (
            progress(12),
            (0, 0, 12),
            Aborted,
            Some("all 12 elements were skipped"),
        ),
        (
            progress(1),
            (0, 0, 1),
            Aborted,
            Some("the only element was skipped"),
        ),
        (
            halted(progress(3), late),
            (1, 1, 1),
            PartialFailed,
            Some("Deadline"),
        ),
        (halted(progress(3), late), (1, 0, 2), Successful, Some("Deadline")),
        (
            halted(progress(3), late),
            (0, 0, 3),
            Aborted,
            Some("all 3 elements were skipped: Deadline"),
        ),
        (
            halted(progress(3), canary),
            (0, 1, 2),
            Failed,
            Some("CanaryFailed"),
        ),
        (
            halted(progress(3), Halt::Cancelled),
            (1, 1, 1),
            Aborted,
            Some("Cancelled"),
        ),
        (
            halted(progress(3), Halt::Cancelled),
            (3, 0, 0),
            Aborted,
            Some("Cancelled"),
        ),
        // What has no more elements to begin is not halted by its last ones.
        (with_canary(2, 2), (1, 1, 0), PartialFailed, None),
        (with_percent(2, 10), (0, 2, 0), Failed, None),
    ];
    for (progress, (done, failed, skipped), state, reason) in table {
        let (after, steps) = next(&progress, &ended(done, failed, skipped));
        let reason = reason.map(str::to_owned);
        assert_eq!(after.state, state, "{progress:?}");
        assert_eq!(steps, [Step::End { state, reason }], "{progress:?}");
    }
}

#[test]
fn an_execution_without_elements_ends_at_once() {
    let (_, steps) = next(&progress(0), &Event::Started);
    let reason = Some("no element was selected".to_owned());
    let state = ExecutionState::Aborted;
    assert_eq!(steps, [Step::End { state, reason }]);
    assert_eq!(next(&progress(1), &Event::Started), (progress(1), vec![]));
}

#[test]
fn the_others_begin_after_the_canary_and_not_if_it_failed() {
    let failed = halt(Halt::CanaryFailed, "an element of its canary failed");
    let open = vec![Step::OpenCanary, Step::Release];
    let table = [
        (vec![ended(1, 0, 0)], vec![]),
        (vec![ended(2, 0, 0)], open.clone()),
        (vec![ended(1, 0, 0), ended(1, 0, 0)], open.clone()),
        (vec![ended(1, 0, 0), ended(0, 0, 1)], open.clone()),
        (vec![ended(0, 1, 0)], vec![failed.clone(), Step::SkipUnstarted]),
        (vec![ended(1, 1, 0)], vec![failed, Step::SkipUnstarted]),
        (vec![ended(0, 1, 0), ended(1, 0, 0)], vec![]),
        // A failure after the canary does not count.
        (vec![ended(2, 0, 0), ended(0, 1, 0)], vec![]),
        // Nothing is released while the execution is paused.
        (
            vec![Event::PauseRequested, ended(2, 0, 0)],
            vec![Step::OpenCanary],
        ),
    ];
    for (events, expected) in table {
        assert_eq!(after(with_canary(9, 2), &events).1, expected, "{events:?}");
    }
    // A worker that was killed between the ends and the opening is made up for.
    let mut stuck = with_canary(9, 2);
    stuck.counts.done = 2;
    stuck.stage.ended = 2;
    assert_eq!(next(&stuck, &Event::Checked).1, open);
    let resumed = next(&stuck, &Event::ResumeRequested).1;
    assert_eq!(resumed, [Step::Release, Step::OpenCanary]);
    // A canary that is larger than the execution is all of it.
    let (_, steps) = next(&with_canary(2, 5), &ended(2, 0, 0));
    assert!(matches!(steps[..], [Step::End { .. }]), "{steps:?}");
}

#[test]
fn too_many_failed_elements_halt_an_execution() {
    // percent, elements, failed; whether it halts
    let table = [
        (0, 10, 1, true),
        (10, 10, 1, false),
        (10, 10, 2, true),
        (10, 100, 10, false),
        (10, 100, 11, true),
        (33, 3, 1, true),
        (34, 3, 1, false),
        (100, 3, 2, false),
        (99, u64::MAX, u64::MAX - 1, true),
    ];
    for (percent, elements, failed, halts) in table {
        let (_, steps) = next(&with_percent(elements, percent), &ended(0, failed, 0));
        let halted = steps.iter().any(|step| {
            matches!(
                step,
                Step::Halt {
                    halt: Halt::TooManyFailed,
                    ..
                }
            )
        });
        assert_eq!(halted, halts, "{percent} {elements} {failed}");
        assert_eq!(steps.contains(&Step::SkipUnstarted), halts);
    }
    let (_, steps) = next(&with_percent(10, 10), &ended(0, 2, 0));
    let reason = "2 of 10 elements failed; at most 10 percent may fail";
    assert_eq!(steps[0], halt(Halt::TooManyFailed, reason));
}

#[test]
fn a_halt_gives_way_only_to_one_that_goes_further() {
    let by = |by: Option<&str>| Event::CancelRequested {
        by: by.map(str::to_owned),
    };
    let cancelled = |text| vec![halt(Halt::Cancelled, text), Step::SkipUnstarted];
    let late = vec![halt(Halt::Deadline, "its deadline is over"), Step::SkipUnstarted];
    let again = vec![Step::SkipUnstarted];
    let table = [
        (None, by(Some("anna")), cancelled("cancelled by anna")),
        (None, by(None), cancelled("cancelled")),
        (Some(Halt::TooManyFailed), by(None), cancelled("cancelled")),
        (Some(Halt::Deadline), by(None), cancelled("cancelled")),
        (Some(Halt::Cancelled), by(Some("anna")), again.clone()),
        (None, Event::DeadlineOver, late.clone()),
        (Some(Halt::CanaryFailed), Event::DeadlineOver, late),
        (Some(Halt::Deadline), Event::DeadlineOver, again.clone()),
        (Some(Halt::Cancelled), Event::DeadlineOver, again.clone()),
        (Some(Halt::TooManyFailed), Event::Checked, again.clone()),
        (Some(Halt::CanaryFailed), Event::ResumeRequested, again),
        (Some(Halt::Deadline), ended(0, 1, 0), vec![]),
    ];
    for (before, event, expected) in table {
        let mut progress = before.map_or_else(|| progress(9), |halt| halted(progress(9), halt));
        progress.limits.max_failed_percent = Some(50);
        let (after, steps) = next(&progress, &event);
        assert_eq!(steps, expected, "{before:?} {event:?}");
        assert!(after.halt >= before, "{after:?}");
    }
}

#[test]
fn requests_may_come_again() {
    let paused = after(progress(9), &[Event::PauseRequested]);
    assert_eq!((paused.0.paused, paused.1), (true, vec![]));
    let paused = after(progress(9), &[Event::PauseRequested, Event::PauseRequested]);
    assert_eq!((paused.0.paused, paused.1), (true, vec![]));
    let resumed = after(paused.0, &[Event::ResumeRequested]);
    assert_eq!((resumed.0.paused, resumed.1), (false, vec![Step::Release]));
    for event in [Event::Checked, Event::Started] {
        assert_eq!(next(&progress(9), &event), (progress(9), vec![]), "{event:?}");
    }
    let once = after(progress(9), &[cancel()]).0;
    assert_eq!(after(progress(9), &[cancel(), cancel()]).0, once);
}

#[test]
fn what_ended_stays_as_it_is() {
    let all = [
        Event::Started,
        cancel(),
        Event::PauseRequested,
        Event::ResumeRequested,
        Event::DeadlineOver,
        Event::Checked,
    ];
    for state in ExecutionState::ALL.into_iter().filter(|state| state.is_final()) {
        let progress = Progress { state, ..progress(0) };
        for event in &all {
            assert_eq!(next(&progress, event), (progress.clone(), vec![]), "{event:?}");
        }
    }
    // A worker that was killed after the last element ended is made up for.
    let mut stuck = progress(2);
    stuck.counts.done = 2;
    let (state, reason) = (ExecutionState::Successful, None);
    assert_eq!(next(&stuck, &Event::Checked).1, [Step::End { state, reason }]);
}

#[test]
fn large_executions_tell_each_tenth_once() {
    let tenths = |elements: u64, batches: &[u64]| {
        let mut progress = progress(elements);
        let mut told = Vec::new();
        for batch in batches {
            let (after, steps) = next(&progress, &ended(*batch, 0, 0));
            told.extend(steps.into_iter().filter_map(|step| match step {
                Step::ReportProgress { tenths } => Some(tenths),
                _ => None,
            }));
            progress = after;
        }
        told
    };
    assert_eq!(tenths(100, &[1; 100]), (1..10).collect::<Vec<_>>());
    assert_eq!(tenths(100, &[9, 1, 1, 45, 44]), [1, 5]);
    assert!(tenths(99, &[1; 99]).is_empty());
    assert_eq!(tenths(1_000_000, &[99_999, 1, 0, 900_000]), [1]);
}

/// Elements as a store has them, which does what the steps say.
struct Model {
    progress: Progress,
    unstarted: u64,
    running: u64,
    ends: u32,
    told: u8,
}

impl Model {
    fn happens(&mut self, event: &Event) {
        let before = self.progress.clone();
        let (after, steps) = next(&self.progress, event);
        assert!(after.halt >= before.halt);
        self.progress = after;
        let mut skipped = 0;
        for step in steps {
            match step {
                Step::OpenCanary => {
                    assert!(before.in_canary && !self.progress.in_canary && before.counts.failed == 0);
                }
                Step::Release => assert!(!self.progress.paused && self.progress.halt.is_none()),
                Step::Halt { halt, .. } => assert_eq!(self.progress.halt, Some(halt)),
                Step::SkipUnstarted => {
                    assert!(self.progress.halt.is_some());
                    skipped = std::mem::take(&mut self.unstarted);
                }
                Step::ReportProgress { tenths } => {
                    assert!((self.told + 1..10).contains(&tenths));
                    self.told = tenths;
                }
                Step::BeginStage { .. } => panic!("there is one stage"),
                Step::End { state, .. } => {
                    assert_eq!((self.unstarted, self.running), (0, 0));
                    assert!(state.is_final() && state == self.progress.state);
                    self.ends += 1;
                }
            }
        }
        let counts = self.progress.counts;
        let open = self.unstarted + self.running + skipped;
        assert_eq!(counts.ended() + open, counts.elements, "{counts:?}");
        if skipped > 0 {
            self.happens(&ended(0, 0, skipped));
        }
    }

    fn begins(&mut self) {
        let Progress {
            paused,
            halt,
            in_canary,
            counts,
            ..
        } = &self.progress;
        let canary = self
            .progress
            .canary()
            .saturating_sub(counts.ended() + self.running);
        let may = if *in_canary { canary } else { u64::MAX };
        if !paused && halt.is_none() && self.unstarted > 0 && may > 0 {
            self.unstarted -= 1;
            self.running += 1;
        }
    }

    fn ends(&mut self, rng: &mut StdRng) {
        let count = rng.random_range(0..=self.running.min(5));
        let failed = if rng.random_bool(0.3) {
            rng.random_range(0..=count)
        } else {
            0
        };
        let skipped = rng.random_range(0..=count - failed);
        self.running -= count;
        self.happens(&ended(count - failed - skipped, failed, skipped));
    }
}

#[test]
fn every_execution_ends_once_whatever_happens() {
    let mut states = std::collections::BTreeSet::new();
    for seed in 0..3000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let elements = rng.random_range(0..if seed % 10 == 0 { 300 } else { 12 });
        let canary = NonZeroU32::new(rng.random_range(0..4));
        let mut progress = progress(elements);
        progress.limits.canary = canary;
        progress.in_canary = canary.is_some();
        progress.limits.max_failed_percent = rng.random_bool(0.5).then(|| rng.random_range(0..=100));
        let mut model = Model {
            progress,
            unstarted: elements,
            running: 0,
            ends: 0,
            told: 0,
        };
        model.happens(&Event::Started);
        for _ in 0..rng.random_range(0..elements * 3 + 1) {
            match rng.random_range(0..100) {
                0..50 => model.begins(),
                50..80 => model.ends(&mut rng),
                80..85 => model.happens(&Event::PauseRequested),
                85..93 => model.happens(&Event::ResumeRequested),
                93..98 => model.happens(&Event::Checked),
                98 => model.happens(&Event::DeadlineOver),
                _ => model.happens(&cancel()),
            }
        }
        model.happens(&Event::ResumeRequested);
        for _ in 0..=elements * 20 {
            model.begins();
            model.ends(&mut rng);
        }
        assert_eq!(model.ends, 1, "seed {seed}: {:?}", model.progress);
        states.insert(model.progress.state);
    }
    assert_eq!(states.len(), 4, "{states:?}");
}
