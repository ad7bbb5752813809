//! Configuration sessions of EOS.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::configuration::{BadLine, Entry, entries};
use super::connection::EapiConnection;
use super::pending::{Clock, Sessions};
use super::request::Cmd;
use super::response::Failed;
use crate::{
    CommandOutput, ConfigurationSessions, DeviceError, Output, PendingSession, SessionName, SessionState,
};

/// The longest commit timer: `HH:MM:SS` within a day.
const LONGEST_TIMER: u64 = 24 * 3600 - 1;

/// Gives a session the configuration of a new device, in the place of the running one.
const REPLACE: &str = "rollback clean-config";

const SHOW_SESSIONS: &str = "show configuration sessions detail";

#[async_trait]
impl ConfigurationSessions for EapiConnection {
    async fn load(&mut self, session: &SessionName, configuration: &str) -> Result<(), DeviceError> {
        check(configuration)?;
        let open = format!("configure session {session}");
        let before = [open.as_str(), REPLACE];
        let lines = entries(configuration).flatten().map(Cmd::from);
        let commands = before.into_iter().map(Cmd::Plain).chain(lines);
        let error = match self.execute(commands, configuration.len()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => match failed.number {
                None => return Err(refused("enable", failed)),
                Some(0) => return Err(self.not_opened(refused(&open, failed)).await),
                Some(1) => refused(REPLACE, failed),
                Some(number) => refused_line(configuration, number - before.len(), failed),
            },
            Err(error) if !error.may_have_run() => return Err(error),
            Err(error) => error,
        };
        // The first error says what happened. A session that stays nevertheless is found by its name.
        let _ = self.abort(session.as_str()).await;
        Err(error)
    }

    async fn difference(&mut self, session: &SessionName) -> Result<String, DeviceError> {
        let shown = self
            .text(&format!("show session-config named {session} diffs"))
            .await?;
        Ok(without_header(&shown).to_owned())
    }

    async fn commit(&mut self, session: &SessionName, rollback_after: Duration) -> Result<(), DeviceError> {
        let timer = timer(rollback_after);
        let command = format!("configure session {session} commit timer {timer}");
        match self.change(&[&command]).await {
            Err(error @ DeviceError::Refused { .. }) => Err(self.not_committed(session, error).await),
            outcome => outcome,
        }
    }

    async fn confirm(&mut self, session: &SessionName) -> Result<(), DeviceError> {
        // Without a timer this would be no confirmation: the device would commit whatever has the name now, for good.
        let has_timer = |sessions: &[PendingSession]| {
            sessions.iter().any(|pending| {
                pending.name == session.as_str() && pending.state == SessionState::PendingTimer
            })
        };
        if !has_timer(&self.pending().await?) {
            return Err(not_pending(session.as_str()));
        }
        let commit = format!("configure session {session} commit");
        match self.change(&[&commit, "write memory"]).await {
            Err(error @ DeviceError::Refused { .. }) if error.may_have_run() => Err(DeviceError::NotSaved {
                reason: error.to_string(),
            }),
            Err(error @ DeviceError::Refused { .. }) => match self.pending().await {
                Ok(sessions) if !has_timer(&sessions) => Err(not_pending(session.as_str())),
                Ok(_) | Err(_) => Err(error),
            },
            outcome => outcome,
        }
    }

    async fn abort(&mut self, session: &str) -> Result<(), DeviceError> {
        if !is_word(session) {
            return Err(not_pending(session));
        }
        let abort = format!("configure session {session} abort");
        let outcome = self.json(&[SHOW_SESSIONS, &abort]).await;
        let shown = match &outcome {
            Ok(outputs) => outputs.first(),
            Err(DeviceError::Refused { completed, .. }) => completed.first(),
            Err(_) => None,
        };
        // A device may take it without having the session.
        let listed = shown.and_then(|output| sessions(output).ok());
        let is_listed = listed.is_none_or(|sessions| {
            let pending = sessions.pending(Clock::default());
            pending.iter().any(|pending| pending.name == session)
        });
        if is_listed {
            outcome.map(drop)
        } else {
            Err(not_pending(session))
        }
    }

    async fn pending(&mut self) -> Result<Vec<PendingSession>, DeviceError> {
        let (sessions, clock) = self.listed().await?;
        Ok(sessions.pending(clock))
    }
}

