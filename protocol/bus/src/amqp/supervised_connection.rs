//! A connection that a supervisor task opens again whenever it is lost.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Connection, Event};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::backoff::{Backoff, HEALTHY};
use super::connector::{ConnectError, Connector};

/// How often the supervisor checks the connection in addition to its events.
const WATCHDOG: Duration = Duration::from_secs(5);
/// The timeout of closing a channel or a connection.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

/// The reason of a loss about which lapin says nothing.
const NO_REASON: &str = "the connection ended";

/// A handle of the connection. Only the supervisor writes its state.
#[derive(Clone)]
pub(super) struct SupervisedConnection {
    states: watch::Receiver<State>,
}

/// The state of the connection.
#[derive(Clone)]
pub(super) enum State {
    /// The first attempt to connect has not ended.
    Connecting,
    /// The connection is open.
    Up(Arc<ConnectionGeneration>),
    /// The connection is open, but the broker blocks publishers because of an alarm.
    Blocked(Arc<ConnectionGeneration>),
    /// The connection is lost; the supervisor reconnects.
    Down,
    /// The bus was closed.
    Closed,
}

/// One established connection. Each reconnect makes a new generation.
pub(super) struct ConnectionGeneration {
    pub(super) connection: Connection,
    closing: CancellationToken,
    /// Why this process closes it.
    closing_reason: OnceLock<&'static str>,
    /// Whether the broker confirmed or refused a message on it.
    answered: AtomicBool,
}

/// The bus was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl ConnectionGeneration {
    fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            closing: CancellationToken::new(),
            closing_reason: OnceLock::new(),
            answered: AtomicBool::new(false),
        })
    }

    /// Whether the connection can be used, as far as lapin knows.
    pub(super) fn works(&self) -> bool {
        self.connection.status().connected() && !self.closing.is_cancelled()
    }

    /// Tells all users and the supervisor to stop using this connection: it misbehaves or is no longer needed.
    pub(super) fn start_closing(&self, reason: &'static str) {
        let _ = self.closing_reason.set(reason);
        self.closing.cancel();
    }

    /// Notes that the broker confirmed or refused a message.
    pub(super) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether the broker confirmed or refused a message.
    pub(super) fn answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for [`Self::start_closing`].
    pub(super) async fn closing_started(&self) {
        self.closing.cancelled().await;
    }

    async fn close(&self) {
        let closing = self.connection.close(200, "closed".into());
        if timeout(CLOSING, closing).await.is_err() {
            debug!("the broker did not confirm closing the connection");
        }
    }
}

impl SupervisedConnection {
    /// Starts the supervisor. It runs until `stop` is cancelled, and then until the tasks of `users` ended. `first` is an
    /// open connection to begin with.
    pub(super) fn spawn(
        role: &'static str,
        connector: Arc<Connector>,
        first: Option<Connection>,
        stop: CancellationToken,
        users: TaskTracker,
        tasks: &TaskTracker,
    ) -> Self {
        let first = first.map(ConnectionGeneration::new);
        let state = first.clone().map_or(State::Connecting, State::Up);
        let (sender, states) = watch::channel(state);
        let supervisor = Supervisor {
            role,
            connector,
            states: sender,
            stop,
            users,
            tasks: tasks.clone(),
        };
        tasks.spawn(supervisor.run(first));
        Self { states }
    }

    /// The current state.
    pub(super) fn state(&self) -> State {
        self.states.borrow().clone()
    }

    /// Whether there is a connection, blocked or not.
    pub(super) fn is_up(&self) -> bool {
        match &*self.states.borrow() {
            State::Up(generation) | State::Blocked(generation) => generation.works(),
            State::Connecting | State::Down | State::Closed => false,
        }
    }

    /// Waits until messages can be published.
    pub(super) async fn ready(&self) -> Result<Arc<ConnectionGeneration>, Closed> {
        self.wait(|state| match state {
            State::Up(generation) if generation.works() => Some(Ok(Arc::clone(generation))),
            State::Closed => Some(Err(Closed)),
            State::Up(_) | State::Blocked(_) | State::Connecting | State::Down => None,
        })
        .await
    }

    /// Waits until there is a connection, blocked or not.
    pub(super) async fn connected(&self) -> Result<Arc<ConnectionGeneration>, Closed> {
        self.wait(|state| match state {
            State::Up(generation) | State::Blocked(generation) if generation.works() => {
                Some(Ok(Arc::clone(generation)))
            }
            State::Closed => Some(Err(Closed)),
            State::Up(_) | State::Blocked(_) | State::Connecting | State::Down => None,
        })
        .await
    }

