//! The configurations of a device: the running one, the saved ones, and those of sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Device;
use super::configuration::{self, Command, Editor, Moved, Pattern, Refused};
use super::knobs::Knobs;
use super::record::{Change, Reason, Record, Recorded};
use super::session::{Completed, ForeignSession, OpenSession, Session};

/// A session that is not committed for so long is dropped by EOS.
const LONGEST_SESSION: Duration = Duration::from_hours(24);

/// The most files in the flash of a device.
const MAX_FILES: usize = 16;

/// Why a device refused to change its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A configuration command was refused.
    Command(Refused),
    /// Another reason, as the device prints it.
    Other(String),
}

/// A commit that is rolled back unless it is confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Timer {
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) due: Duration,
    before: Arc<str>,
}

/// Who changes the configuration, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'author> {
    pub(crate) user: &'author str,
    /// The time since the start of the simulator.
    pub(crate) now: Duration,
}

/// The configurations of a device. Their texts have neither the first lines nor the last one of what is shown.
#[derive(Debug, Default)]
pub(crate) struct Configurations {
    /// `None`: the one that the device was made with.
    running: Option<Arc<str>>,
    startup: Option<Arc<str>>,
    files: BTreeMap<String, Arc<str>>,
    sessions: BTreeMap<String, Session>,
    timer: Option<Timer>,
    /// The last session that was committed.
    completed: Option<Completed>,
    /// When the device goes back by itself, and to what.
    reverts: Option<(Duration, Arc<str>)>,
    /// When the device was restarted.
    pub(crate) restarted: Option<Duration>,
    pub(crate) knobs: Knobs,
    pub(crate) record: Record,
}

impl Configurations {
    pub(crate) fn running(&self, device: &Device) -> Arc<str> {
        self.running.clone().unwrap_or_else(|| made_with(device))
    }

    pub(crate) fn startup(&self, device: &Device) -> Arc<str> {
        self.startup.clone().unwrap_or_else(|| made_with(device))
    }

    pub(crate) fn hostname(&self) -> Option<String> {
        let running = self.running.as_deref()?;
        let name = running.lines().find_map(|line| line.strip_prefix("hostname "));
        name.map(str::to_owned)
    }

    pub(crate) fn timer(&self) -> Option<&Timer> {
        self.timer.as_ref()
    }

    pub(crate) fn completed(&self) -> Option<&Completed> {
        self.completed.as_ref()
    }

    pub(crate) fn sessions(&self) -> &BTreeMap<String, Session> {
        &self.sessions
    }

    /// The sessions that have not ended, by name.
    pub(crate) fn open_sessions(&self, now: Duration) -> Vec<OpenSession> {
        let pending = self.sessions.iter().map(|(name, session)| OpenSession {
            name: name.clone(),
            user: session.user.clone(),
            age: session.age(now),
            rolls_back_in: None,
        });
        let committed = self.timer.iter().map(|timer| OpenSession {
            name: timer.session.clone(),
            user: timer.user.clone(),
            age: self
                .completed
                .as_ref()
                .map_or(Duration::ZERO, |completed| now.saturating_sub(completed.at)),
            rolls_back_in: Some(timer.due.saturating_sub(now)),
        });
        let mut sessions: Vec<OpenSession> = pending.chain(committed).collect();
        sessions.sort_by(|one, other| one.name.cmp(&other.name));
        sessions
    }

    /// Does what has become due.
    pub(crate) fn pass_time(&mut self, now: Duration) {
        if let Some(timer) = self.timer.take_if(|timer| timer.due <= now) {
            self.roll_back(timer, Reason::Timer, None);
        }
        if let Some((due, before)) = self.reverts.take_if(|(due, _)| *due <= now) {
            let author = Author {
                user: "device",
                now: due,
            };
            self.become_running(before, None, Change::RolledBack(Reason::Device), author);
        }
        let old = |session: &Session| session.age(now) >= LONGEST_SESSION;
        while let Some(name) = self
            .sessions
            .iter()
            .find_map(|(name, session)| old(session).then(|| name.clone()))
        {
            self.sessions.remove(&name);
            let author = Author { user: "device", now };
            self.note(Some(name), Change::Aborted, author);
        }
    }

    /// Enters a session, which is made if there is none with this name.
    pub(crate) fn enter(&mut self, device: &Device, name: &str, author: Author<'_>) -> Result<(), Problem> {
        if self.sessions.contains_key(name) {
            return Ok(());
        }
        if self.timer.as_ref().is_some_and(|timer| timer.session == name) {
            return Err(other(format!(
                "Cannot enter session {name}: commit timer is pending"
            )));
        }
        if self
            .completed
            .as_ref()
            .is_some_and(|completed| completed.name == name)
        {
            return Err(other(format!(
                "Cannot enter session {name} (session already completed)"
            )));
        }
        if self.sessions.len() >= self.knobs.max_pending {
            return Err(other(
                "Maximum number of pending sessions has been reached. Please commit or abort previous sessions before creating a new one."
                    .to_owned(),
            ));
        }
        let session = Session {
            user: author.user.to_owned(),
            opened: author.now,
            older: Duration::ZERO,
            candidate: configuration::read(&self.running(device)),
        };
        self.sessions.insert(name.to_owned(), session);
        self.note(Some(name.to_owned()), Change::Opened, author);
        Ok(())
    }

