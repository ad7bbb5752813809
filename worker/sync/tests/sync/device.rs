use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_device::{
    Command, CommandOutput, ConfigurationSessions, Credentials, DeviceAddress, DeviceConnection,
    DeviceDriver, DeviceError, Format, PendingSession, SessionName, SessionState,
};
use lockstep_sync::configuration_hash;
use tokio::time::Instant;

use crate::world::{Call, Inner, World};

/// What the device does with a confirmation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Confirmation {
    #[default]
    Works,
    /// It answers that it did, and its timer stays.
    Ignored,
    /// As above, for the first one only.
    IgnoredOnce,
    /// It answers that it did, and rolls back at once.
    RolledBack,
    /// It confirms, and cannot save it for its next start.
    NotSaved,
    /// It answers that it did, and something else changes the configuration at once.
    Replaced,
}

#[derive(Debug)]
struct Session {
    candidate: String,
    /// When it rolls back, and to what.
    timer: Option<(Instant, String)>,
}

/// A device with configuration sessions, and a timer on tokio's clock.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault by itself")]
pub(crate) struct FakeDevice {
    pub(crate) running: String,
    sessions: BTreeMap<String, Session>,
    pub(crate) foreign: Vec<PendingSession>,
    /// Every configuration that was there for good: the first one, those that were confirmed, those that were changed by hand.
    pub(crate) confirmed: Vec<String>,
    pub(crate) changed_by_hand: bool,
    pub(crate) confirmation: Confirmation,
    pub(crate) refuses_commit: bool,
    pub(crate) too_many_sessions: bool,
    pub(crate) unreachable: bool,
    /// Whether it rolls back a commit before it is confirmed.
    pub(crate) does_not_apply: bool,
}

impl FakeDevice {
    /// The hash of what it shows.
    pub(crate) fn hash(&self) -> String {
        configuration_hash(&self.shown())
    }

    fn shown(&self) -> String {
        format!(
            "! Command: show running-config\n! device: leaf1\n!\n{}end\n",
            self.running
        )
    }

