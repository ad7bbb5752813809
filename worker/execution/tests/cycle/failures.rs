use lockstep_execution::ProviderType;
use lockstep_execution::cycle::PhaseRole::{Main, Post, Pre};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, ExecutionState, Level};

use crate::engine::execute;
use crate::order::{ALL, named};
use crate::recorder::{Behaviour, Called, Recorder};

type Calls = &'static [(u8, &'static str)];
type States = &'static [(Level, &'static str)];

/// What follows when a step fails: the calls that are left out, the entities that are skipped, and how the element ends that the entity
/// belongs to.
struct Failing {
    step: u8,
    entity: &'static str,
    level: Level,
    not_called: Calls,
    skipped: States,
    element: (&'static str, ElementState),
}

#[tokio::test]
async fn a_failed_step_at_each_of_the_fourteen_skips_its_entity_and_what_is_below_it() {
    use ElementState::{Failed, PartialFailed};
    use Level::{Device, Group, GroupClient, Interface, InterfaceClient, NornirDevice};
    let table = [
        Failing {
            step: 2,
            entity: "east",
            level: Group,
            not_called: &[(3, "camera"), (12, "camera"), (13, "east")],
            skipped: &[(GroupClient, "camera")],
            element: ("east", Failed),
        },
        Failing {
            step: 3,
            entity: "camera",
            level: GroupClient,
            not_called: &[(12, "camera")],
            skipped: &[],
            element: ("east", PartialFailed),
        },
        Failing {
            step: 4,
            entity: "controller",
            level: NornirDevice,
            not_called: &[
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
            ],
            skipped: &[
                (Device, "leaf1"),
                (Interface, "leaf1-1"),
                (InterfaceClient, "phone"),
                (Interface, "leaf1-2"),
                (Device, "leaf2"),
                (Interface, "leaf2-1"),
            ],
            element: ("controller", Failed),
        },
        Failing {
            step: 5,
            entity: "leaf1",
            level: Device,
            not_called: &[
                (6, "leaf1-1"),
                (7, "phone"),
                (6, "leaf1-2"),
                (8, "phone"),
                (9, "leaf1-1"),
                (9, "leaf1-2"),
                (10, "leaf1"),
            ],
            skipped: &[
                (Interface, "leaf1-1"),
                (InterfaceClient, "phone"),
                (Interface, "leaf1-2"),
            ],
            element: ("controller", PartialFailed),
        },
        Failing {
            step: 6,
            entity: "leaf1-1",
            level: Interface,
            not_called: &[(7, "phone"), (8, "phone"), (9, "leaf1-1")],
            skipped: &[(InterfaceClient, "phone")],
            element: ("controller", PartialFailed),
        },
        Failing {
            step: 7,
            entity: "phone",
            level: InterfaceClient,
            not_called: &[(8, "phone")],
            skipped: &[],
            element: ("controller", PartialFailed),
        },
        failing(8, "phone", InterfaceClient, ("controller", PartialFailed)),
        failing(9, "leaf1-1", Interface, ("controller", PartialFailed)),
        failing(10, "leaf1", Device, ("controller", PartialFailed)),
        failing(10, "spine", Device, ("spine", Failed)),
        failing(11, "controller", NornirDevice, ("controller", PartialFailed)),
        failing(12, "camera", GroupClient, ("east", PartialFailed)),
        failing(13, "east", Group, ("east", PartialFailed)),
        failing(14, "fleet", Level::Global, ("fleet", Failed)),
    ];
    for row in table {
        for behaviour in [Behaviour::Fails, Behaviour::Panics] {
            check(&row, behaviour).await;
        }
    }
}

/// A run step that fails: all others still run, and see it.
fn failing(step: u8, entity: &'static str, level: Level, element: (&'static str, ElementState)) -> Failing {
    Failing {
        step,
        entity,
        level,
        not_called: &[],
        skipped: &[],
        element,
    }
}

