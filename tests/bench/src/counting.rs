//! A bus that counts acknowledged messages: it records when the first consumer starts and when the last of a number of messages is
//! acknowledged, or tells each count to the process that started this one.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use lockstep_bus::{
    Batch, Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError, QueueFigures, Receipt,
    Settle,
};
use lockstep_protocol::topology::{Queue, Topology};
use tokio_util::sync::CancellationToken;

use crate::meter::{Measured, Meter, Servers};

/// Counts acknowledged messages. It counts once per batch, so its own cost is not measurable.
#[derive(Debug)]
pub(crate) struct CountingBus {
    bus: Arc<dyn Bus>,
    count: Arc<Count>,
}

#[derive(Debug)]
enum Count {
    Here(Box<Expected>),
    /// Each count is a line of the standard output.
    Reported,
}

#[derive(Debug)]
struct Expected {
    wanted: u32,
    servers: Servers,
    meter: OnceLock<Meter>,
    messages: AtomicU32,
    batches: AtomicU32,
    measured: OnceLock<Measured>,
    done: CancellationToken,
}

impl CountingBus {
    /// Cancels `done` when this number of messages is acknowledged.
    pub(crate) fn new(bus: Arc<dyn Bus>, expected: u32, servers: Servers, done: CancellationToken) -> Self {
        let count = Expected {
            wanted: expected,
            servers,
            meter: OnceLock::new(),
            messages: AtomicU32::new(0),
            batches: AtomicU32::new(0),
            measured: OnceLock::new(),
            done,
        };
        Self {
            bus,
            count: Arc::new(Count::Here(Box::new(count))),
        }
    }

    /// Prints the count of each acknowledged batch.
    pub(crate) fn reporting(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            count: Arc::new(Count::Reported),
        }
    }

    /// The measurement; `None` if not all messages were acknowledged.
    pub(crate) fn measured(&self) -> Option<Measured> {
        match &*self.count {
            Count::Here(count) => count.measured.get().copied(),
            Count::Reported => None,
        }
    }
}

impl Count {
    fn begin(&self) {
        if let Self::Here(count) = self {
            count
                .meter
                .get_or_init(|| Meter::start(count.servers).expect("the bench keeps the servers running"));
        }
    }

    fn add(&self, messages: u32) {
        match self {
            Self::Here(count) => count.add(messages),
            // If nobody reads it any more, this process is about to end.
            Self::Reported => {
                let _ = writeln!(crate::stdout(), "{messages}");
            }
        }
    }
}

impl Expected {
    fn add(&self, messages: u32) {
        let batches = self.batches.fetch_add(1, Ordering::Relaxed) + 1;
        let before = self.messages.fetch_add(messages, Ordering::Relaxed);
        let reached = before < self.wanted && before + messages >= self.wanted;
        let Some(meter) = self.meter.get().filter(|_| reached) else {
            return;
        };
        if let Ok(measured) = meter.stop(self.wanted, batches) {
            let _ = self.measured.set(measured);
        }
        self.done.cancel();
    }
}

#[async_trait]
impl Bus for CountingBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.bus.publish(messages).await
    }

    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        self.count.begin();
        Ok(Box::new(CountingConsumer {
            consumer: self.bus.consume(queue, options).await?,
            count: self.count.clone(),
        }))
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        self.bus.declare(topology).await
    }

    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        self.bus.queues(names).await
    }

    fn status(&self) -> BusStatus {
        self.bus.status()
    }

    fn user(&self) -> &str {
        self.bus.user()
    }

    async fn close(&self) {
        self.bus.close().await;
    }
}

struct CountingConsumer {
    consumer: Box<dyn Consumer>,
    count: Arc<Count>,
}

#[async_trait]
impl Consumer for CountingConsumer {
    async fn take(&mut self, max: usize) -> Option<Batch> {
        let Batch { deliveries, receipt } = self.consumer.take(max).await?;
        let counted = Counted {
            receipt,
            messages: u32::try_from(deliveries.len()).expect("a batch has fewer messages"),
            count: self.count.clone(),
        };
        Some(Batch {
            deliveries,
            receipt: Receipt::new(counted),
        })
    }

    async fn close(self: Box<Self>) {
        self.consumer.close().await;
    }
}

struct Counted {
    receipt: Receipt,
    messages: u32,
    count: Arc<Count>,
}

#[async_trait]
impl Settle for Counted {
    async fn ack(self: Box<Self>) {
        self.receipt.ack().await;
        self.count.add(self.messages);
    }
}