    /// Waits for the first attempt to connect to end; `None` if it failed.
    pub(super) async fn attempted(&self) -> Result<Option<Arc<ConnectionGeneration>>, Closed> {
        self.wait(|state| match state {
            State::Up(generation) | State::Blocked(generation) => Some(Ok(Some(Arc::clone(generation)))),
            State::Down => Some(Ok(None)),
            State::Closed => Some(Err(Closed)),
            State::Connecting => None,
        })
        .await
    }

    async fn wait<T>(&self, answer: impl Fn(&State) -> Option<Result<T, Closed>>) -> Result<T, Closed> {
        let mut states = self.states.clone();
        loop {
            let found = answer(&states.borrow_and_update());
            if let Some(found) = found {
                return found;
            }
            if states.changed().await.is_err() {
                return Err(Closed);
            }
        }
    }
}

struct Supervisor {
    role: &'static str,
    connector: Arc<Connector>,
    states: watch::Sender<State>,
    stop: CancellationToken,
    /// The tasks that use the connection until they end, such as to close their channels.
    users: TaskTracker,
    tasks: TaskTracker,
}

impl Supervisor {
    async fn run(self, first: Option<Arc<ConnectionGeneration>>) {
        let mut backoff = Backoff::new();
        let mut next = first;
        while !self.stop.is_cancelled() {
            let generation = match next.take() {
                Some(generation) => generation,
                None => match self.connect().await {
                    Some(Ok(connection)) => ConnectionGeneration::new(connection),
                    Some(Err(error)) => {
                        self.connector.log.failed(self.role, &error);
                        self.states.send_replace(State::Down);
                        self.pause(backoff.wait()).await;
                        continue;
                    }
                    None => break,
                },
            };
            self.connector.log.succeeded(self.role);
            let opened_at = Instant::now();
            self.states.send_replace(State::Up(Arc::clone(&generation)));
            let reason = self.monitor(&generation).await;
            if self.stop.is_cancelled() {
                self.states.send_replace(State::Closed);
                let _ = timeout(CLOSING * 2, self.users.wait()).await;
                // Publishers stop at once: on a blocked connection lapin would never end their confirms.
                generation.start_closing("the bus was closed");
                generation.close().await;
                break;
            }
            generation.start_closing("the connection was lost");
            self.states.send_replace(State::Down);
            self.connector.log.failed(self.role, &reason);
            self.tasks.spawn(async move { generation.close().await });
            if opened_at.elapsed() > HEALTHY {
                backoff.reset();
            }
            self.pause(backoff.wait()).await;
        }
        self.states.send_replace(State::Closed);
    }

    async fn connect(&self) -> Option<Result<Connection, ConnectError>> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            connected = self.connector.open(self.role) => Some(connected),
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }

    /// Returns when the connection is lost or closing, or the bus is stopped; with the reason.
    async fn monitor(&self, generation: &Arc<ConnectionGeneration>) -> String {
        let mut last_error = None;
        // This must be the only listener: lapin delivers each event to one listener (docs/reference/rabbitmq.md).
        let mut events = pin!(generation.connection.events_listener());
        let mut watchdog = interval(WATCHDOG);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return String::new(),
                () = generation.closing_started() => {}
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        warn!(role = self.role, reason, "the broker blocks publishers");
                    }
                    Some(Event::Error(error)) => last_error = Some(error.to_string()),
                    Some(_) => {}
                    None => return last_error.unwrap_or_else(|| NO_REASON.to_owned()),
                },
                _ = watchdog.tick() => {}
            }
            if !generation.works() {
                let own = generation.closing_reason.get();
                return own.map_or_else(
                    || last_error.unwrap_or_else(|| NO_REASON.to_owned()),
                    |reason| (*reason).to_owned(),
                );
            }
            self.update_blocked(generation);
        }
    }

    fn update_blocked(&self, generation: &Arc<ConnectionGeneration>) {
        let blocked = generation.connection.status().blocked();
        self.states.send_if_modified(|state| match (&state, blocked) {
            (State::Up(_), true) => {
                *state = State::Blocked(Arc::clone(generation));
                true
            }
            (State::Blocked(_), false) => {
                *state = State::Up(Arc::clone(generation));
                true
            }
            _ => false,
        });
    }
}
