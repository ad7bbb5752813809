//! What a run came to: the data of its step, and its failures.

use std::fmt;

use jiff::Timestamp;
use lockstep_execution::{Parked, StepDone, StepFailure, StepResult};
use lockstep_protocol::ElementState;
use lockstep_store::StoreError;
use serde_json::{Value, json};

/// The most bytes of a masked difference in the data of a step. The whole is with the element of the sync.
const MOST_SHOWN: usize = 64 * 1024;

/// What a run does, or did last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It looks at what it is bound to.
    #[default]
    Begin,
    /// It connects.
    Connect,
    /// It lists or aborts sessions.
    Sessions,
    /// It reads the running configuration.
    Read,
    /// It compares the running configuration with the stored hash.
    Drift,
    /// It renders the intended configuration.
    Render,
    /// It loads the intended configuration in a session.
    Load,
    /// It compares the session with the running configuration.
    Difference,
    /// It checks everything once more, and commits.
    Commit,
    /// It reads back over a new connection.
    ReadBack,
    /// It confirms, and verifies.
    Confirm,
    /// It writes the flag.
    Flag,
    /// It ended.
    Done,
}

impl Stage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Connect => "connect",
            Self::Sessions => "sessions",
            Self::Read => "read",
            Self::Drift => "drift",
            Self::Render => "render",
            Self::Load => "load",
            Self::Difference => "difference",
            Self::Commit => "commit",
            Self::ReadBack => "read-back",
            Self::Confirm => "confirm",
            Self::Flag => "flag",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a run found so far. It has no secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) stage: Stage,
    /// The masked difference. Empty if nothing differs.
    pub(crate) difference: Option<String>,
    /// The keyed hash of the difference.
    pub(crate) hash: Option<String>,
    pub(crate) change_score: Option<f64>,
    pub(crate) generation: i64,
    /// Whether the device was changed outside of Lockstep.
    pub(crate) drifted: bool,
    /// The sessions that were pending.
    pub(crate) sessions: Vec<Value>,
}

impl Report {
    /// The result of the step, with what was found.
    pub(crate) fn attach(&self, result: StepResult) -> StepResult {
        match result {
            Ok(done) => Ok(StepDone {
                data: self.data(),
                ..done
            }),
            Err(failure) => Err(StepFailure {
                data: self.data(),
                ..failure
            }),
        }
    }

    fn data(&self) -> Value {
        json!({
            "stage": self.stage.as_str(),
            "diff": self.difference.as_deref().map(shown),
            "change_score": self.change_score,
            "hash": self.hash,
            "generation": self.generation,
            "drifted": self.drifted,
            "sessions": self.sessions,
        })
    }
}

/// The difference up to the bound, by whole lines.
fn shown(difference: &str) -> String {
    if difference.len() <= MOST_SHOWN {
        return difference.to_owned();
    }
    let cut = &difference[..difference.floor_char_boundary(MOST_SHOWN)];
    let whole = cut.rfind('\n').map_or(cut, |end| &cut[..=end]);
    let left = difference[whole.len()..].lines().count();
    format!("{whole}… {left} more lines\n")
}

/// A step that was done.
pub(crate) fn done(changed: bool, message: impl Into<String>) -> StepDone {
    StepDone {
        message: Some(message.into()),
        changed,
        ..StepDone::default()
    }
}

/// A device that is left alone.
pub(crate) fn skipped(reason: &'static str, message: impl Into<String>) -> StepFailure {
    StepFailure {
        state: ElementState::Filtered,
        ..StepFailure::new(reason, message)
    }
}

/// A device that may not be changed before a time.
pub(crate) fn frozen(message: String, resume_at: Timestamp, expires_at: Timestamp) -> StepFailure {
    StepFailure {
        parked: Some(Parked::Until {
            resume_at,
            expires_at,
        }),
        ..skipped("frozen", message)
    }
}

/// What the reason of a run is that must not go on, because another worker may run its element.
pub(crate) const LEASE_LOST: &str = "lease-lost";

/// Another worker may run the element.
pub(crate) fn lease_lost() -> StepFailure {
    StepFailure::new(
        LEASE_LOST,
        "its worker lost the right to run it; the next attempt looks at the device anew",
    )
}

/// The value, or the failure that the store is.
pub(crate) fn stored<T>(result: Result<T, StoreError>) -> Result<T, StepFailure> {
    result.map_err(|error| {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        StepFailure::new("store-unavailable", message)
    })
}

/// Nothing if a guarded write was done.
pub(crate) fn written(result: Result<bool, StoreError>) -> Result<(), StepFailure> {
    if stored(result)? {
        Ok(())
    } else {
        Err(lease_lost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_difference_is_shown_up_to_a_whole_line() {
        let line = "+ä vlan\n";
        let long = line.repeat(MOST_SHOWN / line.len() + 10);
        let text = shown(&long);
        assert!(text.len() <= MOST_SHOWN + 30, "{}", text.len());
        let (kept, rest) = text.split_once('…').unwrap();
        assert!(kept.ends_with('\n') && long.starts_with(kept), "{kept:?}");
        let left = long.lines().count() - kept.lines().count();
        assert_eq!(rest, format!(" {left} more lines\n"));
        assert_eq!(shown(line), line);
    }
}
