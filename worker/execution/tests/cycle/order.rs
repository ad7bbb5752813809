use lockstep_execution::cycle::{Half, PhaseRole, Unit, UnitRun, UnitTree, run_unit};
use lockstep_execution::{ProviderType, Steps};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, ExecutionState, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::engine::{execute, unit};
use crate::fleet::fleet;
use crate::recorder::{Call, Called, Recorder};

/// All calls over the whole fleet, in their order.
pub(crate) const ALL: [(u8, &str); 30] = [
    (1, "fleet"),
    (2, "east"),
    (3, "camera"),
    (2, "west"),
    (3, "printer"),
    (4, "controller"),
    (5, "leaf1"),
    (6, "leaf1-1"),
    (7, "phone"),
    (6, "leaf1-2"),
    (5, "leaf2"),
    (6, "leaf2-1"),
    (8, "phone"),
    (9, "leaf1-1"),
    (9, "leaf1-2"),
    (10, "leaf1"),
    (9, "leaf2-1"),
    (10, "leaf2"),
    (11, "controller"),
    (4, "spine"),
    (5, "spine"),
    (6, "spine-1"),
    (9, "spine-1"),
    (10, "spine"),
    (11, "spine"),
    (12, "camera"),
    (13, "east"),
    (12, "printer"),
    (13, "west"),
    (14, "fleet"),
];

pub(crate) fn named(calls: &[(u8, &str)]) -> Vec<Called> {
    calls
        .iter()
        .map(|(step, name)| (*step, (*name).to_owned()))
        .collect()
}

fn find(calls: &[Call], step: u8, name: &str) -> Call {
    let mut found = calls.iter().filter(|call| call.step.number() == Some(step));
    let found = found.find(|call| call.entity.name == name);
    found.expect("the step was called").clone()
}

#[tokio::test]
async fn the_fourteen_steps_run_in_their_order_on_every_level() {
    let recorder = Recorder::of_fourteen();
    let ran = execute(&[(&recorder, PhaseRole::Main)]).await;
    assert_eq!(recorder.called(), named(&ALL));
    assert_eq!(ran.state, ExecutionState::Successful);
    for result in ran.results[0].values() {
        assert_eq!(result.state, ElementState::Successful, "{result:?}");
        assert_eq!(result.message.as_deref(), Some("fine"));
        assert!(result.pre_run.is_string() && result.data.is_string());
    }
    assert_eq!(ran.results[0].len(), 15);
}

#[tokio::test]
async fn each_step_gets_the_arguments_and_what_is_above_and_below_it() {
    let recorder = Recorder::of_fourteen();
    execute(&[(&recorder, PhaseRole::Main)]).await;
    let calls = recorder.calls();
    for call in &calls {
        assert!(call.dry_run);
        assert_eq!(call.arguments, json!({"of": "the task"}));
        assert_eq!(call.run_arguments, json!({"of": "the run"}));
        let pre_run = match call.step.number() {
            Some(number @ 8..) => json!(format!("{} {}", 15 - number, call.entity.name)),
            _ => Value::Null,
        };
        assert_eq!(call.pre_run, pre_run, "{call:?}");
    }
    let fleet = "1 fleet";
    // step, entity, the pre-run results above it
    let table: [(u8, &str, &[&str]); 10] = [
        (1, "fleet", &[]),
        (2, "east", &[fleet]),
        (3, "camera", &[fleet, "2 east"]),
        (4, "controller", &[fleet, "2 east", "2 west"]),
        (5, "leaf1", &[fleet, "2 east", "2 west", "4 controller"]),
        (
            9,
            "leaf2-1",
            &[fleet, "2 east", "2 west", "4 controller", "5 leaf2"],
        ),
        (
            7,
            "phone",
            &[fleet, "2 east", "2 west", "4 controller", "5 leaf1", "6 leaf1-1"],
        ),
        (10, "spine", &[fleet, "2 west", "4 spine"]),
        (12, "printer", &[fleet, "2 west"]),
        (14, "fleet", &[]),
    ];
    for (step, name, above) in table {
        let call = find(&calls, step, name);
        let values: Vec<String> = call
            .above
            .iter()
            .map(|(_, value)| value.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(values, above, "{step} {name}");
        for (name, value) in call.above {
            assert!(value.as_str().unwrap().ends_with(&name));
        }
    }
    let below = find(&calls, 11, "controller").below;
    let data: Vec<&str> = below.iter().map(|result| result.data.as_str().unwrap()).collect();
    let expected = [
        "10 leaf1",
        "9 leaf1-1",
        "8 phone",
        "9 leaf1-2",
        "10 leaf2",
        "9 leaf2-1",
    ];
    assert_eq!(data, expected);
    assert_eq!(below[2].parent, Some(21));
    // On the way down, nothing below has begun.
    let below = find(&calls, 4, "controller").below;
    assert!(below.iter().all(|result| result.state == ElementState::Pending));
}

#[tokio::test]
async fn levels_without_a_step_are_there_as_parents_and_have_no_results() {
    let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Interface, &[4, 9]);
    let ran = execute(&[(&recorder, PhaseRole::Main)]).await;
    let expected = named(&[
        (4, "controller"),
        (9, "leaf1-1"),
        (9, "leaf1-2"),
        (9, "leaf2-1"),
        (4, "spine"),
        (9, "spine-1"),
    ]);
    assert_eq!(recorder.called(), expected);
    let call = find(&recorder.calls(), 9, "leaf2-1");
    let above: Vec<&str> = call.above.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(above, ["fleet", "east", "west", "controller", "leaf2"]);
    let values: Vec<&Value> = call.above.iter().map(|(_, value)| value).collect();
    assert_eq!(values[4], &Value::Null);
    assert_eq!(values[3], "4 controller");
    let levels: Vec<Level> = ran.results[0].keys().map(|(level, _)| *level).collect();
    assert_eq!(levels[..2], [Level::NornirDevice; 2]);
    assert_eq!(levels[2..], [Level::Interface; 4]);
    assert_eq!(ran.ends.len(), 2, "groups and the fleet take no part");
    assert_eq!(ran.state, ExecutionState::Successful);
}

