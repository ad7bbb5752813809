use std::time::{Duration, Instant};

use lockstep_bus::{Headers, Outgoing};
use lockstep_protocol::topology::{Destination, Lane, Queue, RetryDelay};

use super::{Fixture, consume, message, numbers, publish, take_and_ack, texts};

pub(crate) async fn a_delayed_message_arrives_in_its_lane_and_never_early<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    for (delay, lane) in [
        (RetryDelay::Seconds5, Lane::Events),
        (RetryDelay::Seconds30, Lane::Cvp),
        (RetryDelay::Seconds5, Lane::Devices),
    ] {
        let mut consumer = consume(&bus, Queue::Lane(lane), 10).await;
        let mut retry = message(Destination::Delay(delay, lane), format!("{delay:?}"));
        retry.properties.kind = Some("lockstep.sync.requested".into());
        retry.properties.headers = Headers::from([("lockstep-attempt".to_owned(), "2".to_owned())]);

        let started = Instant::now();
        publish(&bus, vec![retry.clone()]).await;
        let came = take_and_ack(&mut consumer, 1).await.remove(0);
        let waited = started.elapsed();

        assert!(waited >= wait::<F>(delay), "{delay:?} arrived after {waited:?}");
        assert_eq!(came.body, retry.body);
        let mut headers = came.properties.headers;
        // Ignores headers that the broker added.
        headers.retain(|name, _| !name.starts_with("x-"));
        assert_eq!(headers, retry.properties.headers);
        assert_eq!(came.properties.message_id, retry.properties.message_id);
        assert_eq!(came.properties.kind, retry.properties.kind);
        assert_eq!(came.exchange, "lockstep.work");
        assert_eq!(came.routing_key, lane.as_str());
        consumer.close().await;
    }
    bus.close().await;
}

pub(crate) async fn delayed_messages_keep_their_order<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut consumer = consume(&bus, Queue::Lane(Lane::Commands), 500).await;
    for chunk in numbers(0..300).chunks(100) {
        publish(
            &bus,
            chunk
                .iter()
                .map(|text| delayed(RetryDelay::Seconds5, text))
                .collect(),
        )
        .await;
    }
    let came = take_and_ack(&mut consumer, 300).await;
    assert_eq!(texts(&came), numbers(0..300));
    bus.close().await;
}

pub(crate) async fn a_short_delay_does_not_wait_for_a_longer_one<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut consumer = consume(&bus, Queue::Lane(Lane::Commands), 10).await;
    publish(
        &bus,
        vec![
            delayed(RetryDelay::Seconds30, "long"),
            delayed(RetryDelay::Seconds5, "short"),
        ],
    )
    .await;
    let came = take_and_ack(&mut consumer, 2).await;
    assert_eq!(texts(&came), ["short", "long"]);
    bus.close().await;
}

pub(crate) async fn a_delay_survives_a_restart_of_the_bus<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let started = Instant::now();
    publish(&bus, vec![delayed(RetryDelay::Seconds30, "patient")]).await;

    let bus = fixture.reopen(bus).await;
    let mut consumer = consume(&bus, Queue::Lane(Lane::Commands), 10).await;
    let came = take_and_ack(&mut consumer, 1).await;
    assert_eq!(texts(&came), ["patient"]);
    assert!(started.elapsed() >= wait::<F>(RetryDelay::Seconds30));
    bus.close().await;
}

fn delayed(delay: RetryDelay, text: &str) -> Outgoing {
    message(Destination::Delay(delay, Lane::Commands), text)
}

/// The scaled delay in whole milliseconds, the unit of `x-message-ttl`.
fn wait<F: Fixture>(delay: RetryDelay) -> Duration {
    let scaled = delay.delay().mul_f64(F::RETRY_DELAY_SCALE);
    Duration::from_millis(u64::try_from(scaled.as_millis()).expect("waits are short"))
}
