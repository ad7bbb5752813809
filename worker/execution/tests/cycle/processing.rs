use lockstep_execution::cycle::PhaseRole::{self, Main, Post, Pre};
use lockstep_execution::cycle::{Half, Unit, UnitRun, run_unit, unit_end};
use lockstep_execution::{CycleResult, ProviderType, StepDone};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::engine::{execute, unit};
use crate::fleet::fleet;
use crate::recorder::{Behaviour, Recorder};

fn result(level: Level, state: ElementState) -> CycleResult {
    CycleResult {
        level,
        entity: 1,
        name: "sw1".to_owned(),
        parent: None,
        state,
        reason: (state != ElementState::Successful).then(|| "broken".to_owned()),
        message: Some("a message".to_owned()),
        changed: false,
        pre_run: Value::Null,
        data: Value::Null,
    }
}

#[tokio::test]
async fn results_are_processed_after_the_last_step_children_before_parents() {
    let recorder = Recorder::of_fourteen().with(6, "leaf1-1", Behaviour::Fails);
    execute(&[(&recorder, Main)]).await;
    let processed = recorder.processed.lock().unwrap().clone();
    let names: Vec<&str> = processed.iter().map(|(name, _)| name.as_str()).collect();
    // Each entity once, failed and skipped ones, too.
    let expected = [
        "phone",
        "leaf1-1",
        "leaf1-2",
        "leaf1",
        "leaf2-1",
        "leaf2",
        "controller",
        "spine-1",
        "spine",
        "spine",
        "camera",
        "east",
        "printer",
        "west",
        "fleet",
    ];
    assert_eq!(names, expected);
    assert_eq!(processed[3].1, ["leaf1-1", "phone", "leaf1-2"]);
    assert!(processed[0].1.is_empty());
}

#[tokio::test]
async fn a_group_whose_pre_run_step_failed_is_processed_when_it_ends() {
    let fleet = fleet();
    let tree = &fleet[1].tree;
    let cancel = CancellationToken::new();
    // which steps fail, whether the unit goes on and is processed later
    for (step, name, goes_on) in [(2, "east", false), (3, "camera", true)] {
        let recorder = Recorder::of_fourteen().with(step, name, Behaviour::Fails);
        let unit = Unit {
            half: Half::PreRun,
            ..unit(&recorder, tree, &cancel, &Value::Null)
        };
        let mut run = UnitRun::begin(tree, Vec::new(), &[]);
        run_unit(&unit, &mut run).await.unwrap();
        assert_eq!(run.goes_on(Half::PreRun), goes_on);
        assert_eq!(recorder.processed.lock().unwrap().is_empty(), goes_on);
    }
}

#[tokio::test]
async fn processing_that_panics_fails_its_entity() {
    let done = StepDone {
        data: json!("panics when it is processed"),
        ..StepDone::default()
    };
    let recorder = Recorder::of_fourteen().with(9, "leaf1-1", Behaviour::Returns(done));
    let ran = execute(&[(&recorder, Main)]).await;
    let result = &ran.results[0][&(Level::Interface, "leaf1-1".to_owned())];
    assert_eq!(result.state, ElementState::Failed);
    assert_eq!(result.reason.as_deref(), Some("crashed"));
    assert_eq!(ran.ends["controller"], ElementState::PartialFailed);
}

#[tokio::test]
async fn facts_that_a_step_returns_are_those_of_its_entity_and_items_come_from_the_first_step() {
    let done = |key: &str| StepDone {
        facts: vec![(key.to_owned(), json!(1))],
        items: vec![(key.to_owned(), json!(2))],
        ..StepDone::default()
    };
    let fleet = fleet();
    let cancel = CancellationToken::new();
    let recorder = Recorder::of_fourteen()
        .with(1, "fleet", Behaviour::Returns(done("found")))
        .with(6, "leaf1-1", Behaviour::Returns(done("before")))
        .with(9, "leaf1-1", Behaviour::Returns(done("after")));
    let mut produced = Vec::new();
    for at in [0, 3] {
        let tree = &fleet[at].tree;
        let mut run = UnitRun::begin(tree, Vec::new(), &[]);
        run_unit(&unit(&recorder, tree, &cancel, &Value::Null), &mut run)
            .await
            .unwrap();
        produced.push(run.produced);
    }
    assert_eq!(produced[0].items, [("found".to_owned(), json!(2))]);
    assert!(produced[1].items.is_empty());
    let keys: Vec<_> = produced[1]
        .facts
        .iter()
        .map(|(kind, id, key, _)| (*kind, *id, key.as_str()))
        .collect();
    let interface = EntityType::Interface;
    assert_eq!(keys, [(interface, 21, "before"), (interface, 21, "after")]);
}

