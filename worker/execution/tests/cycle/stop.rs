use lockstep_execution::cycle::{Stopped, UnitRun, run_unit, unit_end};
use lockstep_execution::{CycleResult, ProviderType};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::engine::unit;
use crate::fleet::fleet;
use crate::order::named;
use crate::recorder::{Behaviour, Recorder};

fn states(results: &[CycleResult]) -> Vec<(&str, ElementState, Option<&str>)> {
    let states = results
        .iter()
        .filter(|result| result.level != Level::NornirDevice);
    let states = states.filter(|result| result.level != Level::InterfaceClient);
    states
        .map(|result| (result.name.as_str(), result.state, result.reason.as_deref()))
        .collect()
}

#[tokio::test]
async fn a_unit_that_is_told_to_stop_begins_no_further_step() {
    use ElementState::{Aborted, Failed, Filtered, Pending, Successful};
    let fleet = fleet();
    let tree = &fleet[3].tree;
    // whether the step that runs succeeds; reason; states of leaf1, its interfaces, leaf2, its interface
    let table = [
        (true, "cancelled", Aborted),
        (false, "cancelled", Aborted),
        (false, "timed-out", Filtered),
    ];
    for (succeeds, reason, skipped) in table {
        let cancel = CancellationToken::new();
        let behaviour = Behaviour::Cancels(cancel.clone(), succeeds);
        let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Device, &[9, 10]);
        let recorder = recorder.with(9, "leaf1-2", behaviour);
        let unit = unit(&recorder, tree, &cancel, &Value::Null);
        let mut run = UnitRun::begin(tree, Vec::new(), &[]);
        assert_eq!(run_unit(&unit, &mut run).await, Err(Stopped));
        assert_eq!(recorder.called(), named(&[(9, "leaf1-1"), (9, "leaf1-2")]));
        assert_eq!(run.running.is_some(), !succeeds);
        assert!(recorder.processed.lock().unwrap().is_empty());
        let (second, why) = if succeeds {
            (Successful, None)
        } else {
            (Failed, Some("broken"))
        };
        let open = (Pending, None);
        let expected = [
            ("leaf1", open.0, open.1),
            ("leaf1-1", Successful, None),
            ("leaf1-2", second, why),
            ("leaf2", open.0, open.1),
            ("leaf2-1", open.0, open.1),
        ];
        assert_eq!(states(&run.results), expected);

        run.stop(&unit, reason, "its execution was stopped");
        let skipped = (skipped, Some(reason));
        let expected = [
            ("leaf1", skipped.0, skipped.1),
            ("leaf1-1", Successful, None),
            ("leaf1-2", second, why.map(|_| reason)),
            ("leaf2", skipped.0, skipped.1),
            ("leaf2-1", skipped.0, skipped.1),
        ];
        assert_eq!(states(&run.results), expected);
        assert_eq!(recorder.processed.lock().unwrap().len(), 5);
        if !succeeds {
            let message = run.results[4].message.as_deref();
            assert_eq!(message, Some("its execution was stopped: it broke"));
        }
        let end = unit_end(&run.results, Level::Interface, unit.role);
        assert_eq!(end.state, ElementState::PartialFailed);
        assert_eq!(end.reason.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn what_was_done_when_a_unit_is_dropped_is_kept() {
    let fleet = fleet();
    let tree = &fleet[4].tree;
    let cancel = CancellationToken::new();
    let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Device, &[9, 10]);
    let unit = unit(&recorder, tree, &cancel, &Value::Null);
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    // The step on the device was begun, and the unit was dropped in it.
    run.results[2].state = ElementState::Successful;
    run.running = Some(1);
    run.stop(&unit, "timed-out", "it ran for too long");
    assert_eq!(run.results[1].state, ElementState::Failed);
    assert_eq!(run.results[1].reason.as_deref(), Some("timed-out"));
    assert_eq!(run.results[1].message.as_deref(), Some("it ran for too long"));
    assert_eq!(run.results[2].state, ElementState::Successful);
}

#[tokio::test]
async fn what_was_done_is_done_whatever_it_was_told() {
    let fleet = fleet();
    let tree = &fleet[0].tree;
    let cancel = CancellationToken::new();
    let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Global, &[14]);
    let recorder = recorder.with(14, "fleet", Behaviour::Cancels(cancel.clone(), true));
    let unit = unit(&recorder, tree, &cancel, &Value::Null);
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    assert_eq!(run_unit(&unit, &mut run).await, Ok(()));
    assert_eq!(run.results[0].state, ElementState::Successful);
    // A unit that is told before its first step runs none.
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    assert_eq!(run_unit(&unit, &mut run).await, Err(Stopped));
    run.stop(&unit, "cancelled", "cancelled by anna");
    let end = unit_end(&run.results, Level::Global, unit.role);
    assert_eq!(end.state, ElementState::Aborted);
    assert_eq!(end.message.as_deref(), Some("cancelled by anna"));
}
