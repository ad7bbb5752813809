//! The configurations of a device: the running one, the saved ones, and those of sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Device;
use super::configuration::{self, Command, Editor, Moved, Pattern, Refused};
use super::knobs::Knobs;
use super::record::{Change, Reason, Record, Recorded};
use super::session::{Completed, Session};

/// The most files in the flash of a device.
const MAX_FILES: usize = 16;

/// Why a device refused to change its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A configuration command was refused.
    #[error(transparent)]
    Command(#[from] Refused),
    /// Another reason, as the device prints it.
    #[error("{0}")]
    Other(String),
}

impl Problem {
    pub(super) fn other(reason: impl Into<String>) -> Self {
        Self::Other(reason.into())
    }
}

/// A commit that is rolled back unless it is confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Timer {
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) due: Duration,
    /// The running configuration before.
    pub(super) before: Arc<str>,
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
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) timer: Option<Timer>,
    /// The last session that was committed.
    pub(super) completed: Option<Completed>,
    /// When the device goes back by itself, and to what.
    pub(super) reverts: Option<(Duration, Arc<str>)>,
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
        let moved = editor.run(&mut running, command)?;
        let after = configuration::print(&running);
        if *after != *before {
            self.become_running(after.into(), None, Change::Configured, author);
        }
        Ok(moved)
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
            _ if !to.starts_with("flash:") => {
                return Err(Problem::other(format!("Error copying {from} to {to}")));
            }
            _ if self.files.len() >= MAX_FILES && !self.files.contains_key(to) => {
                return Err(Problem::other(format!(
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
                let missing = || Problem::other(format!("Error: {name} (No such file or directory)"));
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
        if let Some(timer) = self.timer.take().filter(|_| *startup != *self.running(device)) {
            let change = Change::RolledBack(Reason::Restart);
            self.become_running(startup.clone(), Some(timer.session), change, author);
        }
        self.become_running(startup, None, Change::Restarted, author);
        self.restarted = Some(now);
    }

    pub(super) fn check(&self, line: &str) -> Result<(), Problem> {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let refuses = |pattern: &String| Pattern::new(pattern).is_match(&line);
        if self.knobs.refused.iter().any(refuses) {
            let word = line.split(' ').next().unwrap_or_default().to_owned();
            return Err(Problem::Command(Refused::Invalid { position: 0, word }));
        }
        Ok(())
    }

    pub(super) fn become_running(
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

    pub(super) fn note(&mut self, session: Option<String>, change: Change, author: Author<'_>) {
        self.record.add(Recorded {
            at: author.now,
            session,
            user: author.user.to_owned(),
            change,
            running: None,
        });
    }
}

fn made_with(device: &Device) -> Arc<str> {
    configuration::print(&configuration::read(&device.running_configuration())).into()
}

/// The configuration of a device that has none: its ports.
pub(super) fn new_device(device: &Device) -> String {
    let mut text = String::new();
    for port in &device.ports {
        text.push_str("interface ");
        text.push_str(&port.name);
        text.push('\n');
    }
    text
}
