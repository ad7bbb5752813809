use std::sync::atomic::Ordering;

use super::*;
use crate::fakes::{FakeBus, FakeMode, FakeStore, Stopped};
use lockstep_store::DevicesInState;

struct Scene {
    bus: Arc<FakeBus>,
    store: Arc<FakeStore>,
    sampler: ProcessSampler,
}

fn scene() -> Scene {
    let (bus, store) = (Arc::new(FakeBus::default()), Arc::new(FakeStore::default()));
    let asked = StoreProbe::Fleet(store.clone(), Arc::new(Stopped));
    let sampler = ProcessSampler::new(bus.clone(), Some(asked));
    Scene { bus, store, sampler }
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_in_a_while_and_what_is_old_is_not_shown() {
    let scene = scene();
    let first = scene.sampler.sample().await;
    assert!(first.store.as_ref().is_some_and(|store| store.up) && first.fleet.is_some());

    scene.store.away.store(true, Ordering::SeqCst);
    assert_eq!(scene.sampler.sample().await, first, "a moment later");
    tokio::time::advance(FRESH).await;
    let away = scene.sampler.sample().await;
    assert!(away.store.is_some_and(|store| !store.up));
    assert_eq!(away.fleet, None, "nothing is known of the fleet");

    scene.store.away.store(false, Ordering::SeqCst);
    tokio::time::advance(FRESH).await;
    assert_eq!(scene.sampler.sample().await, first, "and back");
}

#[tokio::test]
async fn a_broker_that_is_away_is_not_connected() {
    let scene = scene();
    assert!(scene.sampler.sample().await.broker.unwrap().connected);
    scene.bus.set_mode(FakeMode::Unavailable);
    assert!(!scene.sampler.sample().await.broker.unwrap().connected);
}

#[test]
fn only_managed_devices_make_the_fleet_old() {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let in_state = |state, since: Option<&str>| DevicesInState {
        state,
        all: 2,
        unsynchronized: u64::from(since.is_some()),
        since: since.map(at),
    };
    let now = at("2026-01-01T12:00:00Z");
    let oldest = |since| {
        let devices = vec![
            in_state(DeviceState::Managed, since),
            in_state(DeviceState::Unmanaged, Some("2025-01-01T00:00:00Z")),
        ];
        fleet(
            &Summary {
                devices,
                dead_letters: 0,
            },
            now,
        )
        .oldest
    };
    let table = [
        (None, None),
        (Some("2026-01-01T11:58:30Z"), Some(90)),
        (Some("2026-01-01T12:00:01Z"), Some(0)),
    ];
    for (since, expected) in table {
        assert_eq!(oldest(since), expected.map(Duration::from_secs), "{since:?}");
    }
}
