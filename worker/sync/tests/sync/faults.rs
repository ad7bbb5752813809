//! Faults at every step: each call to the device and to the store, one after the other.

use lockstep_execution::StepResult;
use lockstep_sync::SyncOptions;
use serde_json::json;

use crate::outcomes::changed;
use crate::world::{Fault, World};

/// Runs a push with a fault at every call, each in a world of its own. `then` looks at what came of it: the world, the element, the
/// number of the call and its name, and the result, if the worker was not killed.
async fn at_each_call<F: AsyncFn(&World, u64, &str, Option<StepResult>)>(fault: Fault, then: F) {
    let mut index = 0;
    loop {
        let world = World::new();
        let element = world.element(|_| {});
        let result = world
            .run_with(
                element,
                false,
                json!({}),
                SyncOptions::default(),
                Some((index, fault)),
            )
            .await;
        let Some(name) = world.with(|inner| inner.calls.get(index).cloned()) else {
            assert!(index >= 20, "only {index} calls");
            return;
        };
        then(&world, element, &format!("{fault:?} at {index}: {name}"), result).await;
        index += 1;
    }
}

/// Runs the element once more, and expects that the device gets there.
async fn run_again(world: &World, element: u64, what: &str) {
    let result = world.run(element, false).await;
    assert!(result.is_ok(), "{what}: {result:?}");
    assert!(world.flag() && world.runs(2), "{what}");
    world.with(|inner| {
        assert!(
            inner.device.open().is_empty() && inner.store.intent.is_none(),
            "{what}"
        );
        assert_eq!(
            inner.store.configuration_hash,
            Some(inner.device.hash()),
            "{what}"
        );
        assert_eq!(inner.store.causes, [], "{what}: no false drift");
    });
    world.check(what);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_killed_at_any_step_leaves_nothing_that_the_next_attempt_does_not_repair() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter] {
        // The next attempt comes before the timer is over, or after it.
        for waits in [false, true] {
            at_each_call(fault, async |world, element, what, result| {
                assert!(result.is_none(), "{what}");
                if waits {
                    world.after_timers().await;
                    world.check(what);
                }
                run_again(world, element, what).await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_run_settles_what_a_killed_one_left() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter] {
        at_each_call(fault, async |world, _, what, _| {
            world.with(|inner| inner.store.change());
            // A dry run changes nothing but what the killed one left.
            let dry = world.element(|_| {});
            changed(&world.run(dry, true).await);
            world.after_timers().await;
            world.check(what);
            assert!(!world.flag(), "{what}");
            changed(&world.run(world.element(|_| {}), false).await);
            assert!(world.flag() && world.runs(3), "{what}");
            world.check(what);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_at_any_step_confirms_nothing_and_raises_no_flag() {
    at_each_call(Fault::LeaseLost, async |world, element, what, result| {
        let result = result.unwrap();
        let confirmed = world.called("confirm") > 0;
        if what.ends_with("remove-intent") {
            assert!(result.is_ok() && world.flag(), "{what}");
        } else {
            assert_eq!(result.unwrap_err().reason, "lease-lost", "{what}");
            assert!(!world.flag(), "{what}");
        }
        world.with(|inner| {
            inner
                .violations
                .retain(|violation| !(confirmed && violation == "a stale run confirms"));
        });
        world.after_timers().await;
        world.check(what);
        if !confirmed {
            assert!(world.runs(1), "{what}: what was committed is rolled back");
            world.with(|inner| assert!(inner.device.open().is_empty(), "{what}"));
        }
        run_again(world, element, what).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_commit_stops_and_after_it_the_confirmation_proceeds() {
    at_each_call(Fault::Cancelled, async |world, element, what, result| {
        let result = result.unwrap();
        let committed = world.called("commit") > 0;
        assert_eq!(result.is_ok(), committed || world.flag(), "{what}: {result:?}");
        if !committed {
            assert_eq!(result.unwrap_err().reason, "cancelled", "{what}");
            assert!(world.runs(1), "{what}");
        }
        world.with(|inner| assert!(inner.device.open().is_empty(), "{what}"));
        world.check(what);
        run_again(world, element, what).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_arrive_or_whose_answer_is_lost_leaves_no_false_flag() {
    for fault in [Fault::NotReached, Fault::AnswerLost, Fault::Reboot] {
        at_each_call(fault, async |world, element, what, result| {
            let result = result.unwrap();
            if what.ends_with(": confirm") && fault == Fault::AnswerLost {
                assert!(result.is_ok(), "{what}: it was confirmed: {result:?}");
            }
            if what.ends_with(": confirm") && fault == Fault::NotReached {
                assert!(result.is_ok(), "{what}: it is confirmed once more: {result:?}");
            }
            if what.ends_with(": confirm") && fault == Fault::Reboot {
                assert_eq!(result.as_ref().unwrap_err().reason, "rolled-back", "{what}");
            }
            assert!(result.is_err() || world.flag(), "{what}");
            world.after_timers().await;
            world.check(what);
            run_again(world, element, what).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_is_interrupted_at_any_step_never_looks_synchronized() {
    for fault in [
        Fault::KilledBefore,
        Fault::KilledAfter,
        Fault::LeaseLost,
        Fault::AnswerLost,
    ] {
        for index in 0..30 {
            let world = World::new();
            let push = world.element(|_| {});
            changed(&world.run(push, false).await);
            let dry = world.element(|binding| binding.restores = Some(push));
            changed(&world.run(dry, true).await);
            let back = world.plan_of(dry);
            let options = SyncOptions::default();
            let _ = world
                .run_with(back, false, json!({}), options, Some((index, fault)))
                .await;
            world.with(|inner| inner.violations.clear());
            let what = format!("{fault:?} at {index}");
            world.after_timers().await;
            world.check(&what);
            let result = world.run(back, false).await;
            assert!(result.is_ok(), "{what}: {result:?}");
            assert!(world.runs(1) && !world.flag(), "{what}");
            world.with(|inner| {
                assert_eq!(
                    inner.store.configuration_hash,
                    Some(inner.device.hash()),
                    "{what}"
                );
            });
            world.check(&what);
        }
    }
}
