//! Which connections are open, and which one is closed for a new one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry::Occupied;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Turn};

/// The most open connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) per_address: usize,
}

/// The open connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    bounds: Bounds,
    table: Arc<Mutex<Table>>,
}

/// The connections, those that are being closed included; the counts are of the others.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    all: HashMap<u64, Entry>,
    open: usize,
    open_of: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    /// `None` for a trusted proxy.
    address: Option<IpAddr>,
    activity: Arc<Activity>,
    close: CancellationToken,
    closing: bool,
}

/// An open connection. It leaves the table when this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    table: Arc<Mutex<Table>>,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when the connection must be closed for another.
    pub(super) close: CancellationToken,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Open,
    /// It is opened, and this one closed.
    Replace(u64),
    /// Its address has as many connections as it may have, all with requests in process.
    Refuse,
    /// All connections have requests in process: it waits.
    Wait,
}

/// The outcome of [`Connections::open`].
#[derive(Debug)]
pub(super) enum Opened {
    /// The connection, and whether another is closed for it.
    Connection(Connection, bool),
    Refused,
    /// To be tried again.
    Wait,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            table: Arc::default(),
        }
    }

    /// Opens a connection from this address; `None` is a trusted proxy.
    pub(super) fn open(&self, address: Option<IpAddr>) -> Opened {
        let mut table = lock(&self.table);
        let replaced = match table.admission(address, self.bounds) {
            Admission::Open => false,
            Admission::Replace(number) => {
                table.close(number);
                true
            }
            Admission::Refuse => return Opened::Refused,
            Admission::Wait => return Opened::Wait,
        };
        let activity = Arc::new(Activity::new(Instant::now()));
        let close = CancellationToken::new();
        let number = table.add(Entry {
            address,
            activity: activity.clone(),
            close: close.clone(),
            closing: false,
        });
        let connection = Connection {
            number,
            table: self.table.clone(),
            activity,
            close,
        };
        Opened::Connection(connection, replaced)
    }

    /// Closes a connection whose client has to act; false if there is none.
    pub(super) fn close_one(&self) -> bool {
        let mut table = lock(&self.table);
        let waiting = table.waiting_longest(None);
        if let Some(number) = waiting {
            table.close(number);
        }
        waiting.is_some()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.close(self.number);
        table.all.remove(&self.number);
    }
}

impl Table {
    fn admission(&self, address: Option<IpAddr>, bounds: Bounds) -> Admission {
        let own = address.and_then(|address| self.open_of.get(&address));
        if own.is_some_and(|own| *own >= bounds.per_address) {
            let of_address = self.waiting().filter(|(_, entry, _)| entry.address == address);
            let oldest = of_address.min_by_key(|(_, _, since)| *since);
            return oldest.map_or(Admission::Refuse, |(number, ..)| Admission::Replace(number));
        }
        if self.open < bounds.total {
            return Admission::Open;
        }
        self.waiting_longest(address)
            .map_or(Admission::Wait, Admission::Replace)
    }

    /// Among the connections whose client has to act, the one that has waited longest of the address with the most; a new one
    /// from `newcomer` counts. A trusted proxy has many clients, so it never counts as having many connections.
    fn waiting_longest(&self, newcomer: Option<IpAddr>) -> Option<u64> {
        let count = |entry: &Entry| {
            let own = usize::from(newcomer.is_some() && entry.address == newcomer);
            let address = entry.address.as_ref();
            address.map_or(1, |address| self.open_of.get(address).unwrap_or(&0) + own)
        };
        self.waiting()
            .min_by_key(|(_, entry, since)| (Reverse(count(entry)), *since))
            .map(|(number, ..)| number)
    }

    /// The open connections whose client has to act, and since when.
    fn waiting(&self) -> impl Iterator<Item = (u64, &Entry, Instant)> {
        let open = self.all.iter().filter(|(_, entry)| !entry.closing);
        open.filter_map(|(number, entry)| match entry.activity.turn() {
            (Turn::Working | Turn::Streaming | Turn::Upgraded, _) => None,
            (Turn::Idle | Turn::Head | Turn::Body | Turn::Response, since) => Some((*number, entry, since)),
        })
    }

