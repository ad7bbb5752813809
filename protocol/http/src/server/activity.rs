//! Whose turn it is on a connection, and since when: what time-outs and the choice of connections to close go by.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The slowest rate at which a client may take a response or send a body, in bytes per second; slower is like not at all.
const SLOWEST: u64 = 4096;

/// Who has to act on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client: nothing of a next request has arrived.
    Idle,
    /// The client: the head of a request is arriving.
    Head,
    /// The client: the body of a request is arriving.
    Body,
    /// The server: the request has arrived and is being processed.
    Working,
    /// The client: it has to take the response, or what there is of one that goes on.
    Response,
    /// The server: its response goes on, and the client has taken what there is of it.
    Streaming,
    /// The server: the connection is no longer one of HTTP, and whoever took it watches its client.
    Upgraded,
}

/// The turn of a connection. Written only by the connection's own task.
#[derive(Debug)]
pub(super) struct Activity {
    started: Instant,
    /// The turn in the lowest three bits, above them when it began, in milliseconds after `started`.
    state: AtomicU64,
    /// Whether the response goes on for as long as its client listens.
    streams: AtomicBool,
}

/// How long a client may take, by turn. Bodies have the timeout of the `BodyLimiter`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) response: Duration,
}

impl Turn {
    const ALL: [Self; 7] = [
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Working,
        Self::Response,
        Self::Streaming,
        Self::Upgraded,
    ];

    /// The turn as a label of metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Working => "working",
            Self::Response => "response",
            Self::Streaming => "streaming",
            Self::Upgraded => "upgraded",
        }
    }
}

impl Activity {
    /// A new connection, whose first request is awaited.
    pub(super) fn new(now: Instant) -> Self {
        let activity = Self {
            started: now,
            state: AtomicU64::new(0),
            streams: AtomicBool::new(false),
        };
        activity.begin(Turn::Head);
        activity
    }

    /// The turn, and since when it lasts.
    pub(super) fn turn(&self) -> (Turn, Instant) {
        let (turn, since) = self.load();
        (turn, self.started + Duration::from_millis(since))
    }

    /// A turn begins.
    pub(super) fn begin(&self, turn: Turn) {
        self.store(turn, self.elapsed());
    }

    /// If it is the turn `from`, the turn `to` begins.
    pub(super) fn pass(&self, from: Turn, to: Turn) {
        if self.load().0 == from {
            self.begin(to);
        }
    }

    /// A request has arrived, up to its body or with it; whether it was sent before the response to the one before was taken. While
    /// the client has responses to take, that stays its turn: otherwise it could send requests for ever and read nothing.
    pub(super) fn arrived(&self, whole: bool) -> bool {
        let turn = self.load().0;
        if turn != Turn::Response {
            self.begin(if whole { Turn::Working } else { Turn::Body });
        }
        // Had something been read since, it would be the turn of a head.
        turn != Turn::Head
    }

    /// The response is ready.
    pub(super) fn answered(&self) {
        if self.load().0 != Turn::Response {
            self.begin(Turn::Response);
        }
    }

