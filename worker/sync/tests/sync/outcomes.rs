//! What a run comes to.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_device::{PendingSession, SessionState};
use lockstep_execution::{Parked, Schedule, StepFailure, StepResult};
use lockstep_protocol::{Cause, ElementState};
use lockstep_sync::{FreezeWindow, FreezeWindows, RenderFailure, SyncOptions, WindowKind};
use serde_json::{Value, json};

use crate::device::Confirmation;
use crate::world::{SECRET, World, commit, text};

pub(crate) fn failed(result: &StepResult) -> (&str, &Value) {
    let failure = result.as_ref().expect_err("it fails");
    assert_eq!(failure.state, ElementState::Failed, "{failure:?}");
    (&failure.reason, &failure.data)
}

pub(crate) fn skipped(result: &StepResult) -> &str {
    let failure = result.as_ref().expect_err("it is skipped");
    assert_eq!(
        (failure.state, failure.parked),
        (ElementState::Filtered, None),
        "{failure:?}"
    );
    &failure.reason
}

pub(crate) fn changed(result: &StepResult) -> &Value {
    let done = result.as_ref().expect("it is done");
    assert!(done.changed, "{done:?}");
    &done.data
}

pub(crate) fn unchanged(result: &StepResult) -> &Value {
    let done = result.as_ref().expect("it is done");
    assert!(!done.changed, "{done:?}");
    &done.data
}

