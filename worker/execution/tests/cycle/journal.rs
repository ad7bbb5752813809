use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_execution::cycle::{Half, Journal, JournaledStep, Stopped, Unit, UnitRun, run_unit};
use lockstep_execution::{CycleResult, ProviderType, StepDone};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::engine::unit;
use crate::fleet::fleet;
use crate::recorder::{Behaviour, Called, Recorder};

/// A journal that loses the element after so many entries.
#[derive(Debug)]
struct Pages {
    most: usize,
    entries: Mutex<Vec<JournaledStep>>,
}

impl Pages {
    fn of(most: usize) -> Self {
        let entries = Mutex::default();
        Self { most, entries }
    }

    fn write(&self, entry: JournaledStep) -> bool {
        let mut entries = self.entries.lock().expect("nobody panics while it holds it");
        if entries.len() == self.most {
            return false;
        }
        entries.push(entry);
        true
    }

    /// The newest entry of each step, as a store has it.
    fn stored(&self) -> Vec<JournaledStep> {
        let mut stored: Vec<JournaledStep> = Vec::new();
        for entry in &*self.entries.lock().expect("nobody panics while it holds it") {
            let key = |step: &JournaledStep| (step.level, step.entity, step.pre_run);
            stored.retain(|step| key(step) != key(entry));
            stored.push(entry.clone());
        }
        stored
    }
}

#[async_trait]
impl Journal for Pages {
    async fn begun(&self, level: Level, entity: u64, pre_run: bool) -> bool {
        self.write(JournaledStep {
            level,
            entity,
            pre_run,
            result: None,
            facts: Vec::new(),
        })
    }

    async fn ended(&self, pre_run: bool, result: &CycleResult, facts: Vec<(String, Value)>) -> bool {
        self.write(JournaledStep {
            level: result.level,
            entity: result.entity,
            pre_run,
            result: Some(result.clone()),
            facts,
        })
    }
}

/// A provider with all steps of the stage, two of which return facts.
fn recorder() -> Recorder {
    let done = |key: &str| {
        Behaviour::Returns(StepDone {
            data: json!("done"),
            facts: vec![(key.to_owned(), json!(1))],
            ..StepDone::default()
        })
    };
    Recorder::of(
        ProviderType::Configure,
        ExecuteOn::Device,
        &[4, 5, 6, 7, 8, 9, 10, 11],
    )
    .with(4, "controller", done("before"))
    .with(9, "leaf1-2", done("after"))
}

/// A worker is killed after each number of journal entries; the next attempt goes on. No step runs twice, none is left out silently.
#[tokio::test]
async fn no_step_is_repeated_wherever_an_attempt_was_interrupted() {
    let fleet = fleet();
    let tree = &fleet[3].tree;
    let cancel = CancellationToken::new();
    let whole = recorder();
    let mut expected = UnitRun::begin(tree, Vec::new(), &[]);
    run_unit(&unit(&whole, tree, &cancel, &Value::Null), &mut expected)
        .await
        .unwrap();
    for most in 0..=28 {
        let (first, journal) = (recorder(), Pages::of(most));
        let journaled = Unit {
            journal: Some(&journal),
            ..unit(&first, tree, &cancel, &Value::Null)
        };
        let mut run = UnitRun::begin(tree, Vec::new(), &[]);
        let ended = run_unit(&journaled, &mut run).await;
        assert_eq!(ended.is_ok(), most == 28, "{most}");

        let second = recorder();
        let mut run = UnitRun::begin(tree, Vec::new(), &[]);
        run.resume(journaled.role, journal.stored());
        run_unit(&unit(&second, tree, &cancel, &Value::Null), &mut run)
            .await
            .unwrap();
        let mut called: Vec<Called> = first.called();
        let lost = (most % 2 == 1).then(|| called.last().unwrap().clone());
        called.extend(second.called());
        let distinct: std::collections::BTreeSet<&Called> = called.iter().collect();
        assert_eq!(distinct.len(), called.len(), "a step ran twice: {most}");
        for (result, expected) in run.results.iter().zip(&expected.results) {
            match (&lost, result.reason.as_deref()) {
                (_, None) => assert_eq!(result, expected, "{most}"),
                (Some((_, name)), Some("interrupted")) => {
                    assert_eq!(&result.name, name, "{most}");
                    assert_eq!(result.state, ElementState::Failed);
                }
                (Some(_), Some("parent-failed")) => assert_eq!(result.state, ElementState::Filtered),
                other => panic!("{most}: {other:?} {result:?}"),
            }
        }
        // What ended keeps its facts.
        let keeps = |step: u8, name: &str| {
            let result = run.results.iter().find(|result| result.name == name).unwrap();
            let is_lost = lost.as_ref() == Some(&(step, name.to_owned()));
            !is_lost && (step == 4 || result.state == ElementState::Successful)
        };
        let facts = [(4, "controller", "before"), (9, "leaf1-2", "after")];
        let facts = facts.into_iter().filter(|(step, name, _)| keeps(*step, name));
        let facts: Vec<&str> = facts.map(|(.., key)| key).collect();
        let kept = run.produced.facts.iter();
        let kept: Vec<&str> = kept.map(|(_, _, key, _)| key.as_str()).collect();
        assert_eq!(kept, facts, "{most}");
        let interrupted = run
            .results
            .iter()
            .filter(|result| result.reason.as_deref() == Some("interrupted"));
        assert_eq!(interrupted.count(), usize::from(lost.is_some()), "{most}");
    }
}

#[tokio::test]
async fn a_step_begins_only_after_the_journal_has_it() {
    let fleet = fleet();
    let tree = &fleet[4].tree;
    let cancel = CancellationToken::new();
    let (recorder, journal) = (recorder(), Pages::of(0));
    let unit = Unit {
        journal: Some(&journal),
        ..unit(&recorder, tree, &cancel, &Value::Null)
    };
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    assert_eq!(run_unit(&unit, &mut run).await, Err(Stopped));
    assert_eq!((recorder.called(), run.running), (vec![], None));
}

/// A step that fails because its worker stops leaves no end in the journal: nobody knows how far it came.
#[tokio::test]
async fn a_step_that_is_told_to_stop_is_interrupted() {
    let fleet = fleet();
    let tree = &fleet[4].tree;
    let cancel = CancellationToken::new();
    let journal = Pages::of(99);
    let recorder = recorder().with(5, "spine", Behaviour::Cancels(cancel.clone(), false));
    let stopped = Unit {
        journal: Some(&journal),
        half: Half::Both,
        ..unit(&recorder, tree, &cancel, &Value::Null)
    };
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    assert_eq!(run_unit(&stopped, &mut run).await, Err(Stopped));
    let last = journal.stored().pop().unwrap();
    assert_eq!((last.level, last.result), (Level::Device, None));
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    run.resume(stopped.role, journal.stored());
    assert_eq!(run.results[1].reason.as_deref(), Some("interrupted"));
    assert_eq!(run.results[0].pre_run, "4 spine");
}
