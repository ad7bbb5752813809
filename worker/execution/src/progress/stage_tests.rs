use std::num::NonZeroU32;

use lockstep_protocol::EntityType;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::tests::{after, ended, halt, progress};
use super::*;
use crate::cycle::PlannedStage;

fn plan(stages: &[(u8, Stage)]) -> StagePlan {
    let stages = stages.iter().map(|(phase, stage)| PlannedStage {
        phase: *phase,
        stage: *stage,
    });
    StagePlan(stages.collect())
}

/// An execution with so many elements, of which some take part in the first of these stages.
fn staged(elements: u64, in_first: u64, stages: &[(u8, Stage)]) -> Progress {
    let mut progress = progress(elements);
    progress.plan = plan(stages);
    progress.stage.elements = in_first;
    progress
}

fn passed(passed: u64) -> Event {
    Event::ElementsEnded {
        done: 0,
        failed: 0,
        skipped: 0,
        passed,
        partly_failed: 0,
        added: 0,
    }
}

fn begun(elements: u64) -> Event {
    Event::StageBegun { elements }
}

fn begin(stage: u16) -> Vec<Step> {
    vec![Step::BeginStage { stage }]
}

const GROUPS_AND_DEVICES: [(u8, Stage); 3] = [
    (0, Stage::PreRunGroups),
    (0, Stage::Devices),
    (0, Stage::RunGroups),
];

#[test]
fn the_next_stage_begins_when_all_elements_ended_the_one_before() {
    let cancelled = vec![halt(Halt::Cancelled, "cancelled"), Step::SkipUnstarted];
    let cancel = Event::CancelRequested { by: None };
    // The events of an execution with two groups and three devices, and the steps after the last one.
    let table = [
        (vec![Event::Started], vec![]),
        (vec![passed(1)], vec![]),
        (vec![passed(2)], begin(1)),
        (vec![passed(1), passed(1)], begin(1)),
        (vec![ended(0, 1, 0), passed(1)], begin(1)),
        (vec![passed(1), ended(0, 0, 1)], begin(1)),
        (vec![passed(2), begun(3)], vec![]),
        (vec![passed(2), begun(3), ended(2, 0, 0)], vec![]),
        (vec![passed(2), begun(3), ended(2, 1, 0)], begin(2)),
        // A stage without open elements is passed over at once.
        (vec![passed(2), begun(0)], begin(2)),
        (vec![passed(2), begun(3), ended(3, 0, 0), begun(2)], vec![]),
        // A pause does not hold up the barrier, only what is behind it.
        (vec![Event::PauseRequested, passed(2)], begin(1)),
        // What is halted begins no stage.
        (vec![passed(1), cancel.clone()], cancelled),
        (vec![cancel, passed(2)], vec![]),
        // A worker that was killed before it began the stage is made up for.
        (vec![passed(2), begun(3), Event::Checked], vec![]),
    ];
    for (events, expected) in table {
        let (_, steps) = after(staged(5, 2, &GROUPS_AND_DEVICES), &events);
        assert_eq!(steps, expected, "{events:?}");
    }
    let mut stuck = staged(5, 2, &GROUPS_AND_DEVICES);
    stuck.stage.ended = 2;
    assert_eq!(next(&stuck, &Event::Checked).1, begin(1));
    let empty = staged(5, 0, &GROUPS_AND_DEVICES);
    let (begins, steps) = next(&empty, &Event::Started);
    assert_eq!(steps, begin(1));
    let expected = StageProgress {
        index: 1,
        ..StageProgress::default()
    };
    assert_eq!(begins.stage, expected);
}

