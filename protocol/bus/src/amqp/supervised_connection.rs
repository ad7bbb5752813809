//! One connection that is always being kept up.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Connection, Event};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, HEALTHY};
use super::connector::{Dial, DialError};

/// How often to look, whatever the events say.
const WATCHDOG: Duration = Duration::from_secs(5);
/// How long closing anything may take.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

/// A handle of the connection; its supervisor is the only writer of the state.
#[derive(Clone)]
pub(super) struct Link {
    states: watch::Receiver<State>,
}

/// What there is of the connection.
#[derive(Clone)]
pub(super) enum State {
    /// The first attempt is under way.
    Dialing,
    /// It works.
    Up(Arc<ConnectionGeneration>),
    /// It works, but the broker takes no messages because of an alarm.
    Blocked(Arc<ConnectionGeneration>),
    /// It is lost and being rebuilt.
    Down,
    /// It was closed on purpose.
    Closed,
}

/// One life of the connection.
pub(super) struct ConnectionGeneration {
    pub(super) connection: Connection,
    closing: CancellationToken,
}

/// The link was closed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl ConnectionGeneration {
    fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            closing: CancellationToken::new(),
        })
    }

    /// Whether it may be used as far as is known.
    pub(super) fn works(&self) -> bool {
        self.connection.status().connected() && !self.closing.is_cancelled()
    }

    /// Makes everybody give it up: something on it did not behave, or it is no longer wanted.
    pub(super) fn start_closing(&self) {
        self.closing.cancel();
    }

    /// Waits until it is given up.
    pub(super) async fn given_up(&self) {
        self.closing.cancelled().await;
    }

    async fn close(&self) {
        let closing = self.connection.close(200, "closed".into());
        if timeout(CLOSING, closing).await.is_err() {
            debug!("the broker did not answer to closing the connection");
        }
    }
}

impl Link {
    /// Keeps a connection up until `stop`, and then until its users ended; `first` is one that is open already.
    pub(super) fn spawn(
        role: &'static str,
        dial: Arc<Dial>,
        first: Option<Connection>,
        stop: CancellationToken,
        users: TaskTracker,
        tasks: &TaskTracker,
    ) -> Self {
        let first = first.map(ConnectionGeneration::new);
        let state = first.clone().map_or(State::Dialing, State::Up);
        let (sender, states) = watch::channel(state);
        let supervisor = Supervisor {
            role,
            dial,
            states: sender,
            stop,
            users,
            tasks: tasks.clone(),
        };
        tasks.spawn(supervisor.run(first));
        Self { states }
    }

    /// What there is now.
    pub(super) fn state(&self) -> State {
        self.states.borrow().clone()
    }

    /// Whether there is a connection, blocked or not.
    pub(super) fn is_up(&self) -> bool {
        match &*self.states.borrow() {
            State::Up(generation) | State::Blocked(generation) => generation.works(),
            State::Dialing | State::Down | State::Closed => false,
        }
    }

    /// Waits until messages can be published.
    pub(super) async fn ready(&self) -> Result<Arc<ConnectionGeneration>, Closed> {
        self.wait(|state| match state {
            State::Up(generation) if generation.works() => Some(Ok(Arc::clone(generation))),
            State::Closed => Some(Err(Closed)),
            State::Up(_) | State::Blocked(_) | State::Dialing | State::Down => None,
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
            State::Up(_) | State::Blocked(_) | State::Dialing | State::Down => None,
        })
        .await
    }

    /// Waits for the first attempt to connect; says what came of it.
    pub(super) async fn attempted(&self) -> Result<Option<Arc<ConnectionGeneration>>, Closed> {
        self.wait(|state| match state {
            State::Up(generation) | State::Blocked(generation) => Some(Ok(Some(Arc::clone(generation)))),
            State::Down => Some(Ok(None)),
            State::Closed => Some(Err(Closed)),
            State::Dialing => None,
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
    dial: Arc<Dial>,
    states: watch::Sender<State>,
    stop: CancellationToken,
    /// Who says goodbye on this connection before it is closed.
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
                None => match self.dial().await {
                    Some(Ok(connection)) => ConnectionGeneration::new(connection),
                    Some(Err(error)) => {
                        let wait = backoff.wait();
                        warn!(role = self.role, %error, retry_ms = wait.as_millis(), "no connection to the broker");
                        self.states.send_replace(State::Down);
                        self.pause(wait).await;
                        continue;
                    }
                    None => break,
                },
            };
            info!(role = self.role, "connected to the broker");
            let born = Instant::now();
            self.states.send_replace(State::Up(Arc::clone(&generation)));
            self.watch_over(&generation).await;
            if self.stop.is_cancelled() {
                self.states.send_replace(State::Closed);
                let _ = timeout(CLOSING * 2, self.users.wait()).await;
                // Publishers hear of it at once: on a blocked connection lapin would tell them nothing.
                generation.start_closing();
                generation.close().await;
                break;
            }
            generation.start_closing();
            self.states.send_replace(State::Down);
            self.tasks.spawn(async move { generation.close().await });
            if born.elapsed() > HEALTHY {
                backoff.reset();
            }
            let wait = backoff.wait();
            warn!(
                role = self.role,
                retry_ms = wait.as_millis(),
                "lost the connection to the broker"
            );
            self.pause(wait).await;
        }
        self.states.send_replace(State::Closed);
    }

    async fn dial(&self) -> Option<Result<Connection, DialError>> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            dialed = self.dial.open(self.role) => Some(dialed),
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }

    /// Returns when the connection is lost, condemned or no longer wanted.
    async fn watch_over(&self, generation: &Arc<ConnectionGeneration>) {
        // The only listener: lapin's events go to one of several, not to all.
        let mut events = pin!(generation.connection.events_listener());
        let mut watchdog = interval(WATCHDOG);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = generation.given_up() => return,
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        warn!(role = self.role, reason, "the broker holds back publishers");
                    }
                    Some(_) => {}
                    None => return,
                },
                _ = watchdog.tick() => {}
            }
            if !generation.works() {
                return;
            }
            self.note_alarm(generation);
        }
    }

    fn note_alarm(&self, generation: &Arc<ConnectionGeneration>) {
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
