//! Random sequences of events, runs, faults and changes by hand.

use lockstep_sync::SyncOptions;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::device::Confirmation;
use crate::world::{Fault, World};

const FAULTS: [Fault; 7] = [
    Fault::KilledBefore,
    Fault::KilledAfter,
    Fault::LeaseLost,
    Fault::Cancelled,
    Fault::NotReached,
    Fault::AnswerLost,
    Fault::Reboot,
];

/// The flag is only true if the device has the configuration of that generation; no unconfirmed change stays; an old generation never
/// overwrites a newer one; and at the end, one more run brings the device there.
#[tokio::test(start_paused = true)]
async fn whatever_happens_in_whatever_order_the_flag_is_true_and_nothing_unconfirmed_stays() {
    let (mut killed, mut pushed, mut failed) = (0, 0, 0);
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let world = World::new();
        let mut elements = vec![world.element(|_| {})];
        for step in 0..12 {
            let what = format!("seed {seed}, step {step}");
            match rng.random_range(0..10) {
                0 | 1 => {
                    world.with(|inner| inner.store.change());
                    elements.push(world.element(|_| {}));
                }
                2 => world.after_timers().await,
                3 if rng.random_range(0..3) == 0 => {
                    world.with(|inner| inner.device.change_by_hand("vlan 99\n"));
                }
                4 => world.with(|inner| {
                    let kinds = [
                        Confirmation::Works,
                        Confirmation::IgnoredOnce,
                        Confirmation::RolledBack,
                        Confirmation::Ignored,
                    ];
                    inner.device.confirmation = kinds[rng.random_range(0..kinds.len())];
                }),
                _ => {
                    let element = elements[rng.random_range(0..elements.len())];
                    let fault = (rng.random_range(0..3) > 0)
                        .then(|| (rng.random_range(0..24), FAULTS[rng.random_range(0..FAULTS.len())]));
                    let dry_run = rng.random_range(0..4) == 0;
                    let arguments = json!({"force": rng.random_range(0..2) == 0});
                    let result = world
                        .run_with(element, dry_run, arguments, SyncOptions::default(), fault)
                        .await;
                    match result {
                        None => killed += 1,
                        Some(Ok(done)) => pushed += usize::from(done.changed),
                        Some(Err(_)) => failed += 1,
                    }
                    // That a worker confirms in the instant in which its lease ends cannot be excluded: the timer is for all others.
                    let raced = fault.is_some_and(|(_, fault)| fault == Fault::LeaseLost);
                    world.with(|inner| {
                        inner
                            .violations
                            .retain(|violation| !(raced && violation == "a stale run confirms"));
                    });
                }
            }
            world.with(|inner| assert!(inner.violations.is_empty(), "{what}: {:#?}", inner.violations));
        }
        let what = format!("seed {seed}, at the end");
        world.after_timers().await;
        world.check(&what);
        world.with(|inner| inner.device.confirmation = Confirmation::Works);
        let last = world.element(|_| {});
        let result = world.run_as(last, false, json!({"force": true})).await;
        assert!(result.is_ok(), "{what}: {result:?}");
        assert!(world.flag(), "{what}");
        world.with(|inner| inner.device.changed_by_hand = false);
        world.check(&what);
    }
    assert!(
        killed > 200 && pushed > 200 && failed > 200,
        "{killed} {pushed} {failed}"
    );
}
