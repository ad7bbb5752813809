//! What is shown of messages and devices.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{applied, identity, scene};
use crate::fakes::device;

#[tokio::test]
async fn devices_are_filtered_and_paged() {
    let scene = scene();
    let fleet = [("sw1", true), ("sw2", false), ("sw3", false), ("sw4", false)];
    *scene.store.devices.lock().unwrap() = fleet
        .map(|(name, synchronized)| device(name, synchronized))
        .to_vec();
    let names = |body: &Value| -> Vec<String> {
        let devices = body["devices"].as_array().unwrap();
        devices
            .iter()
            .map(|device| device["hostname"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = scene
        .get("/v1/devices?synchronized=false&limit=2&state=managed&device_type=ACCESS")
        .await;
    assert_eq!(first.status, 200);
    assert_eq!(names(&first.body), ["sw2", "sw3"]);
    assert_eq!(first.body["next"], "sw3");
    let last = scene
        .get("/v1/devices?synchronized=false&limit=2&after=sw3")
        .await;
    assert_eq!(names(&last.body), ["sw4"]);
    assert!(last.body.get("next").is_none());
    assert_eq!(scene.get("/v1/devices/sw1").await.body["synchronized"], true);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_when_the_outcome_is_there() {
    let scene = scene();
    let poll = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let work = async {
        scene.store.asked.notified().await;
        scene
            .store
            .rows
            .lock()
            .unwrap()
            .insert(identity("1"), applied("1"));
    };
    let started = Instant::now();
    let (answered, ()) = tokio::join!(poll, work);
    assert_eq!(answered.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(answered.body["state"], "applied");
    assert_eq!(answered.body["by"], "ztp");
    assert_eq!(answered.body["result_type"], "lockstep.event.applied");
    assert_eq!(answered.body["result"]["devices"], json!(["sw1"]));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_its_time_or_with_the_console() {
    let scene = scene();
    let started = Instant::now();
    assert_eq!(
        scene
            .get("/v1/messages?source=urn:test&id=1&wait=3")
            .await
            .problem(),
        (404, "no-outcome")
    );
    assert_eq!(started.elapsed().as_secs(), 3);

    let poll = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let stop = async {
        scene.store.asked.notified().await;
        scene.stop.cancel();
    };
    let started = Instant::now();
    let (answered, ()) = tokio::join!(poll, stop);
    assert_eq!(answered.problem(), (503, "stopping"));
    assert!(started.elapsed() < Duration::from_secs(1));
}
