//! The life of a configuration session: it is entered, edited, compared, committed, confirmed, aborted and rolled back.

use std::sync::Arc;
use std::time::Duration;

use super::Device;
use super::configuration::{self, Command, Editor, Moved};
use super::configurations::{Author, Configurations, Problem, Timer, new_device};
use super::record::{Change, Reason};
use super::session::{Completed, ForeignSession, OpenSession, Session};

/// A session that is not committed for so long is dropped by EOS.
const LONGEST_SESSION: Duration = Duration::from_hours(24);

impl Configurations {
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
            return Err(Problem::other(format!(
                "Cannot enter session {name}: commit timer is pending"
            )));
        }
        if self
            .completed
            .as_ref()
            .is_some_and(|completed| completed.name == name)
        {
            return Err(Problem::other(format!(
                "Cannot enter session {name} (session already completed)"
            )));
        }
        if self.sessions.len() >= self.knobs.max_pending {
            return Err(Problem::other(
                "Maximum number of pending sessions has been reached. Please commit or abort previous sessions before creating a new one.",
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
        Ok(editor.run(&mut session.candidate, command)?)
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
                return Err(Problem::other(format!(
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
            return Err(Problem::other(reason.clone()));
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
}

fn gone(name: &str) -> Problem {
    Problem::other(format!("Session {name} does not exist"))
}