    /// The response is the last one of the connection, and goes on for as long as its client listens.
    pub(super) fn streams(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    /// The client has taken what there is of the response.
    pub(super) fn taken(&self) {
        let streams = self.streams.load(Ordering::Relaxed);
        self.pass(Turn::Response, if streams { Turn::Streaming } else { Turn::Idle });
    }

    /// The client does not take what there is for it.
    pub(super) fn blocked(&self) {
        for turn in [Turn::Idle, Turn::Head, Turn::Streaming] {
            self.pass(turn, Turn::Response);
        }
    }

    /// The client sent or took this many bytes: its turn counts as begun later, by as long as they may take.
    pub(super) fn progressed(&self, bytes: usize) {
        let (turn, since) = self.load();
        let earned = (bytes as u64).saturating_mul(1000) / SLOWEST;
        self.store(turn, since.saturating_add(earned).min(self.elapsed()));
    }

    /// Waits until the client has taken too long, and returns in which turn.
    pub(super) async fn overdue(&self, timeouts: &Timeouts) -> Turn {
        let shortest = timeouts.idle.min(timeouts.head).min(timeouts.response);
        loop {
            let (turn, since) = self.turn();
            let now = Instant::now();
            let end = timeouts.of(turn).map(|timeout| since + timeout);
            if end.is_some_and(|end| end <= now) {
                return turn;
            }
            // The turn may pass before `end` to one that ends earlier.
            let look = now + shortest / 2;
            tokio::time::sleep_until(end.map_or(look, |end| end.min(look))).await;
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> 3)
    }

    fn load(&self) -> (Turn, u64) {
        let state = self.state.load(Ordering::Relaxed);
        let turn = Turn::ALL.iter().find(|turn| **turn as u64 == state & 7);
        (*turn.unwrap_or(&Turn::Idle), state >> 3)
    }

    fn store(&self, turn: Turn, since: u64) {
        self.state.store(since << 3 | turn as u64, Ordering::Relaxed);
    }
}

impl Timeouts {
    fn of(&self, turn: Turn) -> Option<Duration> {
        match turn {
            Turn::Idle => Some(self.idle),
            Turn::Head => Some(self.head),
            Turn::Response => Some(self.response),
            Turn::Body | Turn::Working | Turn::Streaming | Turn::Upgraded => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        idle: Duration::from_secs(75),
        head: Duration::from_secs(10),
        response: Duration::from_secs(10),
    };

    #[tokio::test(start_paused = true)]
    async fn each_turn_of_the_client_has_its_timeout() {
        for (turn, seconds) in [(Turn::Idle, 75), (Turn::Head, 10), (Turn::Response, 10)] {
            let activity = Activity::new(Instant::now());
            activity.begin(turn);
            let begun = Instant::now();
            assert_eq!(activity.overdue(&TIMEOUTS).await, turn);
            assert_eq!(begun.elapsed().as_secs(), seconds, "{turn:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_of_the_server_has_no_timeout_and_the_next_turn_does() {
        let activity = Activity::new(Instant::now());
        activity.begin(Turn::Working);
        let begun = Instant::now();
        let answered = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            activity.begin(Turn::Response);
        };
        let (overdue, ()) = tokio::join!(activity.overdue(&TIMEOUTS), answered);
        assert_eq!(overdue, Turn::Response);
        assert!(
            (110..116).contains(&begun.elapsed().as_secs()),
            "{:?}",
            begun.elapsed()
        );
    }

    /// A long response: it has the timeout of a response only while its client takes nothing of what there is.
    #[tokio::test(start_paused = true)]
    async fn a_response_that_goes_on_has_a_timeout_only_while_it_is_not_taken() {
        let activity = Activity::new(Instant::now());
        activity.begin(Turn::Working);
        activity.streams();
        activity.answered();
        activity.taken();
        assert_eq!(activity.turn().0, Turn::Streaming);
        let begun = Instant::now();
        let blocked = async {
            tokio::time::sleep(Duration::from_hours(1)).await;
            activity.blocked();
        };
        let (overdue, ()) = tokio::join!(activity.overdue(&TIMEOUTS), blocked);
        assert_eq!(overdue, Turn::Response);
        assert!(
            (3610..3616).contains(&begun.elapsed().as_secs()),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_enough_bytes_extend_a_turn() {
        // Bytes each second, and whether the client is still in time after a minute.
        for (bytes, in_time) in [(1, false), (1000, false), (4096, true), (1_000_000, true)] {
            let activity = Activity::new(Instant::now());
            activity.begin(Turn::Response);
            let taking = async {
                for _ in 0..60 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    activity.progressed(bytes);
                }
            };
            let ended = tokio::select! {
                _ = activity.overdue(&TIMEOUTS) => false,
                () = taking => true,
            };
            assert_eq!(ended, in_time, "{bytes} bytes each second");
        }
    }
}