    fn add(&mut self, entry: Entry) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open += 1;
        if let Some(address) = entry.address {
            *self.open_of.entry(address).or_default() += 1;
        }
        self.all.insert(number, entry);
        number
    }

    /// Has no effect on one that is being closed.
    fn close(&mut self, number: u64) {
        let Some(entry) = self.all.get_mut(&number).filter(|entry| !entry.closing) else {
            return;
        };
        entry.closing = true;
        entry.close.cancel();
        self.open -= 1;
        let Some(address) = entry.address else { return };
        if let Occupied(mut count) = self.open_of.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// A panic cannot leave the table half changed, so a poisoned lock is as good as another.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        total: 4,
        per_address: 2,
    };

    fn address(last: u8) -> Option<IpAddr> {
        (last > 0).then(|| IpAddr::from([192, 0, 2, last]))
    }

    fn opened(connections: &Connections, last: u8) -> Connection {
        match connections.open(address(last)) {
            Opened::Connection(connection, _) => connection,
            other => panic!("{other:?}"),
        }
    }

    /// Opens a connection a second after the one before, with this turn.
    async fn open(connections: &Connections, last: u8, turn: Turn) -> Connection {
        tokio::time::advance(Duration::from_secs(1)).await;
        let connection = opened(connections, last);
        connection.activity.begin(turn);
        connection
    }

    fn closed(all: &[Connection]) -> Vec<bool> {
        all.iter().map(|one| one.close.is_cancelled()).collect()
    }

    /// The connections that are open, by the last byte of the address (0 is a trusted proxy), the address of the new one, and
    /// which of them is closed for it.
    #[tokio::test(start_paused = true)]
    async fn the_one_that_waited_longest_of_the_address_with_the_most_is_closed() {
        use Turn::{Head, Idle, Response, Working};
        type Row = (&'static [(u8, Turn)], u8, Option<usize>);
        let table: [Row; 9] = [
            (&[(1, Idle), (2, Idle), (3, Idle)], 1, None),
            (&[(1, Idle), (1, Head)], 1, Some(0)),
            (&[(1, Working), (1, Response)], 1, Some(1)),
            (&[(1, Head), (2, Idle), (2, Idle), (3, Idle)], 4, Some(1)),
            (&[(1, Head), (2, Working), (2, Idle), (3, Idle)], 4, Some(2)),
            (&[(1, Head), (2, Working), (2, Working), (3, Idle)], 4, Some(0)),
            (&[(1, Working), (2, Idle), (3, Idle), (4, Idle)], 4, Some(3)),
            // A trusted proxy may have all connections, and gives way like an address with one.
            (&[(0, Idle), (0, Idle), (0, Idle), (0, Idle)], 0, Some(0)),
            (&[(0, Idle), (0, Idle), (1, Idle), (1, Idle)], 2, Some(2)),
        ];
        for (open_ones, newcomer, expected) in table {
            let connections = Connections::new(BOUNDS);
            let mut all = Vec::new();
            for (last, turn) in open_ones {
                all.push(open(&connections, *last, *turn).await);
            }
            let _new = open(&connections, newcomer, Head).await;
            let mut told = vec![false; all.len()];
            if let Some(expected) = expected {
                told[expected] = true;
            }
            assert_eq!(closed(&all), told, "{open_ones:?} {newcomer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_process_is_never_closed_for_another() {
        let connections = Connections::new(BOUNDS);
        let mut all = Vec::new();
        for last in [1, 1, 2, 2] {
            all.push(open(&connections, last, Turn::Working).await);
        }
        assert!(matches!(connections.open(address(1)), Opened::Refused));
        assert!(matches!(connections.open(address(3)), Opened::Wait));
        assert!(!connections.close_one());
        all[3].activity.begin(Turn::Response);
        let _new = opened(&connections, 3);
        assert_eq!(closed(&all), [false, false, false, true]);
        drop(all);
        assert!(matches!(
            connections.open(address(1)),
            Opened::Connection(_, false)
        ));
    }
}
