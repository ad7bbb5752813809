//! Plans, and ways back.

use lockstep_protocol::Cause;

use crate::outcomes::{changed, failed, skipped, unchanged};
use crate::world::{World, text};

#[tokio::test(start_paused = true)]
async fn a_plan_applies_what_was_looked_at() {
    let world = World::new();
    let dry = world.element(|_| {});
    changed(&world.run(dry, true).await);
    let plan = world.plan_of(dry);
    changed(&world.run(plan, false).await);
    assert!(world.flag() && world.runs(2));
    world.check("a plan");
}

#[tokio::test(start_paused = true)]
async fn a_plan_fits_although_its_dry_run_flagged_the_device() {
    let world = World::new();
    world.with(|inner| inner.store.synced = 2);
    let dry = world.element(|_| {});
    changed(&world.run(dry, true).await);
    assert!(!world.flag());
    let plan = world.plan_of(dry);
    changed(&world.run(plan, false).await);
    assert!(world.flag() && world.runs(2));
    world.check("a plan of a device that was flagged by it");
}

#[tokio::test(start_paused = true)]
async fn a_plan_leaves_alone_a_device_whose_generation_or_difference_changed() {
    let world = World::new();
    let dry = world.element(|_| {});
    changed(&world.run(dry, true).await);
    let plan = world.plan_of(dry);
    world.with(|inner| {
        inner.store.configuration_hash = None;
        inner.device.change_by_hand("vlan 99\n");
    });
    assert_eq!(skipped(&world.run(plan, false).await), "diff-changed");
    world.with(|inner| {
        assert!(inner.device.running.contains("vlan 99") && inner.device.open().is_empty());
        inner.store.change();
    });
    assert_eq!(skipped(&world.run(plan, false).await), "generation-changed");
    assert_eq!(world.called("connect"), 0);
    assert!(!world.flag());
}

#[tokio::test(start_paused = true)]
async fn settings_that_change_while_a_plan_is_applied_stop_it_before_the_commit() {
    let world = World::new();
    let dry = world.element(|_| {});
    changed(&world.run(dry, true).await);
    let plan = world.plan_of(dry);
    let before_the_commit = {
        let probe = World::new();
        changed(&probe.run(probe.element(|_| {}), false).await);
        probe.with(|inner| inner.calls.iter().position(|call| call == "write-diff").unwrap())
    };
    world.with(|inner| inner.changes_at = Some(before_the_commit));
    assert_eq!(skipped(&world.run(plan, false).await), "generation-changed");
    assert_eq!(world.called("commit"), 0);
    world.with(|inner| assert!(inner.device.open().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_restores_what_was_there_and_leaves_the_device_unsynchronized() {
    let world = World::new();
    let push = world.element(|_| {});
    changed(&world.run(push, false).await);
    let dry = world.element(|binding| binding.restores = Some(push));
    let result = world.run(dry, true).await;
    assert!(
        changed(&result)["diff"]
            .as_str()
            .unwrap()
            .contains("-vlan 2\n+vlan 1")
    );
    assert!(
        world.flag(),
        "that it differs from an earlier configuration says nothing"
    );
    let back = world.plan_of(dry);
    changed(&world.run(back, false).await);
    world.with(|inner| {
        assert_eq!(inner.device.running, text(1));
        assert_eq!(inner.store.causes, [Cause::ApplyConfig]);
        assert_eq!(
            inner.store.configuration_hash,
            Some(inner.device.hash()),
            "it is no drift"
        );
    });
    assert!(!world.flag());
    let again = world.element(|binding| binding.restores = Some(push));
    unchanged(&world.run(again, true).await);
    assert!(!world.flag());
    changed(&world.run(world.element(|_| {}), false).await);
    assert!(world.flag() && world.runs(2));
    world.check("forward again");
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_is_not_kept_any_more_fails() {
    let world = World::new();
    let back = world.element(|binding| binding.restores = Some(99));
    assert_eq!(failed(&world.run(back, true).await).0, "nothing-to-restore");
}
