//! The embedded bus, with confirms that a test holds back, and a record of acknowledgements.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_bus::{
    Batch, Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError, QueueFigures, Receipt,
    Settle,
};
use lockstep_protocol::topology::{Queue, Topology};
use tokio::sync::oneshot;

/// How a held call of [`Bus::publish`] ends.
type Answer = Result<(), PublishError>;

/// Publishes at once, unless it is told to hold the confirms.
#[derive(Debug)]
pub(crate) struct ControlledBus {
    bus: Arc<dyn Bus>,
    control: Arc<Control>,
}

#[derive(Debug, Default)]
struct Control {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holds: bool,
    /// The correlation ids of each publication that waits for its confirm, with the way to answer it.
    held: Vec<(Vec<String>, Option<oneshot::Sender<Answer>>)>,
    /// The ids of the messages that were taken, each time.
    taken: Vec<Vec<String>>,
    /// The ids of the messages of each acknowledged batch.
    acknowledged: Vec<Vec<String>>,
    /// Consumers lose their connection when they take next.
    loses_connections: bool,
}

impl ControlledBus {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Arc<Self> {
        Arc::new(Self {
            bus,
            control: Arc::default(),
        })
    }

    /// From now on, publications wait.
    pub(crate) fn hold(&self) {
        self.control.lock().holds = true;
    }

    /// What waits or waited for its confirm, in the order in which it was handed over.
    pub(crate) fn held(&self) -> Vec<Vec<String>> {
        let state = self.control.lock();
        state.held.iter().map(|(ids, _)| ids.clone()).collect()
    }

    /// Ends the publication with this index.
    pub(crate) fn answer(&self, index: usize, answer: Answer) {
        let sender = self.control.lock().held[index].1.take();
        sender
            .expect("it was not answered")
            .send(answer)
            .expect("it waits");
    }

    /// The consumer loses its connection when it takes next: what it has not acknowledged is delivered again, and acknowledging
    /// that does nothing.
    pub(crate) fn lose_connection(&self) {
        self.control.lock().loses_connections = true;
    }

    /// The ids of the messages that were taken.
    pub(crate) fn taken(&self) -> Vec<Vec<String>> {
        self.control.lock().taken.clone()
    }

    pub(crate) fn acknowledged(&self) -> Vec<Vec<String>> {
        self.control.lock().acknowledged.clone()
    }
}

impl Control {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for ControlledBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        let held = {
            let mut state = self.control.lock();
            state.holds.then(|| {
                let (sender, answer) = oneshot::channel();
                let id = |message: &Outgoing| {
                    message
                        .properties
                        .correlation_id
                        .as_deref()
                        .unwrap_or_default()
                        .to_owned()
                };
                state.held.push((messages.iter().map(id).collect(), Some(sender)));
                answer
            })
        };
        if let Some(answer) = held {
            answer.await.map_err(|_| PublishError::Closed)??;
        }
        self.bus.publish(messages).await
    }

    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        Ok(Box::new(RecordedConsumer {
            consumer: Some(self.bus.consume(queue.clone(), options).await?),
            bus: self.bus.clone(),
            queue,
            options,
            control: self.control.clone(),
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

struct RecordedConsumer {
    /// `None` while it connects again.
    consumer: Option<Box<dyn Consumer>>,
    bus: Arc<dyn Bus>,
    queue: Queue,
    options: ConsumeOptions,
    control: Arc<Control>,
}

impl RecordedConsumer {
    async fn connected(&mut self) -> Option<&mut Box<dyn Consumer>> {
        if std::mem::take(&mut self.control.lock().loses_connections)
            && let Some(consumer) = self.consumer.take()
        {
            // Not awaited, because this future may be dropped.
            tokio::spawn(consumer.close());
        }
        if self.consumer.is_none() {
            self.consumer = self.bus.consume(self.queue.clone(), self.options).await.ok();
        }
        self.consumer.as_mut()
    }
}

#[async_trait]
impl Consumer for RecordedConsumer {
    async fn take(&mut self, max: usize) -> Option<Batch> {
        let Batch { deliveries, receipt } = self.connected().await?.take(max).await?;
        let id = |properties: &lockstep_bus::Properties| {
            properties.message_id.as_deref().unwrap_or_default().to_owned()
        };
        let ids: Vec<String> = deliveries
            .iter()
            .map(|delivery| id(&delivery.properties))
            .collect();
        self.control.lock().taken.push(ids.clone());
        let recorded = RecordedReceipt {
            ids,
            receipt,
            control: self.control.clone(),
        };
        Some(Batch {
            deliveries,
            receipt: Receipt::new(recorded),
        })
    }

    async fn close(self: Box<Self>) {
        if let Some(consumer) = self.consumer {
            consumer.close().await;
        }
    }
}

struct RecordedReceipt {
    ids: Vec<String>,
    receipt: Receipt,
    control: Arc<Control>,
}

#[async_trait]
impl Settle for RecordedReceipt {
    async fn ack(self: Box<Self>) {
        self.control.lock().acknowledged.push(self.ids);
        self.receipt.ack().await;
    }
}