async fn check(row: &Failing, behaviour: Behaviour) {
    let place = format!("step {} on {}: {behaviour:?}", row.step, row.entity);
    let crashes = matches!(behaviour, Behaviour::Panics);
    let recorder = Recorder::of_fourteen().with(row.step, row.entity, behaviour);
    let ran = execute(&[(&recorder, Main)]).await;
    let not_called = named(row.not_called);
    let expected: Vec<Called> = named(&ALL)
        .into_iter()
        .filter(|call| !not_called.contains(call))
        .collect();
    assert_eq!(recorder.called(), expected, "{place}");
    assert_eq!(ran.results[0].len(), 15, "nothing is skipped silently: {place}");
    for ((level, name), result) in &ran.results[0] {
        let (state, reason, message) = if (*level, name.as_str()) == (row.level, row.entity) {
            if crashes {
                (
                    ElementState::Failed,
                    Some("crashed"),
                    Some("the provider panicked: oh"),
                )
            } else {
                (ElementState::Failed, Some("broken"), Some("it broke"))
            }
        } else if row.skipped.contains(&(*level, name.as_str())) {
            (ElementState::Filtered, Some("parent-failed"), None)
        } else {
            (ElementState::Successful, None, Some("fine"))
        };
        assert_eq!(result.state, state, "{level} {name}: {place}");
        assert_eq!(result.reason.as_deref(), reason, "{level} {name}: {place}");
        assert_eq!(result.message.as_deref(), message, "{level} {name}: {place}");
    }
    let failed = &ran.results[0][&(row.level, row.entity.to_owned())];
    assert_eq!(failed.changed, !crashes, "{place}");
    for (name, state) in &ran.ends {
        let (element, ended) = row.element;
        let expected = if name == element {
            ended
        } else {
            ElementState::Successful
        };
        assert_eq!(*state, expected, "{name}: {place}");
    }
    assert_eq!(ran.state, ExecutionState::PartialFailed, "{place}");
}

#[tokio::test]
async fn when_the_first_step_fails_nothing_else_runs() {
    for behaviour in [Behaviour::Fails, Behaviour::Panics] {
        let recorder = Recorder::of_fourteen().with(1, "fleet", behaviour);
        let ran = execute(&[(&recorder, Main)]).await;
        assert_eq!(recorder.called(), named(&[(1, "fleet")]));
        assert_eq!(ran.state, ExecutionState::Failed);
        assert_eq!(ran.ends.len(), 5);
        for (name, state) in ran.ends {
            let expected = match name.as_str() {
                "fleet" => ElementState::Failed,
                _ => ElementState::Filtered,
            };
            assert_eq!(state, expected, "{name}");
        }
    }
}

/// The devices of a failed group, and a device that is in another group, too, run, and see no pre-run result of the failed one.
#[tokio::test]
async fn a_device_in_two_groups_runs_if_one_of_them_failed() {
    let recorder = Recorder::of_fourteen().with(2, "east", Behaviour::Fails);
    let ran = execute(&[(&recorder, Main)]).await;
    let calls = recorder.calls();
    let leaf = calls.iter().find(|call| call.entity.name == "leaf1").unwrap();
    let above: Vec<(&str, bool)> = leaf
        .above
        .iter()
        .map(|(name, value)| (name.as_str(), value.is_null()))
        .collect();
    let expected = [
        ("fleet", false),
        ("east", true),
        ("west", false),
        ("controller", false),
    ];
    assert_eq!(above, expected);
    assert_eq!(ran.state(0, Level::Device, "leaf1"), ElementState::Successful);
}