#[tokio::test]
async fn an_item_is_run_on_by_itself() {
    let mut item = crate::fleet::entity(Level::Item, 0, "task-7");
    item.item = Some(json!({"device": "leaf1"}));
    let mut tree = lockstep_execution::cycle::UnitTree::default();
    tree.add(None, Level::Item, item.clone());
    let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Global, &[1, 0, 14]);
    let cancel = CancellationToken::new();
    let mut run = UnitRun::begin(&tree, Vec::new(), &[]);
    run_unit(&unit(&recorder, &tree, &cancel, &Value::Null), &mut run)
        .await
        .unwrap();
    let calls = recorder.calls();
    assert_eq!((calls.len(), &calls[0].entity), (1, &item));
    assert_eq!(run.results[0].state, ElementState::Successful);
}

#[test]
fn a_unit_ends_by_the_results_of_its_entities() {
    use ElementState::{
        Aborted, Failed, Filtered, PartialFailed, Pending, PostcheckFailed, PrecheckFailed, Successful,
    };
    use Level::{Device, GroupClient, Interface, NornirDevice};
    type Results = &'static [(Level, ElementState)];
    // results; the level that the provider runs on; role; state, reason
    let table: [(Results, Level, PhaseRole, ElementState); 18] = [
        (&[(Device, Successful)], Device, Main, Successful),
        (&[(Device, Failed)], Device, Main, Failed),
        (&[(Device, PartialFailed)], Device, Main, PartialFailed),
        (
            &[(NornirDevice, Pending), (Device, Successful)],
            Device,
            Main,
            Successful,
        ),
        (
            &[(Device, Successful), (Interface, Failed)],
            Device,
            Main,
            PartialFailed,
        ),
        // All that was run on failed.
        (
            &[(Device, Successful), (Interface, Failed)],
            Interface,
            Main,
            Failed,
        ),
        (
            &[(Device, Failed), (Interface, Successful), (Interface, Failed)],
            Interface,
            Main,
            PartialFailed,
        ),
        (
            &[(Device, Failed), (Interface, Filtered)],
            Interface,
            Main,
            Failed,
        ),
        (
            &[(Device, Successful), (Device, Filtered)],
            Device,
            Main,
            PartialFailed,
        ),
        (&[(Device, Filtered)], Device, Main, Filtered),
        (
            &[(Device, Aborted), (Interface, Aborted)],
            Interface,
            Main,
            Aborted,
        ),
        (
            &[(Device, Successful), (Device, Aborted)],
            Device,
            Main,
            PartialFailed,
        ),
        // No entity at that level: all count.
        (
            &[(Level::Group, Successful), (GroupClient, Failed)],
            Device,
            Main,
            PartialFailed,
        ),
        (
            &[(Level::Group, Failed), (GroupClient, Filtered)],
            Device,
            Main,
            Failed,
        ),
        (
            &[(GroupClient, Successful), (GroupClient, Failed)],
            Level::InterfaceClient,
            Main,
            PartialFailed,
        ),
        (&[(Device, PrecheckFailed)], Device, Pre, PrecheckFailed),
        (
            &[(Device, PrecheckFailed), (Device, Successful)],
            Device,
            Pre,
            PartialFailed,
        ),
        (
            &[(Device, PostcheckFailed), (Device, Filtered)],
            Device,
            Post,
            PostcheckFailed,
        ),
    ];
    for (results, target, role, state) in table {
        let results: Vec<CycleResult> = results
            .iter()
            .map(|(level, state)| result(*level, *state))
            .collect();
        let end = unit_end(&results, target, role);
        assert_eq!(end.state, state, "{results:?}");
        let is_fine = state == Successful;
        assert_eq!(end.reason.is_none(), is_fine, "{results:?}");
    }
}

#[test]
fn the_message_of_a_unit_says_what_failed() {
    use ElementState::{Failed, Filtered, Successful};
    let device = |state| result(Level::Device, state);
    let table = [
        (vec![device(Successful)], Some("a message")),
        (vec![device(Successful), device(Successful)], None),
        (vec![device(Failed)], Some("a message")),
        (vec![device(Successful), device(Failed)], Some("sw1: a message")),
        (
            vec![device(Failed), device(Filtered), device(Failed)],
            Some("2 of 3 results failed, the first one of sw1: a message"),
        ),
        (vec![], None),
    ];
    for (results, message) in table {
        let end = unit_end(&results, Level::Device, Main);
        assert_eq!(end.message.as_deref(), message, "{results:?}");
    }
    let mut changed = device(Failed);
    changed.changed = true;
    assert!(unit_end(&[device(Successful), changed], Level::Device, Main).changed);
}