#[tokio::test(start_paused = true)]
async fn a_device_gets_its_configuration_and_only_then_its_flag() {
    let world = World::new();
    let element = world.element(|_| {});
    let result = world.run(element, false).await;
    let data = changed(&result);
    assert!(world.flag() && world.runs(2));
    world.check("a push");
    let calls = world.with(|inner| inner.calls.clone());
    let push = [
        "binding",
        "connect",
        "pending",
        "read",
        "load",
        "difference",
        "write-diff",
        "binding",
        "write-intent",
        "is-running",
        "commit",
        "connect",
        "read",
        "complete-intent",
        "is-running",
        "confirm",
        "pending",
        "read",
        "conclude",
        "remove-intent",
    ];
    assert_eq!(calls, push);
    world.with(|inner| {
        assert_eq!(inner.store.configuration_hash, Some(inner.device.hash()));
        assert_eq!(inner.store.intent, None);
        assert!(inner.store.previous[&element].contains("vlan 1\n"));
        assert!(inner.device.open().is_empty());
        let diff = &inner.store.diffs[&element];
        assert!(
            diff.text.contains(SECRET) && !diff.masked.contains(SECRET),
            "{diff:?}"
        );
        assert_eq!(data["diff"], diff.masked);
        assert_eq!(
            (data["hash"].as_str(), data["change_score"].as_f64()),
            (Some(&*diff.hash), Some(diff.score))
        );
    });
    assert_eq!(
        (&data["stage"], &data["generation"], &data["drifted"]),
        (&json!("done"), &json!(2), &json!(false))
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let world = World::new();
    let element = world.element(|_| {});
    let result = world.run(element, true).await;
    let data = changed(&result);
    let diff = data["diff"].as_str().unwrap();
    assert!(
        diff.contains("-vlan 1\n+vlan 2\n") && !diff.contains(SECRET),
        "{diff}"
    );
    assert!(world.runs(1) && !world.flag());
    world.with(|inner| {
        assert!(inner.device.open().is_empty() && inner.store.intent.is_none());
        assert_eq!(inner.store.causes, [], "it was unsynchronized before");
    });
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_finds_a_difference_on_a_synchronized_device_flags_it() {
    let world = World::new();
    world.with(|inner| inner.store.synced = 2);
    let element = world.element(|_| {});
    changed(&world.run(element, true).await);
    assert!(!world.flag());
    world.with(|inner| assert_eq!(inner.store.causes, [Cause::SynctoDryrun]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_difference_sets_the_flag_in_a_dry_run_too() {
    for dry_run in [true, false] {
        let world = World::new();
        world.with(|inner| {
            inner.device.running = text(2);
            inner.store.configuration_hash = None;
        });
        let element = world.element(|_| {});
        let result = world.run(element, dry_run).await;
        assert_eq!(unchanged(&result)["diff"], "");
        assert!(world.flag());
        world.with(|inner| {
            assert_eq!(inner.store.configuration_hash, Some(inner.device.hash()));
            assert!(inner.device.open().is_empty());
        });
        world.check("an empty difference");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_during_the_run_leaves_the_device_unsynchronized() {
    let world = World::new();
    let element = world.element(|_| {});
    world.with(|inner| inner.store.change());
    changed(&world.run(element, false).await);
    assert!(world.runs(2) && !world.flag());
    world.with(|inner| assert_eq!((inner.store.desired, inner.store.synced), (3, 2)));
}

#[tokio::test(start_paused = true)]
async fn an_old_generation_never_overwrites_a_newer_one() {
    let world = World::new();
    let old = world.element(|_| {});
    world.with(|inner| inner.store.change());
    let new = world.element(|_| {});
    changed(&world.run(new, false).await);
    for dry_run in [true, false] {
        assert_eq!(skipped(&world.run(old, dry_run).await), "superseded");
    }
    assert!(world.runs(3) && world.flag());
    world.check("an old commit");
}

#[tokio::test(start_paused = true)]
async fn devices_that_are_gone_or_not_managed_are_skipped() {
    let world = World::new();
    let element = world.element(|_| {});
    world.with(|inner| inner.store.is_unmanaged = true);
    assert_eq!(skipped(&world.run(element, false).await), "not-managed");
    world.with(|inner| inner.store.is_removed = true);
    assert_eq!(skipped(&world.run(element, false).await), "not-bound");
    assert_eq!(world.called("connect"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_reached_fails_and_is_not_flagged() {
    let world = World::new();
    world.with(|inner| {
        inner.store.synced = 2;
        inner.device.running = text(2);
        inner.device.unreachable = true;
    });
    let element = world.element(|_| {});
    let result = world.run(element, false).await;
    let (reason, data) = failed(&result);
    assert_eq!((reason, &data["stage"]), ("unreachable", &json!("connect")));
    assert!(world.flag());
}

#[tokio::test(start_paused = true)]
async fn a_template_error_fails_the_device_and_leaves_its_flag() {
    type Row = (fn() -> RenderFailure, &'static str);
    let table: [Row; 2] = [
        (
            || RenderFailure::Invalid("eos/access.j2:7: undefined".to_owned()),
            "render",
        ),
        (
            || RenderFailure::Unavailable("no route".to_owned()),
            "render-unavailable",
        ),
    ];
    for (failure, expected) in table {
        let world = World::new();
        world.with(|inner| {
            inner.store.synced = 2;
            inner.render = Some(failure);
        });
        let element = world.element(|_| {});
        let result = world.run(element, false).await;
        let (reason, data) = failed(&result);
        assert_eq!((reason, &data["stage"]), (expected, &json!("render")));
        assert_eq!(result.unwrap_err().message, failure().to_string());
        assert!(world.flag(), "nothing was found out");
        world.with(|inner| assert!(inner.device.open().is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_accepted_commit_nothing_is_rendered() {
    let world = World::new();
    let element = world.element(|binding| binding.templates = None);
    let result = world.run(element, false).await;
    assert_eq!(failed(&result).0, "no-commit");
    assert!(result.unwrap_err().message.contains("templates"));
}

#[tokio::test(start_paused = true)]
async fn a_change_from_outside_is_flagged_shown_and_not_overwritten_unless_forced() {
    let world = World::new();
    changed(&world.run(world.element(|_| {}), false).await);
    world.with(|inner| inner.device.change_by_hand("vlan 99\n"));
    let result = world.run(world.element(|_| {}), false).await;
    let (reason, data) = failed(&result);
    assert_eq!(
        (reason, &data["drifted"], &data["stage"]),
        ("drift", &json!(true), &json!("drift"))
    );
    assert!(data["diff"].as_str().unwrap().contains("-vlan 99"), "{data}");
    assert!(!world.flag());
    world.with(|inner| {
        assert!(inner.device.running.contains("vlan 99"), "it is not overwritten");
        assert_eq!(inner.store.causes, [Cause::Confighash]);
    });
    let result = world.run(world.element(|_| {}), true).await;
    assert_eq!(changed(&result)["drifted"], true);
    let result = world
        .run_as(world.element(|_| {}), false, json!({"force": true}))
        .await;
    changed(&result);
    assert!(world.flag() && world.runs(2));
    world.check("force");
}

#[tokio::test(start_paused = true)]
async fn a_change_from_outside_that_is_intended_now_is_no_drift() {
    let world = World::new();
    world.with(|inner| {
        inner.device.change_by_hand("");
        inner.device.running = text(2);
    });
    unchanged(&world.run(world.element(|_| {}), false).await);
    assert!(world.flag());
    world.with(|inner| assert_eq!(inner.store.configuration_hash, Some(inner.device.hash())));
}

#[tokio::test(start_paused = true)]
async fn drift_is_looked_for_accepted_and_then_gone() {
    let world = World::new();
    changed(&world.run(world.element(|_| {}), false).await);
    let drift = || world.run_as(world.element(|_| {}), true, json!({"action": "drift"}));
    unchanged(&drift().await);
    assert_eq!(world.called("load"), 0, "nothing is rendered without need");
    world.with(|inner| inner.device.change_by_hand("vlan 99\n"));
    let result = drift().await;
    assert!(changed(&result)["diff"].as_str().unwrap().contains("-vlan 99"));
    world.with(|inner| assert_eq!(inner.store.causes, [Cause::Confighash]));
    let accept = |dry_run| world.run_as(world.element(|_| {}), dry_run, json!({"action": "accept-drift"}));
    changed(&accept(true).await);
    assert_eq!(world.called("conclude"), 0);
    changed(&accept(false).await);
    assert!(!world.flag(), "the flag stays as it is");
    unchanged(&drift().await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_leaves_no_session_and_no_intent() {
    let world = World::new();
    world.with(|inner| inner.device.refuses_commit = true);
    let result = world.run(world.element(|_| {}), false).await;
    let (reason, data) = failed(&result);
    assert_eq!((reason, &data["stage"]), ("refused", &json!("commit")));
    world.with(|inner| assert!(inner.device.open().is_empty() && inner.store.intent.is_none()));
    assert!(world.runs(1) && !world.flag());
}

#[tokio::test(start_paused = true)]
async fn too_many_sessions_are_what_the_device_says() {
    let world = World::new();
    world.with(|inner| inner.device.too_many_sessions = true);
    let result = world.run(world.element(|_| {}), false).await;
    assert_eq!(failed(&result).1["stage"], "load");
    assert!(
        result
            .unwrap_err()
            .message
            .contains("Maximum number of pending sessions")
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_applied_or_not_confirmed_raises_no_flag() {
    let table: [(Confirmation, bool, &str, Cause); 4] = [
        (
            Confirmation::Works,
            true,
            "rolled-back",
            Cause::CommitConfirmFailed,
        ),
        (
            Confirmation::RolledBack,
            false,
            "rolled-back",
            Cause::CommitConfirmFailed,
        ),
        (
            Confirmation::Ignored,
            false,
            "not-confirmed",
            Cause::CommitConfirmFailed,
        ),
        (
            Confirmation::Replaced,
            false,
            "replaced",
            Cause::CommitConfirmFailed,
        ),
    ];
    for (confirmation, does_not_apply, expected, cause) in table {
        let world = World::new();
        world.with(|inner| {
            // It was taken for synchronized, so that the cause is seen.
            inner.store.synced = 2;
            inner.device.confirmation = confirmation;
            inner.device.does_not_apply = does_not_apply;
        });
        let result = world.run(world.element(|_| {}), false).await;
        assert_eq!(failed(&result).0, expected, "{confirmation:?}");
        world.after_timers().await;
        assert!(!world.flag(), "{confirmation:?}");
        world.check(expected);
        world.with(|inner| {
            assert_eq!(inner.store.causes, [cause], "{confirmation:?}");
            inner.device.confirmation = Confirmation::Works;
            inner.device.does_not_apply = false;
        });
        if confirmation != Confirmation::Replaced {
            changed(&world.run(world.element(|_| {}), false).await);
            assert!(
                world.flag() && world.runs(2),
                "the next run brings it there: {confirmation:?}"
            );
            world.check(expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_device_confirms_and_does_not_save_is_synchronized_and_told() {
    let world = World::new();
    world.with(|inner| inner.device.confirmation = Confirmation::NotSaved);
    let result = world.run(world.element(|_| {}), false).await;
    let message = result.as_ref().unwrap().message.clone().unwrap_or_default();
    assert!(
        message.contains("confirmed, not saved: no space left on device"),
        "{message}"
    );
    changed(&result);
    assert!(world.flag() && world.runs(2));
    world.check("not saved");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_the_device_ignores_once_is_repeated() {
    let world = World::new();
    world.with(|inner| inner.device.confirmation = Confirmation::IgnoredOnce);
    changed(&world.run(world.element(|_| {}), false).await);
    assert_eq!(world.called("confirm"), 2);
    assert_eq!(
        world.called("is-running"),
        3,
        "before the commit, and before each confirmation"
    );
    assert!(world.flag());
    world.check("ignored once");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_the_device_rolls_back_later_is_found_as_drift() {
    let world = World::new();
    changed(&world.run(world.element(|_| {}), false).await);
    world.with(|inner| {
        inner.device.running = text(1);
        inner.device.changed_by_hand = true;
    });
    assert_eq!(failed(&world.run(world.element(|_| {}), false).await).0, "drift");
    assert!(!world.flag());
}

fn session(name: &str, state: SessionState) -> PendingSession {
    PendingSession {
        name: name.to_owned(),
        state,
        user: Some("anna".to_owned()),
        rolls_back_at: None,
        age: Some(Duration::from_mins(90)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_somebody_else_that_waits_is_reported_by_name() {
    let world = World::new();
    world.with(|inner| inner.device.foreign = vec![session("job7", SessionState::PendingTimer)]);
    for dry_run in [true, false] {
        let result = world.run(world.element(|_| {}), dry_run).await;
        let (reason, data) = failed(&result);
        assert_eq!(
            (reason, &data["sessions"][0]["name"]),
            ("session-in-use", &json!("job7"))
        );
        let message = result.unwrap_err().message;
        assert!(message.contains("\"job7\" of anna, 90 min old"), "{message}");
    }
    world.with(|inner| assert_eq!(inner.device.foreign.len(), 1, "it is left alone"));
}

#[tokio::test(start_paused = true)]
async fn an_open_session_of_somebody_else_is_shown_and_left_alone() {
    let world = World::new();
    world.with(|inner| inner.device.foreign = vec![session("anna", SessionState::Pending)]);
    let result = world.run(world.element(|_| {}), false).await;
    assert_eq!(changed(&result)["sessions"][0]["age_seconds"], 5400);
    world.with(|inner| assert_eq!(inner.device.foreign.len(), 1));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_listed_and_one_is_aborted_by_name() {
    let world = World::new();
    world.with(|inner| inner.device.foreign = vec![session("anna", SessionState::Pending)]);
    let act = |dry_run, arguments: Value| world.run_as(world.element(|_| {}), dry_run, arguments);
    let result = act(true, json!({"action": "list-sessions"})).await;
    assert_eq!(unchanged(&result)["sessions"][0]["user"], "anna");
    let abort = json!({"action": "abort-session", "session": "anna"});
    changed(&act(true, abort.clone()).await);
    world.with(|inner| assert_eq!(inner.device.foreign.len(), 1, "a dry run aborts nothing"));
    changed(&act(false, abort.clone()).await);
    world.with(|inner| assert!(inner.device.foreign.is_empty()));
    assert_eq!(failed(&act(false, abort).await).0, "no-such-session");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_rendered_without_contact() {
    let world = World::new();
    let element = world.element(|_| {});
    unchanged(&world.run_as(element, true, json!({"action": "render"})).await);
    world.with(|inner| assert_eq!(inner.store.diffs[&element].rendered, Some(text(2))));
    assert_eq!(world.called("connect"), 0);
    let of_settings = json!({"action": "render", "commit": commit(9).as_str()});
    unchanged(&world.run_as(element, true, of_settings).await);
    world.with(|inner| assert_eq!(inner.store.diffs[&element].rendered, Some(text(9))));
}

fn frozen_until(result: &StepResult) -> (Timestamp, Timestamp) {
    let Err(StepFailure {
        parked: Some(Parked::Until {
            resume_at,
            expires_at,
        }),
        reason,
        state: ElementState::Filtered,
        ..
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!(reason, "frozen");
    (*resume_at, *expires_at)
}

fn frozen(cron: &str) -> SyncOptions {
    let window = FreezeWindow {
        name: "exam".to_owned(),
        begins: Schedule::new(cron, "UTC", Timestamp::UNIX_EPOCH).expect("a cron expression"),
        length: Duration::from_hours(2),
        groups: vec!["campus".to_owned()],
        kind: WindowKind::Deny,
    };
    SyncOptions {
        windows: FreezeWindows::new(vec![window]),
        ..SyncOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_in_a_freeze_window_is_parked_without_contact_and_a_dry_run_is_not() {
    let world = World::new();
    let element = world.element(|_| {});
    let result = world
        .run_with(element, false, json!({}), frozen("30 7 * * *"), None)
        .await
        .unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(
        frozen_until(&result),
        (time("2026-11-30T09:30:00Z"), time("2026-12-01T08:00:00Z"))
    );
    assert!(
        result
            .unwrap_err()
            .message
            .contains("\"exam\" lasts until 2026-11-30T09:30:00Z")
    );
    assert_eq!(world.called("connect"), 0);
    changed(
        &world
            .run_with(element, true, json!({}), frozen("30 7 * * *"), None)
            .await
            .unwrap(),
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_that_begins_before_the_commit_parks_the_device_and_one_that_begins_after_it_does_not() {
    for (jump_after, parked) in [
        ("difference", true),
        ("commit", false),
        ("complete-intent", false),
    ] {
        let world = World::new();
        let element = world.element(|_| {});
        world.with(|inner| inner.clock_jumps = Some((jump_after, "2026-11-30T09:00:00Z".parse().unwrap())));
        let result = world
            .run_with(element, false, json!({}), frozen("0 9 * * *"), None)
            .await
            .unwrap();
        if parked {
            frozen_until(&result);
            assert_eq!((world.called("commit"), world.flag()), (0, false));
            world.with(|inner| {
                assert!(inner.device.open().is_empty() && inner.store.intent.is_none());
                inner.now = "2026-11-30T11:00:00Z".parse().unwrap();
                inner.clock_jumps = None;
            });
            changed(
                &world
                    .run_with(element, false, json!({}), frozen("0 9 * * *"), None)
                    .await
                    .unwrap(),
            );
        } else {
            changed(&result);
        }
        assert!(world.flag(), "{jump_after}");
        world.check(jump_after);
    }
}