impl EapiConnection {
    /// The sessions of the device, and its clock.
    async fn listed(&mut self) -> Result<(Sessions, Clock), DeviceError> {
        let outputs = self.json(&[SHOW_SESSIONS, "show version"]).await?;
        let [shown, version] = outputs.as_slice() else {
            return Err(DeviceError::unreadable("two outputs were expected", &[]));
        };
        let clock = match &version.output {
            Output::Json(version) => Clock::of(version),
            Output::Text(_) => Clock::default(),
        };
        Ok((sessions(shown)?, clock))
    }

    /// Why a session could not be opened.
    async fn not_opened(&mut self, refused: DeviceError) -> DeviceError {
        let text = refused.to_string();
        if is_lock(&text) {
            return DeviceError::Locked { reason: text };
        }
        let says_full = text.to_ascii_lowercase().contains("pending sessions");
        match self.listed().await {
            Ok((sessions, clock)) if says_full || sessions.are_full() => DeviceError::TooManySessions {
                sessions: sessions
                    .pending(clock)
                    .into_iter()
                    .map(|session| session.name)
                    .collect(),
            },
            Err(_) if says_full => DeviceError::TooManySessions { sessions: Vec::new() },
            Ok(_) | Err(_) => refused,
        }
    }

    /// Why a session could not be committed.
    async fn not_committed(&mut self, session: &SessionName, refused: DeviceError) -> DeviceError {
        let text = refused.to_string();
        if is_lock(&text) {
            return DeviceError::Locked { reason: text };
        }
        let Ok(sessions) = self.pending().await else {
            return refused;
        };
        let other = sessions
            .iter()
            .find(|other| other.state == SessionState::PendingTimer && other.name != session.as_str());
        if let Some(other) = other {
            return DeviceError::SessionInUse {
                session: other.name.clone(),
                user: other.user.clone(),
            };
        }
        if sessions.iter().all(|pending| pending.name != session.as_str()) {
            return not_pending(session.as_str());
        }
        refused
    }
}

impl<'text> From<Entry<'text>> for Cmd<'text> {
    fn from(entry: Entry<'text>) -> Self {
        match entry {
            Entry {
                command, input: None, ..
            } => Self::Plain(command),
            Entry {
                command,
                input: Some(input),
                ..
            } => Self::WithInput { cmd: command, input },
        }
    }
}

/// What the answer to `show configuration sessions detail` says.
fn sessions(shown: &CommandOutput) -> Result<Sessions, DeviceError> {
    let Output::Json(json) = &shown.output else {
        return Err(DeviceError::unreadable("the sessions are no JSON", &[]));
    };
    Sessions::deserialize(json).map_err(|error| {
        let reason = format!("the sessions cannot be read: {error}");
        DeviceError::unreadable(&reason, json.to_string().as_bytes())
    })
}

fn not_pending(session: &str) -> DeviceError {
    DeviceError::NotPending {
        session: session.to_owned(),
    }
}

fn refused(command: &str, failed: Failed) -> DeviceError {
    let Failed {
        code,
        message,
        details,
        ..
    } = failed;
    DeviceError::Refused {
        command: command.to_owned(),
        code,
        message,
        details,
        completed: Vec::new(),
    }
}

/// Whether a configuration can be loaded, as far as its text tells.
fn check(configuration: &str) -> Result<(), DeviceError> {
    let mut entries = entries(configuration).peekable();
    if entries.peek().is_none() {
        return Err(DeviceError::EmptyConfiguration);
    }
    match entries.find_map(Result::err) {
        None => Ok(()),
        Some(BadLine {
            line,
            command,
            reason,
        }) => Err(DeviceError::Line {
            line,
            beginning: beginning(&command),
            reason: reason.to_owned(),
        }),
    }
}

/// The error of a command of a configuration that the device refuses. Its message repeats the command, and the details have words of it:
/// neither is kept, because a line may have a secret.
fn refused_line(configuration: &str, number: usize, failed: Failed) -> DeviceError {
    let Some(Entry { line, command, .. }) = entries(configuration).flatten().nth(number) else {
        return refused("", failed);
    };
    let details: Vec<String> = failed
        .details
        .iter()
        .map(|detail| without_quotes(detail))
        .collect();
    DeviceError::Line {
        line,
        beginning: beginning(command),
        reason: if details.is_empty() {
            format!("no reason given (code {})", failed.code)
        } else {
            details.join("; ")
        },
    }
}

