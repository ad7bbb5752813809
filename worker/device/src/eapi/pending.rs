//! Reads the answers about configuration sessions. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{PendingSession, SessionState};

/// A time before this one, in seconds since 1970, is one since the start of the device: no device has an uptime of 30 years, and no clock
/// shows a time before 2001.
const FIRST_TIME: f64 = 1e9;

/// The answer to `show configuration sessions detail`.
///
/// Until EOS 4.31, a session that is committed with a timer has the state `pendingCommitTimer` and its own `commitBy`. Since 4.32 it is
/// `committed` at once, and its name and its time are beside the sessions. Both are read wherever they are.
#[derive(Debug, Deserialize)]
pub(super) struct Sessions {
    #[serde(rename = "sessions")]
    by_name: BTreeMap<String, Session>,
    #[serde(rename = "maxOpenSessions")]
    max_open: Option<usize>,
    /// The name of the session with a timer, since 4.32.
    #[serde(rename = "commitTimerSessionName")]
    committed: Option<String>,
    /// When its timer is over.
    #[serde(rename = "commitTimerExpireTime")]
    commit_by: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    state: String,
    commit_by: Option<f64>,
    completed_time: Option<f64>,
    commit_user: Option<String>,
    /// Who has entered it, by process.
    #[serde(default)]
    instances: BTreeMap<String, Instance>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    user: Option<String>,
    terminal: Option<String>,
}

/// What `show version` says about the clock of a device.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clock {
    /// When it started, in seconds since 1970.
    bootup_timestamp: Option<f64>,
    /// Seconds since then.
    uptime: Option<f64>,
}

impl Clock {
    /// What the answer has of it.
    pub(super) fn of(version: &Value) -> Self {
        Self::deserialize(version).unwrap_or_default()
    }

    /// Seconds since 1970, of a time that is since 1970 or since the start of the device.
    fn absolute(self, time: f64) -> Option<f64> {
        if time >= FIRST_TIME {
            return Some(time);
        }
        // -1 says that there is none.
        let since_start = (time >= 0.0).then_some(time)?;
        Some(self.bootup_timestamp? + since_start)
    }

    fn now(self) -> Option<f64> {
        Some(self.bootup_timestamp? + self.uptime?)
    }
}

impl Sessions {
    /// Whether the device takes no other session.
    pub(super) fn are_full(&self) -> bool {
        let open = self.by_name.values().filter(|session| session.is_open()).count();
        self.max_open.is_some_and(|most| open >= most)
    }

    /// The sessions that have not ended, ordered by name.
    pub(super) fn pending(mut self, clock: Clock) -> Vec<PendingSession> {
        let timer = self.committed.take().filter(|name| !name.is_empty());
        if let Some(name) = &timer {
            // Were it not listed, nobody would know of its timer.
            self.by_name
                .entry(name.clone())
                .or_insert_with(Session::committed);
        }
        let sessions = self.by_name.into_iter().filter_map(|(name, session)| {
            let (state, commit_by) = if timer.as_ref() == Some(&name) {
                (SessionState::PendingTimer, self.commit_by)
            } else if session.has_timer() {
                (SessionState::PendingTimer, session.commit_by)
            } else if session.is_open() {
                (SessionState::Pending, None)
            } else {
                return None;
            };
            let began = session
                .completed_time
                .filter(|_| state == SessionState::PendingTimer);
            Some(PendingSession {
                name,
                state,
                user: session.user(),
                rolls_back_at: commit_by.and_then(|time| timestamp(clock.absolute(time)?)),
                age: began.and_then(|began| elapsed(clock.absolute(began)?, clock.now()?)),
            })
        });
        sessions.collect()
    }
}

impl Session {
    fn committed() -> Self {
        Self {
            state: "committed".to_owned(),
            commit_by: None,
            completed_time: None,
            commit_user: None,
            instances: BTreeMap::new(),
        }
    }

    fn has_timer(&self) -> bool {
        self.state.contains("pendingCommitTimer")
    }

    fn is_open(&self) -> bool {
        self.state.starts_with("pending") && !self.has_timer()
    }

    /// Those who have entered it, or else who committed it.
    fn user(self) -> Option<String> {
        let instances = self.instances.into_values();
        let entered = instances.filter_map(|instance| match (instance.user?, instance.terminal) {
            (user, Some(terminal)) if !terminal.is_empty() => Some(format!("{user} on {terminal}")),
            (user, _) => Some(user),
        });
        let users: Vec<String> = entered.filter(|user| !user.is_empty()).collect();
        if !users.is_empty() {
            return Some(users.join(", "));
        }
        self.commit_user.filter(|user| !user.is_empty())
    }
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    let since_1970 = Duration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since_1970).ok()
}

