use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::{Headers, Outgoing, Properties, PublishError};
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::topology::{Destination, Lane};

use super::{Fixture, LANE, assert_empty, consume, number_of, numbers, publish, take_and_ack, texts, work};

pub(crate) async fn messages_arrive_in_order_and_intact<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let full = Properties {
        message_id: Some("0193-full".into()),
        kind: Some("lockstep.sync.requested".into()),
        content_type: Some("application/cloudevents+json; charset=utf-8".into()),
        correlation_id: Some("0193-cause".into()),
        reply_to: Some(format!("lockstep.reply.{}.1", bus.user()).into()),
        user_id: None,
        timestamp: Some(Timestamp::from_second(1_790_000_000).expect("the instant is in range")),
        headers: Headers::from([
            ("lockstep-attempt".to_owned(), "3".to_owned()),
            ("lockstep-empty".to_owned(), String::new()),
            (
                "lockstep-text".to_owned(),
                "räksmörgås \u{1f980} \"quoted\"\n".to_owned(),
            ),
        ]),
    };
    let bare = Properties::default();
    for properties in [full, bare] {
        let message = Outgoing {
            destination: Destination::Lane(Lane::Devices),
            properties: properties.clone(),
            body: Bytes::from_static(b"{\"devices\":[]}"),
        };
        publish(&bus, vec![message.clone(), work("second"), work("third")]).await;

        let mut consumer = consume(&bus, LANE, 10).await;
        let deliveries = take_and_ack(&mut consumer, 3).await;
        consumer.close().await;

        assert_eq!(texts(&deliveries)[1..], ["second", "third"]);
        let first = &deliveries[0];
        let expected = Properties {
            user_id: Some(bus.user().into()),
            ..properties
        };
        assert_eq!(first.properties, expected);
        assert_eq!(first.body, message.body);
        assert_eq!(first.exchange, "lockstep.work");
        assert_eq!(first.routing_key, "devices");
        assert!(!first.redelivered);
    }
    bus.close().await;
}

pub(crate) async fn bodies_may_be_empty_or_binary_and_large<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let bodies = [
        Bytes::new(),
        Bytes::from(every_byte),
        Bytes::from(vec![0x5a; 1024 * 1024]),
    ];
    let messages = bodies.iter().map(|body| Outgoing {
        body: body.clone(),
        ..work("")
    });
    publish(&bus, messages.collect()).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    let deliveries = take_and_ack(&mut consumer, bodies.len()).await;
    for (delivery, body) in deliveries.iter().zip(&bodies) {
        assert!(delivery.body == *body, "a body of {} bytes changed", body.len());
    }
    bus.close().await;
}

pub(crate) async fn a_body_that_no_receiver_accepts_is_not_published<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let of = |size| Outgoing {
        body: Bytes::from(vec![b' '; size]),
        ..work("")
    };
    publish(&bus, vec![of(MAX_BODY_BYTES)]).await;
    let refused = bus
        .publish(vec![work("not this either"), of(MAX_BODY_BYTES + 1)])
        .await;
    assert!(
        matches!(&refused, Err(PublishError::TooLarge { size, .. }) if *size == MAX_BODY_BYTES + 1),
        "{refused:?}"
    );
    let mut consumer = consume(&bus, LANE, 10).await;
    let deliveries = take_and_ack(&mut consumer, 1).await;
    assert_eq!(deliveries[0].body.len(), MAX_BODY_BYTES);
    consumer.close().await;
    assert_empty(&bus, LANE, work("marker")).await;
    bus.close().await;
}

pub(crate) async fn two_thousand_messages_arrive_in_order<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..2000).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 500).await;
    let deliveries = take_and_ack(&mut consumer, 2000).await;
    assert_eq!(texts(&deliveries), numbers(0..2000));
    bus.close().await;
}

pub(crate) async fn publishing_an_empty_list_returns_at_once<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, Vec::new()).await;
    assert_empty(&bus, LANE, work("marker")).await;
    bus.close().await;
}

pub(crate) async fn many_publishers_at_once_lose_nothing<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..20 {
        let bus = bus.clone();
        publishers.spawn(async move {
            for number in 0..10 {
                publish(&bus, vec![work(publisher * 10 + number)]).await;
            }
        });
    }
    publishers.join_all().await;

    let mut consumer = consume(&bus, LANE, 100).await;
    let mut seen = texts(&take_and_ack(&mut consumer, 200).await);
    seen.sort_by_key(|text| number_of(text));
    assert_eq!(seen, numbers(0..200));
    bus.close().await;
}