#[test]
fn a_canary_and_its_bound_are_about_one_stage() {
    let stages = [
        (0, Stage::Devices),
        (1, Stage::PreRunGroups),
        (1, Stage::Devices),
        (2, Stage::Devices),
    ];
    let mut progress = staged(12, 10, &stages);
    progress.main = 1;
    progress.limits.canary = NonZeroU32::new(2);
    progress.in_canary = true;
    // A pre-task that fails is none of the canary, and the canary holds nothing back before its stage.
    assert_eq!(progress.cap(), None);
    let (progress, steps) = after(progress, &[ended(0, 1, 0), passed(9)]);
    assert_eq!((steps, progress.cap()), (begin(1), None));
    let (progress, steps) = after(progress, &[begun(2), passed(2)]);
    assert_eq!(steps, begin(2));
    let (canary, _) = next(&progress, &begun(9));
    assert_eq!((canary.cap(), canary.in_canary), (Some(2), true));
    let (one, steps) = next(&canary, &passed(1));
    assert_eq!((one.cap(), steps), (Some(1), vec![]));
    let open = vec![Step::OpenCanary, Step::Release];
    let (opened, steps) = next(&one, &passed(1));
    assert_eq!((opened.cap(), &steps), (None, &open));
    // A failure after that is none of the canary.
    assert_eq!(next(&opened, &ended(0, 1, 0)).1, []);
    let failed = vec![
        halt(Halt::CanaryFailed, "an element of its canary failed"),
        Step::SkipUnstarted,
    ];
    assert_eq!(next(&canary, &ended(0, 1, 0)).1, failed);
    // An element that goes on although a part of it failed is a failed one.
    let partly = Event::ElementsEnded {
        done: 0,
        failed: 0,
        skipped: 0,
        passed: 1,
        partly_failed: 1,
        added: 0,
    };
    assert_eq!(next(&canary, &partly).1, failed);
    // A canary that is all of its stage is over with it.
    let (few, _) = next(&progress, &begun(1));
    let steps = next(&few, &passed(1)).1;
    assert_eq!(steps, [open, begin(3)].concat());
}

#[test]
fn a_failed_fleet_halts_what_is_below_it() {
    let reason = "the step on the whole fleet failed, so nothing else runs";
    let halted = vec![halt(Halt::ParentFailed, reason), Step::SkipUnstarted];
    let stages = [
        (0, Stage::PreRunGlobal),
        (0, Stage::RunGlobal),
        (1, Stage::PreRunGlobal),
        (1, Stage::PreRunGroups),
        (1, Stage::RunGlobal),
        (2, Stage::PreRunGlobal),
        (2, Stage::RunGlobal),
    ];
    for (index, halts) in [true, true, true, false, false, true, false]
        .into_iter()
        .enumerate()
    {
        let mut progress = staged(9, 1, &stages);
        progress.main = 1;
        progress.stage.index = u16::try_from(index).unwrap();
        let (_, steps) = next(&progress, &ended(0, 1, 0));
        assert_eq!(steps == halted, halts, "{index}: {steps:?}");
    }
    let (progress, _) = next(&staged(3, 1, &stages), &ended(0, 1, 0));
    let (progress, steps) = next(&progress, &ended(0, 0, 2));
    assert_eq!(progress.state, ExecutionState::Failed);
    let state = ExecutionState::Failed;
    let reason = Some(reason.to_owned());
    assert_eq!(steps, [Step::End { state, reason }]);
}

#[test]
fn items_that_the_first_step_found_are_elements_of_the_next_stage() {
    let stages = [(0, Stage::PreRunGlobal), (0, Stage::Items), (0, Stage::RunGlobal)];
    let found = |passed: u64, done: u64| Event::ElementsEnded {
        done,
        failed: 0,
        skipped: 0,
        passed,
        partly_failed: 0,
        added: 3,
    };
    let (progress, steps) = next(&staged(1, 1, &stages), &found(1, 0));
    assert_eq!((progress.counts.elements, steps), (4, begin(1)));
    let (progress, steps) = after(progress, &[begun(3), ended(2, 1, 0)]);
    assert_eq!(steps, begin(2));
    let (progress, _) = after(progress, &[begun(1), ended(1, 0, 0)]);
    assert_eq!(progress.state, ExecutionState::PartialFailed);
    // The fleet ends with step 1, and the items are still to come.
    let (progress, steps) = next(&staged(1, 1, &stages[..2]), &found(0, 1));
    assert_eq!((progress.state, steps), (ExecutionState::Running, begin(1)));
}

/// An element with the stages that are left to it, the first of which is next.
#[derive(Clone, Debug)]
struct Element(Vec<u16>);

