//! Tests the sweep with a scripted CloudVision: what it cancels, and what it must not cancel.

mod fake;
mod single;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fake::{Cancel, Fake, World};

use super::SweepOptions;
use crate::gate::{ChangeControlPolicy, Policy};
use crate::wire::TaskId;

const EMPTY: &str = "0000";

fn live() -> SweepOptions {
    SweepOptions {
        dry_run: false,
        ..SweepOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn empty_tasks_are_cancelled_and_the_others_kept_without_a_request() {
    let fake = Arc::new(Fake::new(&[
        ("1", EMPTY),
        ("2", "0001"),
        ("3", EMPTY),
        ("4", "0007"),
    ]));
    let (summary, observed) = fake.sweep(live()).await;
    let summary = summary.unwrap();
    assert_eq!((summary.cancelled, summary.kept), (2, 2));
    assert_eq!(summary.reasons["not-compliant"], 2);
    assert_eq!(
        (observed.outcome("1"), observed.outcome("2")),
        ("cancelled".to_owned(), "kept: not-compliant".to_owned())
    );
    let row = serde_json::to_value(&observed.reports["1"]).unwrap();
    assert_eq!(
        row,
        serde_json::json!({"task_id": "1", "net_element_id": "1", "hostname": "leaf1", "serial": "1", "code": "0000",
            "meaning": "Configuration is in sync", "action": "cancelled",
            "answer": "Task cancellation triggered successfully", "reasons": []})
    );
    // Three compliance checks for each empty task, and none for the others.
    assert_eq!(fake.count("compliance"), 6);
    assert_eq!((fake.count("note"), fake.count("cancel")), (2, 2));
    let calls = fake.world();
    let about: Vec<&str> = calls
        .calls
        .iter()
        .filter(|(_, about, _)| about == "1")
        .map(|(call, _, _)| *call)
        .collect();
    let order = [
        "compliance",
        "diff",
        "note",
        "task",
        "compliance",
        "diff",
        "cancel",
        "task",
        "compliance",
    ];
    assert_eq!(about, order);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_reads_as_much_and_changes_nothing() {
    let fake = Arc::new(Fake::new(&[("1", EMPTY), ("2", "0001")]));
    let (_, observed) = fake.sweep(SweepOptions::default()).await;
    assert_eq!(
        (observed.outcome("1"), observed.outcome("2")),
        ("kept: dry-run".to_owned(), "kept: not-compliant".to_owned())
    );
    assert_eq!(
        (fake.count("compliance"), fake.count("note"), fake.count("cancel")),
        (2, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_changes_between_the_readings_is_kept() {
    type Change = fn(&mut World);
    let table: [(&str, Change, &str); 7] = [
        (
            "code",
            |world| world.devices.get_mut("1").unwrap().code = "0001".to_owned(),
            "kept: not-compliant, changed",
        ),
        (
            "diff",
            |world| world.devices.get_mut("1").unwrap().diff = Some(false),
            "kept: task-diff, disagreement",
        ),
        (
            "change control",
            |world| world.held = BTreeSet::from(["1".to_owned()]),
            "kept: change-control",
        ),
        (
            "status",
            |world| world.set_status("1", "Failed"),
            "kept: not-pending, changed",
        ),
        ("finished", |world| world.set_status("1", "Completed"), "gone"),
        ("cancelled", |world| world.set_status("1", "Cancelled"), "gone"),
        ("removed", |world| world.tasks.clear(), "gone"),
    ];
    for (what, change, expected) in table {
        // Right before the change controls are read again, which comes first in the second reading.
        let mut readings = 0;
        let fake = Fake::new(&[("1", EMPTY)]).on(move |call, _, _, world| {
            readings += usize::from(call == "controls");
            if call == "controls" && readings == 2 {
                change(world);
            }
        });
        let fake = Arc::new(fake);
        let (_, observed) = fake.sweep(live()).await;
        assert_eq!(observed.outcome("1"), expected, "{what}");
        assert_eq!(fake.count("cancel"), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_cannot_be_read_again_is_kept() {
    for (call, works, expected) in [
        ("task", 0, "kept: task-unreadable"),
        ("compliance", 1, "kept: compliance-unreadable"),
        ("compliance", 0, "kept: compliance-unreadable"),
        ("diff", 1, "kept: task-diff-unreadable"),
        ("diff", 0, "kept: task-diff-unreadable"),
        ("controls", 1, "kept: change-controls-unreadable"),
        ("controls", 0, "kept: change-controls-unreadable"),
        ("note", 0, "failed: note-failed"),
    ] {
        let fake = Fake::new(&[("1", EMPTY)]).failing(call, works);
        let fake = Arc::new(fake);
        let (summary, observed) = fake.sweep(live()).await;
        assert!(summary.is_ok(), "{call}");
        assert_eq!(observed.outcome("1"), expected, "{call} after {works}");
        assert_eq!(fake.count("cancel"), 0, "{call} after {works}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_list_cancels_nothing() {
    let tasks: Vec<(String, &str)> = (0..20).map(|number| (number.to_string(), EMPTY)).collect();
    let tasks: Vec<(&str, &str)> = tasks.iter().map(|(id, code)| (id.as_str(), *code)).collect();
    let fake = Arc::new(Fake::new(&tasks).failing("tasks", 1));
    let options = SweepOptions { page: 10, ..live() };
    let (summary, _) = fake.sweep(options).await;
    summary.unwrap_err();
    assert_eq!((fake.count("note"), fake.count("cancel")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_an_inventory_each_device_is_checked() {
    let fake = Fake::new(&[("1", EMPTY), ("2", "0001")]).failing("inventory", 0);
    let fake = Arc::new(fake);
    let (summary, observed) = fake.sweep(live()).await;
    assert_eq!((summary.unwrap().cancelled, observed.warnings), (1, 1));
    assert_eq!(observed.outcome("2"), "kept: not-compliant");
    assert_eq!(
        fake.count("diff"),
        2,
        "a task that the device keeps needs no difference"
    );
}

#[tokio::test(start_paused = true)]
async fn old_releases_are_swept_without_change_controls_only_if_configured() {
    let fake = Fake::new(&[("1", EMPTY)]).with(|world| {
        world.failing.insert("controls", 0);
        world.devices.get_mut("1").unwrap().diff = None;
    });
    let fake = Arc::new(fake);
    let policy = Policy {
        change_controls: ChangeControlPolicy::Unavailable,
        ..Policy::default()
    };
    let (summary, _) = fake.sweep(SweepOptions { policy, ..live() }).await;
    assert_eq!(summary.unwrap().cancelled, 1);
    assert_eq!(fake.count("controls"), 1);
}

#[tokio::test(start_paused = true)]
async fn change_controls_that_were_read_once_must_be_read_again() {
    let policy = Policy {
        change_controls: ChangeControlPolicy::Unavailable,
        ..Policy::default()
    };
    let fake = Arc::new(Fake::new(&[("1", EMPTY)]).failing("controls", 1));
    let (_, observed) = fake.sweep(SweepOptions { policy, ..live() }).await;
    assert_eq!(observed.outcome("1"), "kept: change-controls-unreadable");
}

#[tokio::test(start_paused = true)]
async fn several_tasks_of_one_device_are_kept_on_whichever_page() {
    let fake =
        Fake::new(&[("1", EMPTY), ("2", EMPTY), ("3", EMPTY)]).with(|world| world.add("4", "1", EMPTY));
    let fake = Arc::new(fake);
    let (summary, observed) = fake.sweep(SweepOptions { page: 1, ..live() }).await;
    assert_eq!(summary.unwrap().cancelled, 2);
    for task in ["1", "4"] {
        assert_eq!(observed.outcome(task), "kept: several-tasks");
    }
    // The same if only one of them is selected.
    let fake = Fake::new(&[("1", EMPTY)]).with(|world| world.add("4", "1", EMPTY));
    let only = Some(BTreeSet::from([TaskId::from("1".to_owned())]));
    let (_, observed) = Arc::new(fake).sweep(SweepOptions { only, ..live() }).await;
    assert_eq!(
        (observed.outcome("1"), observed.reports.len()),
        ("kept: several-tasks".to_owned(), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_second_reading_is_at_least_the_gap_after_the_first() {
    let policy = Policy {
        reading_gap: Duration::from_secs(20),
        ..Policy::default()
    };
    let fake = Arc::new(Fake::new(&[("1", EMPTY), ("2", EMPTY)]));
    let (summary, _) = fake.sweep(SweepOptions { policy, ..live() }).await;
    assert_eq!(summary.unwrap().cancelled, 2);
    let world = fake.world();
    let readings: Vec<Duration> = world
        .calls
        .iter()
        .filter(|(call, about, _)| *call == "compliance" && about == "1")
        .map(|(_, _, at)| *at)
        .collect();
    let apart = readings[1].saturating_sub(readings[0]);
    let expected = Duration::from_secs(20)..Duration::from_secs(21);
    assert!(expected.contains(&apart), "{readings:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_the_task_is_read_before_a_new_cancel() {
    use Cancel::{Lost, LostWithoutEffect, Refused, Works};
    let now = Works(Duration::ZERO);
    let table: [(&[Cancel], usize, &str); 8] = [
        (&[now], 1, "cancelled"),
        (&[Works(Duration::from_secs(10))], 1, "cancelled"),
        (&[Works(Duration::from_mins(1))], 1, "failed: cancel-unconfirmed"),
        (&[Lost], 1, "cancelled"),
        (&[LostWithoutEffect, now], 2, "cancelled"),
        (&[LostWithoutEffect, LostWithoutEffect, Lost], 3, "cancelled"),
        (
            &[LostWithoutEffect, LostWithoutEffect, LostWithoutEffect],
            3,
            "failed: cancel-lost",
        ),
        (&[Refused], 1, "failed: cancel-refused"),
    ];
    for (script, sent, expected) in table {
        let fake = Fake::new(&[("1", EMPTY)]).with(|world| world.cancels = VecDeque::from(script.to_vec()));
        let fake = Arc::new(fake);
        let (_, observed) = fake.sweep(live()).await;
        assert_eq!(
            (observed.outcome("1").as_str(), fake.count("cancel")),
            (expected, sent),
            "{script:?}"
        );
        if sent > 1 {
            // All evidence is read again before each further cancel.
            assert_eq!(
                fake.count("compliance"),
                1 + sent + usize::from(expected == "cancelled"),
                "{script:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_not_sent_again_to_a_task_that_changed_meanwhile() {
    let fake = Fake::new(&[("1", EMPTY)])
        .with(|world| world.cancels = VecDeque::from([Cancel::LostWithoutEffect]))
        .on(|call, _, before, world| {
            if call == "compliance" && before == 2 {
                world.devices.get_mut("1").unwrap().code = "0001".to_owned();
            }
        });
    let fake = Arc::new(fake);
    let (_, observed) = fake.sweep(live()).await;
    assert_eq!(
        (observed.outcome("1").as_str(), fake.count("cancel")),
        ("kept: not-compliant, changed", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_changes_during_the_cancel_is_reported() {
    let fake = Fake::new(&[("1", EMPTY)]).on(|call, _, _, world| {
        if call == "cancel" {
            world.devices.get_mut("1").unwrap().code = "0001".to_owned();
        }
    });
    let (summary, observed) = Arc::new(fake).sweep(live()).await;
    let summary = summary.unwrap();
    assert_eq!((summary.cancelled, summary.alerts), (1, 1));
    assert_eq!(observed.outcome("1"), "cancelled: no-longer-compliant");

    let fake = Fake::new(&[("1", EMPTY)]).failing("compliance", 2);
    let (summary, observed) = Arc::new(fake).sweep(live()).await;
    assert_eq!(
        (summary.unwrap().alerts, observed.outcome("1").as_str()),
        (0, "cancelled: last-look-failed")
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_no_cancel_begins() {
    for at in ["inventory", "compliance", "note", "diff"] {
        let options = live();
        let stop = options.stop.clone();
        let fake = Fake::new(&[("1", EMPTY), ("2", EMPTY)]).on(move |call, _, _, _| {
            if call == at {
                stop.cancel();
            }
        });
        let fake = Arc::new(fake);
        let (summary, observed) = fake.sweep(options).await;
        assert_eq!((summary.unwrap().kept, fake.count("cancel")), (2, 0), "{at}");
        assert_eq!(observed.outcome("1"), "kept: stopped", "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_tasks_are_processed_concurrently() {
    let tasks: Vec<(String, &str)> = (0..100).map(|number| (number.to_string(), EMPTY)).collect();
    let tasks: Vec<(&str, &str)> = tasks.iter().map(|(id, code)| (id.as_str(), *code)).collect();
    let fake = Arc::new(Fake::new(&tasks));
    let start = tokio::time::Instant::now();
    let options = SweepOptions {
        in_flight: 50,
        ..live()
    };
    let (summary, _) = fake.sweep(options).await;
    assert_eq!(summary.unwrap().cancelled, 100);
    // Two rounds, each with a first reading, a second reading, a cancel and the checks after it. One task at a time would take 50 s.
    assert!(
        start.elapsed() < Duration::from_millis(1600),
        "{:?}",
        start.elapsed()
    );
    // The change controls are read for many at once.
    assert!(fake.count("controls") < 10, "{}", fake.count("controls"));
}

#[tokio::test(start_paused = true)]
async fn the_allowed_concurrency_is_used_nearly_all_the_time() {
    let code = |number: u32| if number.is_multiple_of(10) { EMPTY } else { "0001" };
    let tasks: Vec<(String, &str)> = (0..2000)
        .map(|number| (number.to_string(), code(number)))
        .collect();
    let tasks: Vec<(&str, &str)> = tasks.iter().map(|(id, code)| (id.as_str(), *code)).collect();
    let fake = Arc::new(Fake::new(&tasks).limited_to(32));
    let start = tokio::time::Instant::now();
    let (summary, _) = fake.sweep(live()).await;
    let elapsed = start.elapsed();
    assert_eq!(summary.unwrap().cancelled, 200);
    let requests = fake.world().calls.len();
    let ideal = Duration::from_millis(50).mul_f64(f64::from(u32::try_from(requests).unwrap()) / 32.0);
    let share = ideal.as_secs_f64() / elapsed.as_secs_f64();
    assert!(
        share >= 0.95,
        "{requests} requests, {elapsed:?}, ideal {ideal:?}, {share:.3}"
    );
}

#[tokio::test(start_paused = true)]
async fn second_readings_begin_while_a_quarter_of_the_places_has_first_ones() {
    for (in_flight, overlap) in [(24, true), (4, false)] {
        let tasks = ["1", "2", "3", "4", "5", "6"].map(|id| (id, EMPTY));
        let fake = Arc::new(Fake::new(&tasks).limited_to(2));
        let options = SweepOptions {
            in_flight,
            policy: Policy {
                reading_gap: Duration::ZERO,
                ..Policy::default()
            },
            ..live()
        };
        let (summary, _) = fake.sweep(options).await;
        assert_eq!(summary.unwrap().cancelled, 6);
        let world = fake.world();
        let calls = || world.calls.iter().map(|(call, _, _)| *call).enumerate();
        let first_note = calls().find(|(_, call)| *call == "note").unwrap().0;
        let diffs_before = calls()
            .filter(|(index, call)| *call == "diff" && *index < first_note)
            .count();
        assert_eq!(diffs_before < 6, overlap, "{in_flight}: {:?}", world.calls);
    }
}
