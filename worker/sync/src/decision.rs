//! What a run does next: the decisions that need no device. Pure.

use lockstep_protocol::{Cause, DeviceState};
use lockstep_store::{SyncBinding, SyncIntent, SyncedDevice};

/// Why a device is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftAlone {
    /// It is not MANAGED any more.
    NotManaged,
    /// It has a newer configuration already.
    Superseded,
    /// It has had newer causes since the plan was made.
    GenerationChanged,
}

impl LeftAlone {
    /// Why: a word for programs.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotManaged => "not-managed",
            Self::Superseded => "superseded",
            Self::GenerationChanged => "generation-changed",
        }
    }
}

/// Whether a device is left alone. A plan is for the generation that was looked at; anything else must not be older than what the device
/// has. A way back is for a configuration that is older by intent.
pub(crate) fn left_alone(binding: &SyncBinding, device: &SyncedDevice) -> Option<LeftAlone> {
    if device.state != DeviceState::Managed {
        return Some(LeftAlone::NotManaged);
    }
    if binding.approved.is_some() && device.sync.desired != binding.generation {
        return Some(LeftAlone::GenerationChanged);
    }
    if binding.restores.is_none() && device.sync.synced > binding.generation {
        return Some(LeftAlone::Superseded);
    }
    None
}

/// What an earlier run, which did not come to its end, left on a device without a pending commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// What it pushed: it was confirmed.
    Confirmed,
    /// What was there before, or something else: it was not committed, or it was rolled back.
    RolledBack,
}

/// What is left of an intent, by the hash of the running configuration.
pub(crate) fn left_of(intent: &SyncIntent, running: &str) -> Left {
    if intent.configuration_hash.as_deref() == Some(running) {
        Left::Confirmed
    } else {
        Left::RolledBack
    }
}

/// Whether the running configuration was changed outside of Lockstep, by its hash and the stored one. Without a stored one, nobody knows.
pub(crate) fn has_drifted(stored: Option<&str>, running: &str) -> bool {
    stored.is_some_and(|stored| stored != running)
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It waits for its confirmation.
    Waiting,
    /// It was confirmed.
    Confirmed,
    /// It was rolled back.
    RolledBack,
    /// Something else runs than before the commit and after it.
    Replaced,
}

/// What became of a commit, by what the device shows now: whether the timer of its session is pending, and the hash of its running
/// configuration.
pub(crate) fn committed(timer_is_pending: bool, running: &str, before: &str, pushed: &str) -> Committed {
    match running {
        _ if timer_is_pending => Committed::Waiting,
        hash if hash == pushed => Committed::Confirmed,
        hash if hash == before => Committed::RolledBack,
        _ => Committed::Replaced,
    }
}

/// Why a device is flagged after its run failed. `None` if the run found out nothing about it.
pub(crate) fn cause_of_failure(committed: bool, drifted: bool, differs: bool) -> Option<Cause> {
    match (committed, drifted, differs) {
        (true, ..) => Some(Cause::CommitConfirmFailed),
        (false, true, _) => Some(Cause::Confighash),
        (false, false, true) => Some(Cause::SynctoDryrun),
        (false, false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_store::{DeviceId, SyncState};

    use super::*;

    fn binding(generation: i64) -> SyncBinding {
        SyncBinding {
            element: 1,
            execution: 1,
            device: DeviceId(1),
            generation,
            settings: None,
            templates: None,
            approved: None,
            restores: None,
        }
    }

    fn device(desired: i64, synced: i64) -> SyncedDevice {
        SyncedDevice {
            hostname: "leaf1".parse().unwrap(),
            state: DeviceState::Managed,
            sync: SyncState {
                desired,
                synced,
                since: None,
            },
            configuration_hash: None,
            intent: None,
        }
    }

    #[test]
    fn an_old_generation_is_left_alone_and_a_plan_fits_only_its_own() {
        use LeftAlone::{GenerationChanged, Superseded};
        let plan = |generation| SyncBinding {
            approved: Some("hash".to_owned()),
            ..binding(generation)
        };
        let back = |generation| SyncBinding {
            restores: Some(7),
            ..binding(generation)
        };
        let plan_back = |generation| SyncBinding {
            approved: Some("hash".to_owned()),
            ..back(generation)
        };
        let table = [
            // binding, desired, synced
            (binding(5), 5, 3, None),
            (binding(5), 5, 5, None),
            (binding(5), 8, 3, None),
            (binding(5), 8, 5, None),
            (binding(5), 8, 6, Some(Superseded)),
            (plan(5), 5, 3, None),
            (plan(5), 5, 5, None),
            (plan(5), 6, 3, Some(GenerationChanged)),
            (plan(5), 6, 6, Some(GenerationChanged)),
            (back(5), 6, 6, None),
            (plan_back(5), 5, 5, None),
            (plan_back(5), 6, 5, Some(GenerationChanged)),
        ];
        for (binding, desired, synced, expected) in table {
            let found = left_alone(&binding, &device(desired, synced));
            assert_eq!(found, expected, "{binding:?} {desired} {synced}");
        }
        let unmanaged = SyncedDevice {
            state: DeviceState::Unmanaged,
            ..device(9, 9)
        };
        assert_eq!(left_alone(&plan(5), &unmanaged), Some(LeftAlone::NotManaged));
    }

    #[test]
    fn an_intent_was_confirmed_if_the_device_runs_what_it_read_back() {
        let intent = |hash: Option<&str>| SyncIntent {
            element: 1,
            session: "lockstep-1-1-1".to_owned(),
            generation: 5,
            configuration_hash: hash.map(str::to_owned),
            at: Timestamp::UNIX_EPOCH,
        };
        let table = [
            (Some("new"), "new", Left::Confirmed),
            (Some("new"), "old", Left::RolledBack),
            (None, "new", Left::RolledBack),
        ];
        for (hash, running, expected) in table {
            assert_eq!(left_of(&intent(hash), running), expected, "{hash:?} {running}");
        }
    }

    #[test]
    fn a_configuration_drifted_if_it_is_not_the_stored_one() {
        let table = [(None, false), (Some("same"), false), (Some("other"), true)];
        for (stored, expected) in table {
            assert_eq!(has_drifted(stored, "same"), expected, "{stored:?}");
        }
    }

    #[test]
    fn what_became_of_a_commit_is_seen_on_the_device() {
        let table = [
            (true, "new", Committed::Waiting),
            (true, "old", Committed::Waiting),
            (false, "new", Committed::Confirmed),
            (false, "old", Committed::RolledBack),
            (false, "third", Committed::Replaced),
        ];
        for (timer, running, expected) in table {
            assert_eq!(
                committed(timer, running, "old", "new"),
                expected,
                "{timer} {running}"
            );
        }
    }
}