/// The first two words of a line; never its last one if there are more, which may be a secret.
fn beginning(line: &str) -> String {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        [first, second, _, ..] => format!("{first} {second} …"),
        [first, _] => format!("{first} …"),
        words => words.join(" "),
    }
}

/// The text without what is in single quotes, which EOS puts around words of a command.
fn without_quotes(text: &str) -> String {
    let mut parts = text.split('\'');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.enumerate().fold(first, |mut kept, (number, part)| {
        kept.push_str(if number % 2 == 0 { "'…'" } else { part });
        kept
    })
}

/// Whether an error says that somebody holds the lock of the configuration.
fn is_lock(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "configuration lock",
        "config lock",
        "configuration is locked",
        "locked by",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Whether a name of a session can be a word of a command.
fn is_word(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'|' | b'>' | b'"' | b'?');
    !name.is_empty() && name.bytes().all(allowed)
}

/// The time as `HH:MM:SS`: at least a second, at most a day.
fn timer(time: Duration) -> String {
    let seconds = time.as_secs().clamp(1, LONGEST_TIMER);
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A difference without the two lines that name what is compared, one of which has the name of the session.
fn without_header(shown: &str) -> &str {
    let mut rest = shown.trim_start_matches(['\r', '\n']);
    for sign in ["--- ", "+++ "] {
        if rest.starts_with(sign) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }
    if rest.trim().is_empty() { "" } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_times_within_a_day() {
        let table = [
            (0, "00:00:01"),
            (59, "00:00:59"),
            (300, "00:05:00"),
            (3661, "01:01:01"),
            (100_000, "23:59:59"),
        ];
        for (seconds, text) in table {
            assert_eq!(timer(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_difference_does_not_name_its_session() {
        let table = [
            ("", ""),
            ("\n\n", ""),
            (
                "--- system:/running-config\n+++ session:/lockstep-1-session-config\n",
                "",
            ),
            (
                "--- system:/running-config\n+++ session:/lockstep-1-session-config\n@@ -1 +1 @@\n-hostname a\n+hostname b\n",
                "@@ -1 +1 @@\n-hostname a\n+hostname b\n",
            ),
            ("@@ -1 +1 @@\n--- a\n+++ b\n", "@@ -1 +1 @@\n--- a\n+++ b\n"),
        ];
        for (shown, difference) in table {
            assert_eq!(without_header(shown), difference, "{shown:?}");
        }
    }

    #[test]
    fn the_error_of_a_line_has_no_secret() {
        let failed = Failed {
            number: Some(9),
            code: 1002,
            message: "CLI command 11 of 12 'username a secret hunter2' failed: invalid command".to_owned(),
            details: vec!["Invalid input (at token 3: 'hunter2')".to_owned()],
        };
        for command in [
            "username a secret hunter2",
            "secret hunter2",
            "key 7 hunter2",
            "neighbor 10.0.0.1 password hunter2",
        ] {
            let error = refused_line(&format!("!\nhostname a\n{command}\n"), 1, failed.clone());
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            for text in ["line 3", "Invalid input (at token 3: '…')"] {
                assert!(error.to_string().contains(text), "{error}");
            }
        }
        let without_details = Failed {
            details: Vec::new(),
            ..failed
        };
        assert_eq!(
            refused_line("exit", 0, without_details).to_string(),
            "refuses line 1 of the configuration (\"exit\"): no reason given (code 1002)"
        );
    }

    #[test]
    fn words_in_quotes_are_left_out() {
        let table = [
            ("Invalid input", "Invalid input"),
            ("at token 1: 'a' and 'b'.", "at token 1: '…' and '…'."),
            ("'open", "'…'"),
            ("", ""),
        ];
        for (text, kept) in table {
            assert_eq!(without_quotes(text), kept);
        }
    }

    #[test]
    fn names_that_are_no_word_are_never_sent() {
        for (name, is) in [
            ("sess-2174--79-1", true),
            ("a/b", true),
            ("", false),
            ("a b", false),
            ("a\nreload", false),
            ("a|json", false),
        ] {
            assert_eq!(is_word(name), is, "{name:?}");
        }
    }
}
