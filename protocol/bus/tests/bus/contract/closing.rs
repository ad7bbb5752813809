use lockstep_bus::{Acknowledge, BusError, BusStatus, ConsumeOptions, PublishError};
use tokio::time::timeout;

use super::{BOUND, Fixture, LANE, consume, publish, take_and_keep, work};

pub(crate) async fn a_waiting_consumer_ends<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, vec![work("kept")]).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    let kept = take_and_keep(&mut consumer, 1).await;
    let (batch, ()) = timeout(BOUND, async { tokio::join!(consumer.take(10), bus.close()) })
        .await
        .expect("the consumer ends within its bound");
    assert!(batch.is_none(), "{batch:?}");

    // It stays ended; acknowledging, closing and dropping still return.
    let again = timeout(BOUND, consumer.take(10))
        .await
        .expect("an ended consumer returns at once");
    assert!(again.is_none(), "{again:?}");
    for batch in kept {
        timeout(BOUND, batch.receipt.ack())
            .await
            .expect("a late acknowledgement returns");
    }
    timeout(BOUND, consumer.close())
        .await
        .expect("an ended consumer closes");
}

pub(crate) async fn a_closed_bus_returns_errors<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    assert_eq!(bus.status(), BusStatus::Connected);
    bus.close().await;
    assert_eq!(bus.status(), BusStatus::Closed);
    let published = timeout(BOUND, bus.publish(vec![work("too late")])).await;
    assert!(
        matches!(published, Ok(Err(PublishError::Closed))),
        "{published:?}"
    );
    let options = ConsumeOptions {
        prefetch: 10,
        acknowledge: Acknowledge::InOrder,
    };
    let consumed = timeout(BOUND, bus.consume(LANE, options))
        .await
        .expect("the error is returned at once");
    assert!(matches!(consumed, Err(BusError::Closed)));
}

pub(crate) async fn closing_twice_has_no_effect<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    timeout(BOUND, async {
        bus.close().await;
        bus.close().await;
    })
    .await
    .expect("closing ends within its bound");
    assert_eq!(bus.status(), BusStatus::Closed);
}