/// Its run step would miss what the pre-run step returns.
#[tokio::test]
async fn a_client_that_is_added_between_the_stages_of_its_group_is_skipped() {
    use ElementState::{Filtered, Successful};
    let fleet = fleet();
    let tree = &fleet[1].tree;
    let cancel = CancellationToken::new();
    // Whether clients have a pre-run step decides.
    for (steps, state) in [(&[2, 3, 12, 13][..], Filtered), (&[2, 12, 13], Successful)] {
        let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Group, steps);
        let mut before = UnitTree::default();
        before.add(None, Level::Group, tree.nodes()[0].entity.clone());
        let pre_run = Unit {
            half: Half::PreRun,
            ..unit(&recorder, &before, &cancel, &Value::Null)
        };
        let mut run = UnitRun::begin(&before, Vec::new(), &[]);
        run_unit(&pre_run, &mut run).await.unwrap();
        let later = Unit {
            half: Half::Run,
            ..unit(&recorder, tree, &cancel, &Value::Null)
        };
        let mut run = UnitRun::begin(tree, run.results, &[]);
        run_unit(&later, &mut run).await.unwrap();
        assert_eq!(run.results[0].state, Successful);
        assert_eq!(run.results[1].state, state);
        let reason = (state == Filtered).then_some("not-prepared");
        assert_eq!(run.results[1].reason.as_deref(), reason);
    }
}

#[tokio::test]
async fn a_provider_without_steps_does_nothing() {
    let recorder = Recorder {
        steps: Steps::default(),
        ..Recorder::of_fourteen()
    };
    let ran = execute(&[(&recorder, PhaseRole::Main)]).await;
    assert_eq!(recorder.called(), []);
    assert_eq!(ran.state, ExecutionState::Aborted);
    let cancel = CancellationToken::new();
    let tree = UnitTree::default();
    let unit = unit(&recorder, &tree, &cancel, &Value::Null);
    let mut run = UnitRun::default();
    assert_eq!(run_unit(&unit, &mut run).await, Ok(()));
}

#[tokio::test]
async fn pre_tasks_run_before_and_post_tasks_after_the_task_each_with_its_own_cycle() {
    let before = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[5]);
    let task = Recorder::of(ProviderType::Execute, ExecuteOn::Group, &[2, 13]);
    let after = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10, 14]);
    let ran = execute(&[
        (&before, PhaseRole::Pre),
        (&task, PhaseRole::Main),
        (&after, PhaseRole::Post),
    ])
    .await;
    assert_eq!(
        before.called(),
        named(&[(5, "leaf1"), (5, "leaf2"), (5, "spine")])
    );
    let groups = [(2, "east"), (2, "west"), (13, "east"), (13, "west")];
    assert_eq!(task.called(), named(&groups));
    let devices = [(10, "leaf1"), (10, "leaf2"), (10, "spine"), (14, "fleet")];
    assert_eq!(after.called(), named(&devices));
    assert_eq!(ran.state, ExecutionState::Successful);
}
