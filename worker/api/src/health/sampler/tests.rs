use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::*;
use crate::fakes::{FakeBus, FakeMode, FakeStore};
use lockstep_store::DevicesInState;

struct Scene {
    bus: Arc<FakeBus>,
    store: Arc<FakeStore>,
    sampler: ProcessSampler,
}

fn scene() -> Scene {
    let (bus, store) = (Arc::new(FakeBus::default()), Arc::new(FakeStore::default()));
    let probe = StoreProbe::Fleet(store.clone());
    let sampler = ProcessSampler::new(bus.clone(), Some(probe));
    Scene { bus, store, sampler }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_store_is_reused_for_a_while_and_then_not_shown_any_more() {
    let scene = scene();
    let first = scene.sampler.sample().await;
    assert!(first.store.as_ref().is_some_and(|store| store.up) && first.fleet.is_some());

    scene.store.unavailable.store(true, Ordering::SeqCst);
    assert_eq!(scene.sampler.sample().await, first, "a moment later");
    tokio::time::advance(FRESH).await;
    let unavailable = scene.sampler.sample().await;
    assert!(unavailable.store.is_some_and(|store| !store.up));
    assert_eq!(unavailable.fleet, None, "an old summary is not shown");

    scene.store.unavailable.store(false, Ordering::SeqCst);
    tokio::time::advance(FRESH).await;
    assert_eq!(scene.sampler.sample().await, first, "it answers again");
}

#[tokio::test]
async fn a_disconnected_broker_is_sampled_as_not_connected() {
    let scene = scene();
    assert!(scene.sampler.sample().await.broker.unwrap().connected);
    scene.bus.set_mode(FakeMode::Unavailable);
    assert!(!scene.sampler.sample().await.broker.unwrap().connected);
}

#[tokio::test]
async fn a_process_that_summarizes_the_fleet_counts_the_messages_of_the_lanes() {
    let scene = scene();
    scene.bus.set_figures(QueueFigures {
        messages: 3,
        consumers: 0,
    });
    scene.bus.set_missing(&[Lane::Cvp.queue()]);
    let lanes = scene.sampler.sample().await.lanes;
    assert_eq!(lanes.len(), Lane::ALL.len() - 1, "{lanes:?}");
    assert!(lanes.iter().all(|lane| (lane.messages, lane.consumers) == (3, 0)));

    let probe = StoreProbe::Ping(scene.store.clone(), scene.store.clone());
    let worker = ProcessSampler::new(scene.bus.clone(), Some(probe));
    assert_eq!(worker.sample().await.lanes, []);
}

#[test]
fn the_oldest_flag_is_of_a_managed_device_and_the_oldest_state_of_an_unmanaged_one() {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let in_state = |state, since: Option<&str>| DevicesInState {
        state,
        all: 2,
        unsynchronized: u64::from(since.is_some()),
        since: since.map(at),
        state_since: since.map(at),
        checked_since: Some(at("2026-01-01T00:00:00Z")),
        expired: 1,
    };
    let now = at("2026-01-01T12:00:00Z");
    let year = Duration::from_hours(365 * 24 + 12);
    let oldest = |since| {
        let devices = vec![
            in_state(DeviceState::Managed, since),
            in_state(DeviceState::Unmanaged, Some("2025-01-01T00:00:00Z")),
        ];
        let summary = Summary {
            devices,
            dead_letters: 0,
            due_work: 0,
            repositories: Vec::new(),
            at: now - Duration::from_secs(5),
        };
        let fleet = fleet(&summary, Duration::from_secs(5));
        assert_eq!((fleet.oldest_unmanaged, fleet.expired), (Some(year), 2));
        assert_eq!(fleet.oldest_check, Some(Duration::from_hours(12)));
        fleet.oldest
    };
    let table = [
        (None, None),
        (Some("2026-01-01T11:58:30Z"), Some(90)),
        (Some("2026-01-01T12:00:01Z"), Some(5)),
    ];
    for (since, expected) in table {
        assert_eq!(oldest(since), expected.map(Duration::from_secs), "{since:?}");
    }
}