    /// A name that no session has.
    pub(crate) fn free_name(&self) -> String {
        let taken = |name: &String| {
            self.sessions.contains_key(name)
                || self
                    .completed
                    .as_ref()
                    .is_some_and(|completed| completed.name == *name)
        };
        let mut names = (1..).map(|number| format!("sess-{number}"));
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    /// Executes a configuration command in a session.
    pub(crate) fn edit(
        &mut self,
        name: &str,
        editor: &mut Editor,
        command: Command<'_>,
    ) -> Result<Moved, Problem> {
        self.check(command.line)?;
        let session = self.sessions.get_mut(name).ok_or_else(|| gone(name))?;
        editor
            .run(&mut session.candidate, command)
            .map_err(Problem::Command)
    }

    /// Executes a configuration command on the running configuration.
    pub(crate) fn configure(
        &mut self,
        device: &Device,
        editor: &mut Editor,
        command: Command<'_>,
        author: Author<'_>,
    ) -> Result<Moved, Problem> {
        self.check(command.line)?;
        let before = self.running(device);
        let mut running = configuration::read(&before);
        let moved = editor.run(&mut running, command).map_err(Problem::Command)?;
        let after = configuration::print(&running);
        if *after != *before {
            self.become_running(after.into(), None, Change::Configured, author);
        }
        Ok(moved)
    }

    /// Replaces the whole configuration of a session by that of a new device.
    pub(crate) fn clean(&mut self, device: &Device, name: &str) -> Result<(), Problem> {
        let session = self.sessions.get_mut(name).ok_or_else(|| gone(name))?;
        session.candidate = configuration::read(&new_device(device));
        Ok(())
    }

    /// The text of a session.
    pub(crate) fn candidate(&self, name: &str) -> Result<String, Problem> {
        let session = self.sessions.get(name).ok_or_else(|| gone(name))?;
        Ok(configuration::print(&session.candidate))
    }

    /// How a session differs from the running configuration.
    pub(crate) fn difference(&self, device: &Device, name: &str) -> Result<String, Problem> {
        if self
            .completed
            .as_ref()
            .is_some_and(|completed| completed.name == name)
        {
            return Ok(String::new());
        }
        Ok(configuration::difference(
            &self.running(device),
            &self.candidate(name)?,
            name,
        ))
    }

    /// Commits a session, confirms its commit, or sets its timer anew.
    pub(crate) fn commit(
        &mut self,
        device: &Device,
        name: &str,
        timer: Option<Duration>,
        author: Author<'_>,
    ) -> Result<(), Problem> {
        if let Some(pending) = &mut self.timer {
            if pending.session != name {
                let pending = &pending.session;
                return Err(other(format!(
                    "Cannot commit session {name}: the commit timer of session {pending} is pending"
                )));
            }
            match timer {
                Some(timer) => pending.due = author.now + timer,
                None => self.confirm(author),
            }
            return Ok(());
        }
        if let Some(reason) = &self.knobs.refuses_commit {
            return Err(other(reason.clone()));
        }
        let session = self.sessions.get(name).ok_or_else(|| gone(name))?;
        let candidate = configuration::print(&session.candidate).into();
        self.sessions.remove(name);
        let before = self.running(device);
        self.completed = Some(Completed {
            name: name.to_owned(),
            user: author.user.to_owned(),
            at: author.now,
        });
        self.become_running(
            candidate,
            Some(name.to_owned()),
            Change::Committed { timer },
            author,
        );
        match timer {
            Some(timer) => {
                self.timer = Some(Timer {
                    session: name.to_owned(),
                    user: author.user.to_owned(),
                    due: author.now + timer,
                    before,
                });
            }
            None => self.revert_later(before, author),
        }
        Ok(())
    }

    fn confirm(&mut self, author: Author<'_>) {
        if let Some(timer) = self.timer.take() {
            self.note(Some(timer.session), Change::Confirmed, author);
            self.revert_later(timer.before, author);
        }
    }

    fn revert_later(&mut self, before: Arc<str>, author: Author<'_>) {
        if let Some(after) = self.knobs.reverts_after {
            self.reverts = Some((author.now + after, before));
        }
    }

    /// Drops a session. What is committed with a timer is rolled back.
    pub(crate) fn abort(&mut self, name: &str, author: Author<'_>) -> Result<(), Problem> {
        if let Some(timer) = self.timer.take_if(|timer| timer.session == name) {
            self.roll_back(timer, Reason::Abort, Some(author));
            return Ok(());
        }
        self.sessions.remove(name).ok_or_else(|| gone(name))?;
        self.note(Some(name.to_owned()), Change::Aborted, author);
        Ok(())
    }

    /// Rolls back the commit that waits for its confirmation; without an author it is the device when the timer is over.
    fn roll_back(&mut self, timer: Timer, reason: Reason, author: Option<Author<'_>>) {
        let author = author.unwrap_or(Author {
            user: "device",
            now: timer.due,
        });
        self.become_running(
            timer.before,
            Some(timer.session),
            Change::RolledBack(reason),
            author,
        );
    }

    /// Copies a configuration to a place.
    pub(crate) fn copy(
        &mut self,
        device: &Device,
        from: &str,
        to: &str,
        author: Author<'_>,
    ) -> Result<(), Problem> {
        let text = self.file(device, from)?;
        match to {
            "startup-config" => {
                self.startup = Some(text);
                self.note(None, Change::Saved, author);
            }
            "running-config" => self.become_running(text, None, Change::Configured, author),
            _ if !to.starts_with("flash:") => return Err(other(format!("Error copying {from} to {to}"))),
            _ if self.files.len() >= MAX_FILES && !self.files.contains_key(to) => {
                return Err(other(format!(
                    "Error copying {from} to {to} (No space left on device)"
                )));
            }
            _ => {
                self.files.insert(to.to_owned(), text);
            }
        }
        Ok(())
    }

    /// Replaces the running configuration.
    pub(crate) fn replace(&mut self, device: &Device, from: &str, author: Author<'_>) -> Result<(), Problem> {
        let text = self.file(device, from)?;
        self.become_running(text, None, Change::Configured, author);
        Ok(())
    }

    fn file(&self, device: &Device, name: &str) -> Result<Arc<str>, Problem> {
        match name {
            "running-config" => Ok(self.running(device)),
            "startup-config" => Ok(self.startup(device)),
            _ => {
                let missing = || other(format!("Error: {name} (No such file or directory)"));
                self.files.get(name).cloned().ok_or_else(missing)
            }
        }
    }

    /// Makes this text the running and the startup configuration, without a record.
    pub(crate) fn set(&mut self, device: &Device, text: &str) {
        let whole = configuration::read(&format!("{}{text}", new_device(device)));
        let text: Arc<str> = configuration::print(&whole).into();
        self.running = Some(text.clone());
        self.startup = Some(text);
    }

    /// Restarts the device with its startup configuration.
    pub(crate) fn restart(&mut self, device: &Device, now: Duration) {
        let author = Author { user: "device", now };
        self.sessions.clear();
        self.completed = None;
        self.reverts = None;
        let startup = self.startup(device);
        if let Some(timer) = self.timer.take() {
            let change = Change::RolledBack(Reason::Restart);
            self.become_running(startup.clone(), Some(timer.session), change, author);
        }
        self.become_running(startup, None, Change::Restarted, author);
        self.restarted = Some(now);
    }

    /// Opens a session of somebody else, and commits it if it has a timer.
    pub(crate) fn open_foreign(
        &mut self,
        device: &Device,
        foreign: &ForeignSession,
        now: Duration,
    ) -> Result<(), Problem> {
        let author = Author {
            user: &foreign.user,
            now,
        };
        self.enter(device, &foreign.name, author)?;
        let mut editor = Editor::new(foreign.commands.iter().any(|line| line.starts_with(' ')));
        let commands: Vec<&str> = foreign.commands.iter().map(String::as_str).collect();
        for command in Command::each(&commands) {
            self.edit(&foreign.name, &mut editor, command)?;
        }
        if let Some(session) = self.sessions.get_mut(&foreign.name) {
            session.older = foreign.age;
        }
        match foreign.timer {
            Some(timer) => self.commit(device, &foreign.name, Some(timer), author),
            None => Ok(()),
        }
    }

    fn check(&self, line: &str) -> Result<(), Problem> {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let refuses = |pattern: &String| Pattern::new(pattern).is_match(&line);
        if self.knobs.refused.iter().any(refuses) {
            let word = line.split(' ').next().unwrap_or_default().to_owned();
            return Err(Problem::Command(Refused::Invalid { position: 0, word }));
        }
        Ok(())
    }

    fn become_running(
        &mut self,
        text: Arc<str>,
        session: Option<String>,
        change: Change,
        author: Author<'_>,
    ) {
        self.running = Some(text.clone());
        self.record.add(Recorded {
            at: author.now,
            session,
            user: author.user.to_owned(),
            change,
            running: Some(text),
        });
    }

    fn note(&mut self, session: Option<String>, change: Change, author: Author<'_>) {
        self.record.add(Recorded {
            at: author.now,
            session,
            user: author.user.to_owned(),
            change,
            running: None,
        });
    }
}

fn gone(name: &str) -> Problem {
    other(format!("Session {name} does not exist"))
}

fn other(reason: String) -> Problem {
    Problem::Other(reason)
}

fn made_with(device: &Device) -> Arc<str> {
    configuration::print(&configuration::read(&device.running_configuration())).into()
}

/// The configuration of a device that has none: its ports.
fn new_device(device: &Device) -> String {
    let mut text = String::new();
    for port in &device.ports {
        text.push_str("interface ");
        text.push_str(&port.name);
        text.push('\n');
    }
    text
}
