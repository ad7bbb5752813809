//! Configuration sessions: their names, and what is done about those that are pending.

use lockstep_device::{PendingSession, SessionName, SessionNameError, SessionState};
use lockstep_store::{RunningElement, SyncBinding};
use serde_json::{Value, json};

/// The names of our sessions begin so.
const OURS: &str = "lockstep-";

/// The name of the session of an attempt. No other attempt has it.
///
/// # Errors
/// None in practice: three numbers fit.
pub(crate) fn session_name(
    binding: &SyncBinding,
    run: &RunningElement,
) -> Result<SessionName, SessionNameError> {
    SessionName::new(format!(
        "{OURS}{}-{}-{}",
        binding.execution, binding.element, run.attempt
    ))
}

/// What is done about the sessions that are pending on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Our own: no run is under way, since this one has the lease of the device. They are aborted.
    pub(crate) own: Vec<PendingSession>,
    /// Those of others. They are shown, and left alone.
    pub(crate) foreign: Vec<PendingSession>,
}

impl Pending {
    /// Divides the sessions of a device.
    pub(crate) fn of(sessions: Vec<PendingSession>) -> Self {
        let (own, foreign) = sessions
            .into_iter()
            .partition(|session| session.name.starts_with(OURS));
        Self { own, foreign }
    }

    /// The session of somebody else whose commit waits for its confirmation. Until it ends, nothing else can be committed, and what runs is
    /// not what stays.
    pub(crate) fn blocking(&self) -> Option<&PendingSession> {
        let mut foreign = self.foreign.iter();
        foreign.find(|session| session.state == SessionState::PendingTimer)
    }
}

/// A session for people: its name, who opened it, and how old it is.
pub(crate) fn described(session: &PendingSession) -> String {
    let user = session.user.as_ref().map(|user| format!(" of {user}"));
    let age = session.age.map(|age| match age.as_secs() {
        seconds @ 0..60 => format!(", {seconds} s old"),
        seconds => format!(", {} min old", seconds / 60),
    });
    let timer = session.rolls_back_at.map(|at| format!(", rolls back at {at:.0}"));
    let parts = [Some(format!("{:?}", session.name)), user, age, timer];
    parts.into_iter().flatten().collect()
}

/// A session for programs.
pub(crate) fn to_json(session: &PendingSession) -> Value {
    json!({
        "name": session.name,
        "own": session.name.starts_with(OURS),
        "state": match session.state {
            SessionState::Pending => "pending",
            SessionState::PendingTimer => "pending-timer",
        },
        "user": session.user,
        "rolls_back_at": session.rolls_back_at,
        "age_seconds": session.age.map(|age| age.as_secs()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn session(name: &str, state: SessionState) -> PendingSession {
        PendingSession {
            name: name.to_owned(),
            state,
            user: None,
            rolls_back_at: None,
            age: None,
        }
    }

    #[test]
    fn only_a_commit_of_somebody_else_blocks() {
        use SessionState::{Pending as Open, PendingTimer};

        type Row = (
            &'static [(&'static str, SessionState)],
            usize,
            Option<&'static str>,
        );
        let table: [Row; 5] = [
            (&[], 0, None),
            (
                &[("lockstep-1-2-1", Open), ("lockstep-1-3-1", PendingTimer)],
                2,
                None,
            ),
            (&[("anna", Open)], 0, None),
            (
                &[("anna", Open), ("job7", PendingTimer), ("lockstep-1-2-1", Open)],
                1,
                Some("job7"),
            ),
            (&[("my-lockstep-1", PendingTimer)], 0, Some("my-lockstep-1")),
        ];
        for (sessions, own, blocking) in table {
            let pending = Pending::of(
                sessions
                    .iter()
                    .map(|(name, state)| session(name, *state))
                    .collect(),
            );
            assert_eq!(pending.own.len(), own, "{sessions:?}");
            let name = pending.blocking().map(|session| session.name.as_str());
            assert_eq!(name, blocking, "{sessions:?}");
        }
    }

    #[test]
    fn a_session_is_described_with_what_is_known() {
        let known = PendingSession {
            user: Some("anna".to_owned()),
            age: Some(Duration::from_mins(123)),
            rolls_back_at: Some("2026-11-30T08:00:00.5Z".parse().unwrap()),
            ..session("job7", SessionState::PendingTimer)
        };
        assert_eq!(
            described(&known),
            "\"job7\" of anna, 123 min old, rolls back at 2026-11-30T08:00:00Z"
        );
        assert_eq!(described(&session("a\n", SessionState::Pending)), "\"a\\n\"");
    }
}
