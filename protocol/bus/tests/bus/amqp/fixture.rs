//! Fixtures with virtual hosts, and functions to open buses on them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{
    Acknowledge, Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError, QueueFigures,
};
use lockstep_protocol::topology::{Queue, Topology};
use lockstep_testbed::{Vhost, vhost};

use crate::contract::Fixture;

/// A virtual host; consumers acknowledge in order.
pub(crate) struct InOrder(Vhost);

#[async_trait]
impl Fixture for InOrder {
    async fn new() -> Self {
        Self(vhost().await.expect("a virtual host can be made"))
    }

    async fn open(&self) -> Arc<dyn Bus> {
        connect(&self.0.url()).await
    }
}

/// A virtual host; consumers acknowledge each delivery by itself.
pub(crate) struct Each(InOrder);

#[async_trait]
impl Fixture for Each {
    async fn new() -> Self {
        Self(InOrder::new().await)
    }

    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(EachBus(self.0.open().await))
    }
}

/// A bus whose consumers acknowledge each delivery by itself, regardless of their options.
#[derive(Debug)]
struct EachBus(Arc<dyn Bus>);

#[async_trait]
impl Bus for EachBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.0.publish(messages).await
    }

    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        let acknowledge = Acknowledge::Each;
        self.0
            .consume(
                queue,
                ConsumeOptions {
                    acknowledge,
                    ..options
                },
            )
            .await
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        self.0.declare(topology).await
    }

    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        self.0.queues(names).await
    }

    fn status(&self) -> BusStatus {
        self.0.status()
    }

    fn user(&self) -> &str {
        self.0.user()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// Options with a short heartbeat, so that a dead connection is detected soon.
pub(crate) fn options(url: &str) -> AmqpOptions {
    AmqpOptions {
        connection_name: "test".to_owned(),
        heartbeat: Duration::from_secs(2),
        ..AmqpOptions::new(url)
    }
}

/// Opens a bus.
pub(crate) async fn connect(url: &str) -> Arc<AmqpBus> {
    AmqpBus::connect(options(url))
        .await
        .expect("the broker accepts the connection")
}

/// Opens a bus and declares the topology.
pub(crate) async fn declared(url: &str) -> Arc<AmqpBus> {
    let bus = connect(url).await;
    bus.declare(&Topology::new(InOrder::RETRY_DELAY_SCALE))
        .await
        .expect("the objects can be declared");
    bus
}

/// Starts a consumer that acknowledges in order.
pub(crate) async fn consumer(bus: &dyn Bus, queue: Queue, prefetch: u16) -> Box<dyn Consumer> {
    let options = ConsumeOptions {
        prefetch,
        acknowledge: Acknowledge::InOrder,
    };
    bus.consume(queue, options)
        .await
        .expect("the queue can be consumed")
}