#[tokio::test]
async fn parents_see_the_results_of_failed_children() {
    let recorder = Recorder::of_fourteen().with(6, "leaf1-1", Behaviour::Fails);
    execute(&[(&recorder, Main)]).await;
    let calls = recorder.calls();
    let device = calls
        .iter()
        .find(|call| call.step.number() == Some(10) && call.entity.name == "leaf1");
    let states: Vec<ElementState> = device.unwrap().below.iter().map(|below| below.state).collect();
    let expected = [
        ElementState::Failed,
        ElementState::Filtered,
        ElementState::Successful,
    ];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn a_step_that_leaves_its_entity_alone_skips_it_and_fails_nothing() {
    use ElementState::{Filtered, Successful};
    let recorder =
        Recorder::of(ProviderType::Execute, ExecuteOn::Device, &[10]).with(10, "spine", Behaviour::Skips);
    let ran = execute(&[(&recorder, Main)]).await;
    assert_eq!(ran.state(0, Level::Device, "spine"), Filtered);
    let key = (Level::Device, "spine".to_owned());
    assert_eq!(ran.results[0][&key].reason.as_deref(), Some("not-needed"));
    assert_eq!(ran.ends["spine"], Filtered);
    assert_eq!(ran.ends["controller"], Successful);
    assert_eq!(ran.state, ExecutionState::Successful);
}

#[tokio::test]
async fn an_entity_that_failed_its_pre_task_takes_no_further_part_and_the_others_go_on() {
    use ElementState::{Filtered, PartialFailed, PrecheckFailed, Successful};
    let pre = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10])
        .with(10, "leaf1", Behaviour::Fails)
        .with(10, "spine", Behaviour::Fails);
    let main = Recorder::of(ProviderType::Execute, ExecuteOn::Interface, &[9, 10]);
    let ran = execute(&[(&pre, Pre), (&main, Main)]).await;
    // All devices of this element failed: it ends. The controller has one that did not.
    assert_eq!(main.called(), named(&[(9, "leaf2-1"), (10, "leaf2")]));
    assert_eq!(ran.state(0, Level::Device, "leaf1"), PrecheckFailed);
    assert_eq!(ran.state(1, Level::Device, "leaf1"), Filtered);
    let key = (Level::Device, "leaf1".to_owned());
    assert_eq!(ran.results[1][&key].reason.as_deref(), Some("precheck-failed"));
    let key = (Level::Interface, "leaf1-2".to_owned());
    assert_eq!(ran.results[1][&key].state, Filtered);
    assert_eq!(ran.results[1][&key].reason.as_deref(), Some("parent-failed"));
    assert_eq!(ran.state(1, Level::Device, "leaf2"), Successful);
    assert_eq!(ran.ends["controller"], PartialFailed);
    assert_eq!(ran.ends["spine"], PrecheckFailed);
    assert_eq!(ran.state, ExecutionState::Failed);
}

#[tokio::test]
async fn a_post_task_runs_where_the_task_was_done() {
    use ElementState::{Filtered, PartialFailed, PostcheckFailed, Successful};
    let main =
        Recorder::of(ProviderType::Execute, ExecuteOn::Device, &[10]).with(10, "leaf1", Behaviour::Fails);
    let post =
        Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10]).with(10, "spine", Behaviour::Fails);
    let ran = execute(&[(&main, Main), (&post, Post)]).await;
    assert_eq!(post.called(), named(&[(10, "leaf2"), (10, "spine")]));
    assert_eq!(ran.state(1, Level::Device, "leaf1"), Filtered);
    let key = (Level::Device, "leaf1".to_owned());
    assert_eq!(ran.results[1][&key].reason.as_deref(), Some("task-failed"));
    assert_eq!(ran.state(1, Level::Device, "leaf2"), Successful);
    assert_eq!(ran.state(1, Level::Device, "spine"), PostcheckFailed);
    assert_eq!(ran.ends["controller"], PartialFailed);
    assert_eq!(ran.ends["spine"], PostcheckFailed);
}

#[tokio::test]
async fn a_failed_pre_task_of_the_fleet_stops_everything() {
    for step in [1, 14] {
        let pre = Recorder::of(ProviderType::Check, ExecuteOn::Global, &[step]).with(
            step,
            "fleet",
            Behaviour::Fails,
        );
        let main = Recorder::of(ProviderType::Execute, ExecuteOn::Device, &[10]);
        let ran = execute(&[(&pre, Pre), (&main, Main)]).await;
        assert_eq!(main.called(), []);
        assert_eq!(ran.ends["fleet"], ElementState::PrecheckFailed);
        assert_eq!(ran.ends["spine"], ElementState::Filtered);
        assert_eq!(ran.state, ExecutionState::Failed);
    }
}
