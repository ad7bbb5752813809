use std::net::SocketAddr;
use std::time::Duration;

use lockstep_protocol::topology::Lane;

use super::reader::Reader;

/// `[worker]`
#[derive(Debug)]
pub(crate) struct WorkerConfig {
    /// Where health and metrics are shown; nowhere without.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) lanes: Vec<Lane>,
    /// The most messages taken and not acknowledged, per lane.
    pub(crate) prefetch: u16,
    /// The most messages in one transaction.
    pub(crate) batch_size: u16,
    /// How long a batch waits for more messages.
    pub(crate) batch_linger: Duration,
    /// How long work under way may go on after the process was told to stop.
    pub(crate) grace: Duration,
}

impl WorkerConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let lanes = reader
            .list("worker.lanes")
            .filter(|lanes: &Vec<Lane>| !lanes.is_empty());
        Self {
            listen: reader.optional("worker.listen", "an address and a port, such as 127.0.0.1:8912"),
            lanes: lanes.unwrap_or_else(|| Lane::ALL.to_vec()),
            prefetch: reader.number("worker.prefetch", 2000, 1..=u16::MAX),
            batch_size: reader.number("worker.batch_size", 500, 1..=5000),
            batch_linger: Duration::from_millis(reader.number("worker.batch_linger_ms", 2, 0..=1000)),
            // The broker takes back what is not acknowledged after 30 minutes; all work fits in 20.
            grace: Duration::from_secs(reader.number("worker.grace_seconds", 30, 1..=1200)),
        }
    }
}
