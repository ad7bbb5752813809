use lockstep_protocol::topology::{Queue, Topology};
use tokio::sync::{mpsc, oneshot};

use crate::{BusError, Delivery, Outgoing, PublishError, QueueFigures};

/// Identifies a subscriber while the bus is open.
pub(super) type SubscriberId = u64;
/// A delivery with the id of its row.
pub(super) type Numbered = (i64, Delivery);

/// A request to the writer, sent by the bus, its consumers and their receipts.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publish),
    Ack(Ack),
    Control(Control),
}

/// Store these messages. Dropping the receiver withdraws the request unless the writer has already executed it.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) messages: Vec<Outgoing>,
    pub(super) done: oneshot::Sender<Result<(), PublishError>>,
}

/// Delete these deliveries.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) subscriber: SubscriberId,
    pub(super) ids: Vec<i64>,
}

/// A request that is executed on its own, after all earlier requests.
#[derive(Debug)]
pub(super) enum Control {
    Declare {
        topology: Topology,
        done: oneshot::Sender<()>,
    },
    Subscribe {
        queue: Queue,
        prefetch: u16,
        done: oneshot::Sender<Result<Subscription, BusError>>,
    },
    Unsubscribe {
        subscriber: SubscriberId,
        done: Option<oneshot::Sender<()>>,
    },
    Queues {
        names: Vec<String>,
        done: oneshot::Sender<Vec<Option<QueueFigures>>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

/// The result of subscribing.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) subscriber: SubscriberId,
    /// Holds at most as many deliveries as the prefetch allows.
    pub(super) deliveries: mpsc::Receiver<Numbered>,
}
