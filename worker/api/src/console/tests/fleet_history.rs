//! How many devices were synchronized over time.

use lockstep_store::FleetSample;
use serde_json::json;

use super::scene;

#[tokio::test]
async fn a_history_has_the_samples_of_its_period() {
    let scene = scene();
    let sample = |at: &str, unsynchronized| FleetSample {
        at: at.parse().unwrap(),
        synchronized: 10,
        unsynchronized,
    };
    *scene.store.samples.lock().unwrap() = vec![
        sample("2026-01-20T00:00:00Z", 3),
        sample("2026-02-02T00:00:00Z", 2),
        sample("2026-02-03T04:01:00Z", 1),
    ];
    let point = |at: &str, unsynchronized: u64| json!({"at": at, "synchronized": 10, "unsynchronized": unsynchronized});
    for (query, every, expected) in [
        ("", 60, json!([point("2026-02-03T04:01:00Z", 1)])),
        (
            "?period=2d",
            60,
            json!([point("2026-02-02T00:00:00Z", 2), point("2026-02-03T04:01:00Z", 1)]),
        ),
        (
            "?period=30d",
            3600,
            json!([point("2026-01-20T00:00:00Z", 3), point("2026-02-02T00:00:00Z", 2)]),
        ),
    ] {
        let history = scene.get(&format!("/v1/fleet/history{query}")).await;
        assert_eq!(history.status, 200, "{query}");
        assert_eq!(history.body["every_seconds"], every, "{query}");
        assert_eq!(history.body["samples"], expected, "{query}");
    }
    let wrong = scene.get("/v1/fleet/history?period=1h").await;
    assert_eq!(wrong.problem(), (400, "invalid-query"));
    let detail = wrong.body["detail"].as_str().unwrap();
    assert!(detail.contains("6h, 2d, 30d, 365d"), "{detail}");
}
