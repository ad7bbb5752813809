//! Which devices a sync run contacts (`docs/reference/groups.md`).

use std::fmt;

use lockstep_protocol::{DeviceState, SyncTarget};

/// Why a device of the target is not contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// Only MANAGED devices are contacted; this one is in another state.
    State(DeviceState),
    /// It is synchronized.
    Synchronized,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "state {state}"),
            Self::Synchronized => f.write_str("synchronized"),
        }
    }
}

/// Whether a sync run contacts a device of its target. `resync` contacts synchronized devices, too; so does naming a single device.
///
/// # Errors
/// Why the device is skipped.
pub fn selects(
    target: &SyncTarget,
    resync: bool,
    state: DeviceState,
    synchronized: bool,
) -> Result<(), SkipReason> {
    if state != DeviceState::Managed {
        return Err(SkipReason::State(state));
    }
    let whatever_its_flag = resync || matches!(target, SyncTarget::Hostname(_));
    if synchronized && !whatever_its_flag {
        return Err(SkipReason::Synchronized);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::DeviceType;

    use super::*;

    #[test]
    fn managed_devices_are_selected_by_flag_target_and_resync() {
        let targets = [
            SyncTarget::All,
            SyncTarget::DeviceType(DeviceType::ACCESS),
            SyncTarget::Group("EDGE".to_owned().try_into().unwrap()),
            SyncTarget::Hostname("sw1".parse().unwrap()),
        ];
        let skipped = "synchronized";
        // Target, resync, synchronized: the reason to skip a MANAGED device, or nothing.
        let table = [
            (0, false, false, ""),
            (0, false, true, skipped),
            (0, true, false, ""),
            (0, true, true, ""),
            (1, false, false, ""),
            (1, false, true, skipped),
            (1, true, false, ""),
            (1, true, true, ""),
            (2, false, false, ""),
            (2, false, true, skipped),
            (2, true, false, ""),
            (2, true, true, ""),
            (3, false, false, ""),
            (3, false, true, ""),
            (3, true, false, ""),
            (3, true, true, ""),
        ];
        for (target, resync, synchronized, expected) in table {
            let target = &targets[target];
            for state in DeviceState::ALL.iter().copied() {
                let expected = match state {
                    DeviceState::Managed => expected.to_owned(),
                    other => format!("state {other}"),
                };
                let answer = selects(target, resync, state, synchronized);
                let reason = answer.err().map(|reason| reason.to_string());
                let case = (target, resync, state, synchronized);
                assert_eq!(reason.unwrap_or_default(), expected, "{case:?}");
            }
        }
    }
}