/// Runs an execution in a random order. Returns the stages that were begun, and how often it ended.
fn run(progress: &Progress, mut open: Vec<Element>, rng: &mut StdRng) -> (Vec<u16>, u32, ExecutionState) {
    let (mut progress, mut stages, mut ends) = (progress.clone(), vec![0], 0);
    let mut events = vec![Event::Started];
    loop {
        let event = events.pop().unwrap_or_else(|| finish(&progress, &mut open, rng));
        let (after, steps) = next(&progress, &event);
        progress = after;
        for step in steps {
            match step {
                Step::BeginStage { stage } => {
                    assert!(
                        open.iter().all(|element| element.0[0] >= stage),
                        "a barrier is open"
                    );
                    let takes_part = |element: &&Element| element.0[0] == stage;
                    let elements = open.iter().filter(takes_part).count() as u64;
                    stages.push(stage);
                    events.push(begun(elements));
                }
                Step::SkipUnstarted => {
                    let skipped = std::mem::take(&mut open).len() as u64;
                    events.push(ended(0, 0, skipped));
                }
                Step::End { .. } => ends += 1,
                Step::OpenCanary | Step::Release | Step::Halt { .. } | Step::ReportProgress { .. } => {}
            }
        }
        if progress.state.is_final() {
            assert!(open.is_empty());
            return (stages, ends, progress.state);
        }
    }
}

/// Some elements of the stage end it, in a random order: some fail, and end, and the others go on if they have a stage left.
fn finish(progress: &Progress, open: &mut Vec<Element>, rng: &mut StdRng) -> Event {
    let (mut done, mut failed, mut passed) = (0, 0, 0);
    for _ in 0..rng.random_range(1..4) {
        let running: Vec<usize> = (0..open.len())
            .filter(|at| open[*at].0[0] == progress.stage.index)
            .collect();
        if running.is_empty() {
            break;
        }
        let at = running[rng.random_range(0..running.len())];
        open[at].0.remove(0);
        let fails = rng.random_bool(0.1);
        if fails || open[at].0.is_empty() {
            open.remove(at);
            if fails { failed += 1 } else { done += 1 }
        } else {
            passed += 1;
        }
    }
    assert!(
        done + failed + passed > 0 || progress.halt.is_some(),
        "{progress:?}: nothing runs"
    );
    Event::ElementsEnded {
        done,
        failed,
        skipped: 0,
        passed,
        partly_failed: 0,
        added: 0,
    }
}

#[test]
fn every_order_of_finishes_joins_exactly_once() {
    let mut halted = 0;
    for seed in 0..3000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let phases = rng.random_range(1..4);
        let all = (0..phases).flat_map(|phase| Stage::ALL.map(|stage| (phase, stage)));
        let mut stages: Vec<(u8, Stage)> = all.filter(|(_, stage)| *stage != Stage::Items).collect();
        stages.retain(|_| rng.random_bool(0.6));
        if stages.is_empty() {
            continue;
        }
        let plan = plan(&stages);
        let mut elements = Vec::new();
        for kind in [EntityType::Global, EntityType::Group, EntityType::Device] {
            let own = plan.0.iter().zip(0u16..);
            let own = own.filter(|(planned, _)| planned.stage.entity_type() == kind);
            let own: Vec<u16> = own.map(|(_, index)| index).collect();
            let most = if kind == EntityType::Global { 1 } else { 8 };
            if !own.is_empty() {
                let count = rng.random_range(0..=most);
                elements.extend(std::iter::repeat_n(Element(own), count));
            }
        }
        if elements.is_empty() {
            continue;
        }
        let in_first = elements.iter().filter(|element| element.0[0] == 0).count() as u64;
        let mut progress = staged(elements.len() as u64, in_first, &stages);
        progress.main = phases - 1;
        let (begun, ends, state) = run(&progress, elements, &mut rng);
        assert_eq!(ends, 1, "seed {seed}");
        let in_order: Vec<u16> = (0..).take(begun.len()).collect();
        assert_eq!(
            begun, in_order,
            "seed {seed}: each stage begins once, in its order"
        );
        halted += u32::from(state == ExecutionState::Failed);
    }
    assert!(halted > 0, "some were halted by a failed fleet");
}
