use lockstep_protocol::topology::{Queue, Topology};
use tokio::sync::{mpsc, oneshot};

use crate::{BusError, Delivery, Outgoing, PublishError};

/// Names a subscriber while the bus is open.
pub(super) type SubscriberId = u64;
/// A delivery under the id of its row.
pub(super) type Numbered = (i64, Delivery);

/// What the writer is asked to do. Asked by the bus, its consumers and their receipts; read by the writer alone.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publish),
    Ack(Ack),
    Control(Control),
}

/// Keep these messages. Dropping the receiver withdraws the request if the writer has not come to it.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) messages: Vec<Outgoing>,
    pub(super) done: oneshot::Sender<Result<(), PublishError>>,
}

/// Forget these deliveries.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) subscriber: SubscriberId,
    pub(super) ids: Vec<i64>,
}

/// What is done by itself, after all that was asked before.
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
    Close {
        done: oneshot::Sender<()>,
    },
}

/// What a consumer gets when it starts.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) subscriber: SubscriberId,
    /// Holds at most as many deliveries as the prefetch allows.
    pub(super) deliveries: mpsc::Receiver<Numbered>,
}
