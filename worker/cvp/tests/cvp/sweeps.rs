use std::time::Duration;

use lockstep_simulators::cvp::{
    ChangeControlStatus, ConfigDiff, Endpoint, Scenario, TaskKind, TaskStatus, World,
};

use crate::scene::{Scene, live};

const MAC: &str = "44:4c:a8:00:00:00";

#[tokio::test]
async fn an_endless_list_of_tasks_ends_with_an_error_and_nothing_is_cancelled() {
    let scene = Scene::new(Scenario::many(4, 100)).await;
    scene.simulator.tune(|knobs| knobs.endless_tasks = true);
    let (summary, _) = scene.sweep(live()).await;
    let error = summary.unwrap_err();
    assert!(
        error.to_string().contains("after 100000 rows, 200 pages"),
        "{error}"
    );
    assert_eq!(scene.simulator.count(Endpoint::Tasks), 200);
    assert_eq!(scene.simulator.count(Endpoint::Cancel), 0);
}

#[tokio::test]
async fn the_tasks_of_the_seed_scenario_have_the_expected_outcomes() {
    let scene =
        Scene::new(Scenario::seed().tuned(|knobs| knobs.cancel_delay = Duration::from_millis(50))).await;
    let (summary, outcomes) = scene.sweep(live()).await;
    let summary = summary.unwrap();
    assert_eq!((summary.listed, summary.cancelled, summary.kept), (14, 3, 11));
    let mut cancelled = scene.simulator.cancelled();
    cancelled.sort();
    assert_eq!(cancelled, ["1809", "1810", "1811"]);
    assert_eq!(
        outcomes.0["1811"].outcome.answer(),
        Some("Task cancellation triggered successfully")
    );
    assert_eq!(
        outcomes.0["1795"].code.as_ref().unwrap().meaning(),
        "Extensions are out of sync"
    );
    let note = scene
        .simulator
        .edit(|world| world.task("1811").unwrap().note.clone());
    assert!(
        note.starts_with("Lockstep: found empty (compliance code 0000)"),
        "{note}"
    );

    // Again: nothing is left to do.
    let (summary, _) = scene.sweep(live()).await;
    assert_eq!(
        (summary.as_ref().unwrap().listed, summary.unwrap().cancelled),
        (11, 0)
    );
}

/// What the world may be like from the start, or become between the readings.
type Change = fn(&mut World);

const KEPT: &[(&str, Change, &str)] = &[
    (
        "image",
        |world| world.task_mut("1000").kind = TaskKind::Image,
        "not-configuration",
    ),
    (
        "image, too",
        |world| world.task_mut("1000").kind = TaskKind::ConfigletAndImage,
        "not-configuration",
    ),
    ("add", |world| world.task_mut("1000").kind = TaskKind::Add, "move"),
    (
        "move",
        |world| world.task_mut("1000").kind = TaskKind::Move,
        "move",
    ),
    (
        "rollback",
        |world| world.task_mut("1000").kind = TaskKind::Rollback,
        "rollback",
    ),
    (
        "replacement",
        |world| world.task_mut("1000").kind = TaskKind::ZeroTouchReplacement,
        "replacement",
    ),
    (
        "change control",
        |world| world.attach("1000", "cc1"),
        "change-control",
    ),
    (
        "change control, in the task itself",
        |world| world.task_mut("1000").in_change_control("cc1"),
        "change-control",
    ),
    (
        "unauthorized",
        |world| world.device_mut(MAC).unauthorized = true,
        "unauthorized",
    ),
    (
        "not streaming",
        |world| "inactive".clone_into(&mut world.device_mut(MAC).streaming_status),
        "not-streaming",
    ),
    (
        "unregistered",
        |world| "Unregistered".clone_into(&mut world.device_mut(MAC).status),
        "not-registered",
    ),
    (
        "zero touch",
        |world| world.device_mut(MAC).ztp_mode = true,
        "zero-touch",
    ),
    (
        "a warning",
        |world| "WARNING".clone_into(&mut world.device_mut(MAC).compliance_indication),
        "indication",
    ),
    (
        "out of sync",
        |world| world.device_mut(MAC).set_code("0001"),
        "not-compliant",
    ),
    (
        "its difference",
        |world| {
            world.task_mut("1000").diff = Some(ConfigDiff {
                add: 1,
                ..ConfigDiff::empty()
            });
        },
        "disagreement",
    ),
    (
        "its difference is an error",
        |world| {
            world.task_mut("1000").diff = Some(ConfigDiff {
                error: "INACTIVEDEVICE".to_owned(),
                ..ConfigDiff::empty()
            });
        },
        "task-diff-failed",
    ),
    (
        "a second task",
        |world| world.add_task(lockstep_simulators::cvp::Task::new("2000", MAC)),
        "several-tasks",
    ),
    (
        "executed",
        |world| world.task_mut("1000").execute("bob"),
        "not-pending",
    ),
    (
        "failed",
        |world| world.task_mut("1000").status = TaskStatus::Failed,
        "not-pending",
    ),
];

#[tokio::test]
async fn a_task_that_violates_a_condition_from_the_start_is_kept() {
    for (what, change, reason) in KEPT {
        let scene = Scene::new(Scenario::many(1, 100).edited(*change)).await;
        let (summary, outcomes) = scene.sweep(live()).await;
        let summary = summary.unwrap();
        // A task that is not pending is not listed at all.
        assert!(
            summary.listed == 0 || outcomes.of("1000").contains(reason),
            "{what}: {}",
            outcomes.of("1000")
        );
        assert_eq!(
            (summary.cancelled, scene.simulator.cancelled().len()),
            (0, 0),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_task_that_violates_a_condition_from_the_second_reading_on_is_kept() {
    for (what, change, reason) in KEPT {
        let scene = Scene::new(Scenario::many(1, 100)).await;
        // The first reading ends with the difference, and the second begins after the note.
        scene.simulator.after(Endpoint::Note, Some("1000"), 1, *change);
        let (_, outcomes) = scene.sweep(live()).await;
        assert!(
            outcomes.of("1000").contains(reason),
            "{what}: {}",
            outcomes.of("1000")
        );
        assert_eq!(scene.simulator.changes_to_come(), 0, "{what}");
        assert_eq!(scene.simulator.cancelled().len(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_finished_change_control_does_not_keep_its_task() {
    let scene = Scene::new(Scenario::many(1, 100).edited(|world| {
        world.attach("1000", "cc1");
        world.change_controls[0].status = Some(ChangeControlStatus::Completed);
    }))
    .await;
    let (summary, _) = scene.sweep(live()).await;
    assert_eq!(summary.unwrap().cancelled, 1);
}

#[tokio::test]
async fn a_device_that_changes_right_after_the_cancel_is_reported() {
    let scene = Scene::new(Scenario::many(1, 100)).await;
    scene.simulator.after(Endpoint::Cancel, Some("1000"), 1, |world| {
        world.device_mut(MAC).set_code("0001");
    });
    let (summary, outcomes) = scene.sweep(live()).await;
    assert_eq!(summary.unwrap().alerts, 1);
    assert_eq!(outcomes.of("1000"), "cancelled: no-longer-compliant");
}