    /// Rolls back what is over.
    pub(crate) fn tick(&mut self) {
        if self.confirmed.is_empty() {
            self.confirmed.push(self.running.clone());
        }
        let now = Instant::now();
        let over = |session: &Session| session.timer.as_ref().is_some_and(|(at, _)| *at <= now);
        let names: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, session)| over(session))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.end(&name);
        }
    }

    /// Ends a session; a commit that waits is rolled back.
    fn end(&mut self, name: &str) -> bool {
        let Some(session) = self.sessions.remove(name) else {
            return false;
        };
        if let Some((_, before)) = session.timer {
            self.running = before;
        }
        true
    }

    pub(crate) fn reboot(&mut self) {
        for name in self.sessions.keys().cloned().collect::<Vec<_>>() {
            self.end(&name);
        }
    }

    pub(crate) fn change_by_hand(&mut self, line: &str) {
        self.tick();
        self.running.push_str(line);
        self.confirmed.push(self.running.clone());
        self.changed_by_hand = true;
    }

    /// The names of its sessions.
    pub(crate) fn open(&self) -> Vec<&str> {
        self.sessions.keys().map(String::as_str).collect()
    }

    fn pending(&self) -> Vec<PendingSession> {
        let own = self.sessions.iter().map(|(name, session)| PendingSession {
            name: name.clone(),
            state: match session.timer {
                Some(_) => SessionState::PendingTimer,
                None => SessionState::Pending,
            },
            user: Some("lockstep".to_owned()),
            rolls_back_at: None,
            age: None,
        });
        own.chain(self.foreign.iter().cloned()).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Driver(pub(crate) World);

#[derive(Debug)]
struct Connection(World);

fn refused(command: &str, message: &str) -> DeviceError {
    DeviceError::Refused {
        command: command.to_owned(),
        code: 1000,
        message: message.to_owned(),
        details: Vec::new(),
        completed: Vec::new(),
    }
}

fn unreachable() -> DeviceError {
    DeviceError::Unreachable {
        reason: "connection refused".to_owned(),
    }
}

/// The result of a call to the device.
fn result<T>(call: Call<Result<T, DeviceError>>) -> Result<T, DeviceError> {
    match call {
        Call::Returns(result) => result,
        Call::NotReached => Err(unreachable()),
        Call::AnswerLost => Err(DeviceError::Interrupted {
            reason: "connection reset".to_owned(),
        }),
    }
}

impl Connection {
    async fn call<T>(
        &self,
        name: &str,
        effect: impl FnOnce(&mut Inner) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let effect = |inner: &mut Inner| {
            if inner.device.unreachable {
                Err(unreachable())
            } else {
                effect(inner)
            }
        };
        result(self.0.call(name, effect).await)
    }
}

#[async_trait]
impl DeviceDriver for Driver {
    async fn open(
        &self,
        _: &DeviceAddress,
        _: &Credentials,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        let opened = |inner: &mut Inner| {
            if inner.device.unreachable {
                Err(unreachable())
            } else {
                Ok(())
            }
        };
        result(self.0.call("connect", opened).await)?;
        Ok(Box::new(Connection(self.0.clone())))
    }
}

#[async_trait]
impl DeviceConnection for Connection {
    async fn run(&mut self, _: &[Command], _: Format) -> Result<Vec<CommandOutput>, DeviceError> {
        Ok(Vec::new())
    }

    async fn running_configuration(&mut self) -> Result<String, DeviceError> {
        self.call("read", |inner| Ok(inner.device.shown())).await
    }

    fn sessions(&mut self) -> Option<&mut dyn ConfigurationSessions> {
        Some(self)
    }

    fn is_reusable(&self) -> bool {
        true
    }
}

#[async_trait]
impl ConfigurationSessions for Connection {
    async fn load(&mut self, session: &SessionName, configuration: &str) -> Result<(), DeviceError> {
        self.call("load", |inner| {
            let device = &mut inner.device;
            if device.too_many_sessions {
                return Err(refused(
                    "configure session",
                    "Maximum number of pending sessions has been reached",
                ));
            }
            let lines = configuration
                .lines()
                .filter(|line| !line.starts_with('!') && *line != "end");
            let new = Session {
                candidate: lines.flat_map(|line| [line, "\n"]).collect(),
                timer: None,
            };
            let earlier = device.sessions.insert(session.to_string(), new);
            if earlier.is_some() {
                inner.violations.push(format!("the session {session} existed"));
            }
            Ok(())
        })
        .await
    }

    async fn difference(&mut self, session: &SessionName) -> Result<String, DeviceError> {
        self.call("difference", |inner| {
            let device = &inner.device;
            let candidate = &device.sessions.get(session.as_str()).ok_or_else(|| refused("show", "no such session"))?.candidate;
            let mut lines = String::new();
            let only_in = |one: &str, other: &str, sign: &str| -> String {
                let other: Vec<&str> = other.lines().collect();
                let lines = one.lines().filter(|line| !other.contains(line));
                lines.flat_map(|line| [sign, line, "\n"]).collect()
            };
            lines.push_str(&only_in(&device.running, candidate, "-"));
            lines.push_str(&only_in(candidate, &device.running, "+"));
            if lines.is_empty() {
                return Ok(lines);
            }
            let context = candidate.lines().find(|line| line.contains("community")).unwrap_or_default();
            Ok(format!(
                "--- system:/running-config\n+++ session:/{session}-session-config\n@@ -1 +1 @@\n {context}\n{lines}"
            ))
        })
        .await
    }

    async fn commit(&mut self, session: &SessionName, rollback_after: Duration) -> Result<(), DeviceError> {
        self.call("commit", |inner| {
            let device = &mut inner.device;
            if device.refuses_commit {
                return Err(refused("commit timer", "cannot commit"));
            }
            let running = device.running.clone();
            let found = device
                .sessions
                .get_mut(session.as_str())
                .ok_or_else(|| refused("commit timer", "no such session"))?;
            found.timer = Some((Instant::now() + rollback_after, running));
            if !device.does_not_apply {
                device.running.clone_from(&found.candidate);
            }
            let number: Option<i64> = found
                .candidate
                .lines()
                .find_map(|line| line.strip_prefix("vlan ")?.parse().ok());
            let element = inner.store.running.map(|running| running.element);
            let restores = element
                .and_then(|element| inner.store.bindings[&element].restores)
                .is_some();
            let newest = inner.store.commits.get(&inner.store.synced).cloned();
            if let (Some(number), Some(newest)) = (number, newest)
                && crate::world::commit(number).as_str() < newest.as_str()
                && !restores
            {
                inner
                    .violations
                    .push(format!("generation {number} overwrites {}", inner.store.synced));
            }
            Ok(())
        })
        .await
    }

    async fn confirm(&mut self, session: &SessionName) -> Result<(), DeviceError> {
        self.call("confirm", |inner| {
            if inner.store.running.is_none() {
                inner.violations.push("a stale run confirms".to_owned());
            }
            let device = &mut inner.device;
            let waiting = device
                .sessions
                .get(session.as_str())
                .is_some_and(|session| session.timer.is_some());
            if !waiting {
                return Err(refused("commit", "no commit is pending"));
            }
            match device.confirmation {
                Confirmation::Ignored => return Ok(()),
                Confirmation::IgnoredOnce => {
                    device.confirmation = Confirmation::Works;
                    return Ok(());
                }
                Confirmation::RolledBack => {
                    device.end(session.as_str());
                    return Ok(());
                }
                Confirmation::Replaced => {
                    device.sessions.remove(session.as_str());
                    device.change_by_hand("vlan 4000\n");
                    return Ok(());
                }
                Confirmation::Works | Confirmation::NotSaved => {}
            }
            device.sessions.remove(session.as_str());
            device.confirmed.push(device.running.clone());
            device.changed_by_hand = false;
            if device.confirmation == Confirmation::NotSaved {
                return Err(DeviceError::NotSaved {
                    reason: "no space left on device".to_owned(),
                });
            }
            Ok(())
        })
        .await
    }

    async fn abort(&mut self, session: &str) -> Result<(), DeviceError> {
        self.call("abort", |inner| {
            let before = inner.device.foreign.len();
            inner.device.foreign.retain(|foreign| foreign.name != session);
            if inner.device.end(session) || inner.device.foreign.len() < before {
                return Ok(());
            }
            Err(DeviceError::NotPending {
                session: session.to_owned(),
            })
        })
        .await
    }

    async fn pending(&mut self) -> Result<Vec<PendingSession>, DeviceError> {
        self.call("pending", |inner| Ok(inner.device.pending())).await
    }
}