fn elapsed(from: f64, to: f64) -> Option<Duration> {
    Duration::try_from_secs_f64((to - from).max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BOOT: f64 = 1_739_830_000.0;

    fn pending(answer: &Value) -> Vec<PendingSession> {
        let clock = Clock::of(&json!({"version": "4.31.5M", "bootupTimestamp": BOOT, "uptime": 3000.5}));
        Sessions::deserialize(answer).unwrap().pending(clock)
    }

    fn open(name: &str, user: Option<&str>) -> PendingSession {
        PendingSession {
            name: name.to_owned(),
            state: SessionState::Pending,
            user: user.map(str::to_owned),
            rolls_back_at: None,
            age: None,
        }
    }

    /// A session that the user `noc` committed ten seconds ago, and that is rolled back ten minutes later.
    fn committed() -> PendingSession {
        PendingSession {
            state: SessionState::PendingTimer,
            rolls_back_at: timestamp(BOOT + 3590.25),
            age: Some(Duration::from_secs(10)),
            ..open("troubleshooting", Some("noc"))
        }
    }

    #[test]
    fn a_timer_of_eos_until_4_31_is_a_state_of_its_session() {
        // Both are seen: a time since 1970, and one since the start of the device.
        for commit_by in [BOOT + 3590.25, 3590.25] {
            let answer = json!({
                "sessions": {
                    "troubleshooting": {
                        "state": "pendingCommitTimer", "completedTime": BOOT + 2990.5, "commitBy": commit_by,
                        "commitUser": "noc", "description": "", "instances": {},
                    },
                    "older": {
                        "state": "completed", "completedTime": BOOT + 10.0, "commitUser": "noc", "description": "",
                        "instances": {},
                    },
                },
                "maxSavedSessions": 1, "maxOpenSessions": 5, "mergeOnCommit": false, "saveToStartupConfigOnCommit": false,
            });
            assert_eq!(pending(&answer), [committed()]);
        }
    }

    #[test]
    fn a_timer_of_eos_since_4_32_is_beside_the_sessions() {
        let answer = json!({
            "sessions": {
                "troubleshooting": {
                    "state": "committed", "completedTime": BOOT + 2990.5, "commitUser": "noc", "description": "",
                    "instances": {},
                },
                "other": {"state": "committed", "completedTime": BOOT, "commitUser": "noc", "description": "", "instances": {}},
            },
            "maxSavedSessions": 1, "maxOpenSessions": 5, "mergeOnCommit": false, "saveToStartupConfigOnCommit": false,
            "commitTimerSessionName": "troubleshooting", "commitTimerExpireTime": BOOT + 3590.25,
        });
        assert_eq!(pending(&answer), [committed()]);

        let unlisted = json!({
            "sessions": {}, "maxOpenSessions": 5, "commitTimerSessionName": "gone", "commitTimerExpireTime": -1,
        });
        let expected = PendingSession {
            state: SessionState::PendingTimer,
            ..open("gone", None)
        };
        assert_eq!(pending(&unlisted), [expected]);

        let none = json!({"sessions": {"a": {"state": "committed"}}, "commitTimerSessionName": ""});
        assert_eq!(pending(&none), []);
    }

    #[test]
    fn open_sessions_are_listed_by_name_with_those_in_them() {
        let answer = json!({
            "sessions": {
                "sess-2": {
                    "state": "pending", "commitUser": "", "description": "",
                    "instances": {"4312": {"user": "ada", "terminal": "vty3", "currentTerminal": false}},
                },
                "lockstep-1": {"state": "pending", "commitUser": "", "description": "", "instances": {}},
                "two": {"state": "pending", "instances": {"1": {"user": "a", "terminal": ""}, "2": {"user": "b"}, "3": {}}},
                "undone": {"state": "aborted", "instances": {}},
            },
            "maxSavedSessions": 1, "maxOpenSessions": 5,
        });
        let expected = [
            open("lockstep-1", None),
            open("sess-2", Some("ada on vty3")),
            open("two", Some("a, b")),
        ];
        assert_eq!(pending(&answer), expected);
    }

    #[test]
    fn a_device_is_full_with_as_many_open_sessions_as_it_has() {
        let answer = |most: Option<usize>| {
            let sessions =
                json!({"a": {"state": "pending"}, "b": {"state": "pending"}, "c": {"state": "completed"}});
            Sessions::deserialize(json!({"sessions": sessions, "maxOpenSessions": most})).unwrap()
        };
        for (most, full) in [(Some(3), false), (Some(2), true), (Some(1), true), (None, false)] {
            assert_eq!(answer(most).are_full(), full, "{most:?}");
        }
    }

    #[test]
    fn an_answer_without_sessions_does_not_say_that_there_are_none() {
        for answer in [json!({}), json!([]), json!({"sessions": {"a": {}}})] {
            assert!(Sessions::deserialize(&answer).is_err(), "{answer}");
        }
    }
}
