//! `lockstep.device.state-changed` and `lockstep.device.state-requested`: a device moves to another state.
//!
//! A move to UNMANAGED makes a device unsynchronized, and the move back does not make it synchronized
//! (`docs/reference/sync-rules.md`). An event that is older than the last one applied never writes its state, but it still flags the
//! device, as it would have if the events had come in order.

use jiff::Timestamp;
use lockstep_protocol::commands::DeviceStateRequested;
use lockstep_protocol::events::{DeviceStateChanged, ImportedDevice};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, DeviceState, Hostname};

use super::event_device::device_of_event;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection};
use lockstep_store::{DeviceEffect, DeviceRow, Effects, Facts, Keys, Version};

impl Handler for DeviceStateChanged {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        changed(self, &context.version(), facts)
    }
}

impl Handler for DeviceStateRequested {
    fn keys(&self, keys: &mut Keys) {
        keys.hostnames.insert(self.hostname.clone());
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        requested(self, &context.version(), facts)
    }
}

/// The event: the device is already in the state.
fn changed(event: &DeviceStateChanged, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let Some(row) = device_of_event(&event.hostname, version, facts, "$.data.hostname")? else {
        return Ok(Decision::ignored(IgnoredReason::Older, event.hostname.clone()));
    };
    let effects = move_effects(row, event.state, version);
    let ignored = if is_older(row, version) {
        Some(IgnoredReason::Older)
    } else if row.lifecycle.state == event.state {
        Some(IgnoredReason::Unchanged)
    } else {
        None
    };
    // An older event that flags has an effect, although its state is not written.
    let flags = effects
        .iter()
        .any(|effect| matches!(effect, DeviceEffect::Unsynchronize { .. }));
    let draft = match ignored {
        Some(reason) if !flags => EventAppliedDraft::ignored(reason, row.hostname.clone()),
        _ => EventAppliedDraft::applied(Scope::Device, [row.hostname.clone()]),
    };
    Ok(Decision {
        effects: Effects {
            devices: effects,
            ..Effects::default()
        },
        result: draft.into(),
    })
}

/// The command: an operator wants the device in the state, with a note for other operators.
fn requested(
    command: &DeviceStateRequested,
    version: &Version,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let row = known(&command.hostname, facts)?;
    let lifecycle = &row.lifecycle;
    let same_note = lifecycle.note == command.note && lifecycle.until == command.until;
    if lifecycle.state == command.state && same_note {
        let draft = EventAppliedDraft::ignored(IgnoredReason::Unchanged, command.hostname.clone());
        return Ok(Decision {
            effects: Effects::default(),
            result: draft.into(),
        });
    }
    let mut effects = unmanage_effects(row, command.state);
    effects.push(DeviceEffect::Move {
        hostname: command.hostname.clone(),
        state: command.state,
        note: command.note.clone(),
        until: command.until,
        version: Some(version.clone()),
    });
    let draft = EventAppliedDraft::applied(Scope::Device, [command.hostname.clone()]);
    Ok(Decision {
        effects: Effects {
            devices: effects,
            ..Effects::default()
        },
        result: draft.into(),
    })
}

/// The effects of an event with a state on a known device.
pub(super) fn move_effects(row: &DeviceRow, state: DeviceState, version: &Version) -> Vec<DeviceEffect> {
    if is_older(row, version) {
        let was_left = state == DeviceState::Unmanaged && row.lifecycle.state != DeviceState::Unmanaged;
        // It was in another state in between, so it moved to UNMANAGED after this, which was taken for no move.
        let was_entered = state != DeviceState::Unmanaged
            && row.lifecycle.state == DeviceState::Unmanaged
            && row.sync.synchronized();
        return if was_left || was_entered {
            vec![unsynchronize(row)]
        } else {
            Vec::new()
        };
    }
    let mut effects = unmanage_effects(row, state);
    let moves = row.lifecycle.state != state;
    effects.push(DeviceEffect::Move {
        hostname: row.hostname.clone(),
        state,
        // A note is about the state it was written for.
        note: row.lifecycle.note.clone().filter(|_| !moves),
        until: row.lifecycle.until.filter(|_| !moves),
        version: Some(version.clone()),
    });
    effects
}

/// The effects of an inventory with a state, a note or an end on a known device. What it does not say stays; another state has its
/// own note and end.
pub(super) fn inventoried_state_effects(
    device: &ImportedDevice,
    row: &DeviceRow,
    version: &Version,
) -> Vec<DeviceEffect> {
    let known = &row.lifecycle;
    let state = device.state.unwrap_or(known.state);
    let moves = state != known.state;
    let note = device
        .note
        .clone()
        .or_else(|| known.note.clone().filter(|_| !moves));
    // Stores keep microseconds, so a more precise end is the same when it is imported again.
    let until = device
        .until
        .map(|until| Timestamp::from_microsecond(until.as_microsecond()).unwrap_or(until));
    let until = until.or(known.until.filter(|_| !moves));
    if !moves && note == known.note && until == known.until {
        return Vec::new();
    }
    let mut effects = move_effects(row, state, version);
    for effect in &mut effects {
        if let DeviceEffect::Move {
            note: new_note,
            until: new_until,
            ..
        } = effect
        {
            (*new_note, *new_until) = (note.clone(), until);
        }
    }
    effects
}

/// The effects of a move to UNMANAGED on the flag: earlier causes are closed, and this one is added.
fn unmanage_effects(row: &DeviceRow, state: DeviceState) -> Vec<DeviceEffect> {
    let leaves = state == DeviceState::Unmanaged && row.lifecycle.state != DeviceState::Unmanaged;
    if !leaves {
        return Vec::new();
    }
    vec![
        DeviceEffect::ForgetCauses {
            hostname: row.hostname.clone(),
        },
        unsynchronize(row),
    ]
}

fn unsynchronize(row: &DeviceRow) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: row.hostname.clone(),
        cause: Cause::WasUnmanaged,
    }
}

/// Whether a newer message has set the state of the device.
pub(super) fn is_older(row: &DeviceRow, version: &Version) -> bool {
    row.lifecycle.version.as_ref().is_some_and(|last| last >= version)
}

/// The device that a command names: by its present name.
pub(super) fn known<'a>(hostname: &Hostname, facts: &'a Facts) -> Result<&'a DeviceRow, Rejection> {
    facts
        .device(hostname)
        .ok_or_else(|| Rejection::unknown_device(hostname, facts, "$.data.hostname"))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Code, Envelope, Kind};
    use serde_json::json;

    use super::super::fixtures::{at, device, facts, flips, hostname, message, process, version};
    use super::*;

    fn event(second: i64, state: &str) -> Envelope {
        message(
            Kind::DeviceStateChanged,
            second,
            &json!({"hostname": "sw1", "state": state}),
        )
    }

    fn command(second: i64, state: &str, note: Option<&str>) -> Envelope {
        let data = json!({"hostname": "sw1", "state": state, "note": note});
        message(Kind::DeviceStateRequested, second, &data)
    }

    #[test]
    fn a_move_changes_state_and_flag() {
        use DeviceState::{Discovered, Init, Managed, Unmanaged};
        let table = [
            // from, synchronized before, to, synchronized after, what was ignored
            (Managed, true, "UNMANAGED", false, None),
            (Managed, false, "UNMANAGED", false, None),
            (Unmanaged, false, "MANAGED", false, None),
            (
                Unmanaged,
                false,
                "UNMANAGED",
                false,
                Some(IgnoredReason::Unchanged),
            ),
            (Discovered, true, "INIT", true, None),
            (Init, true, "MANAGED", true, None),
            (Discovered, true, "UNMANAGED", false, None),
            (Managed, true, "MANAGED", true, Some(IgnoredReason::Unchanged)),
        ];
        for (from, before, to, after, ignored) in table {
            for envelope in [event(10, to), command(10, to, None)] {
                let mut facts = facts([device("sw1", |row| {
                    row.lifecycle.state = from;
                    row.sync.desired = if before { 1 } else { 2 };
                })]);
                let (decision, flipped) = process(&envelope, &mut facts).unwrap();
                let row = facts.device(&hostname("sw1")).unwrap();
                let case = format!("{from} {before} {to} by {}", envelope.message.kind());
                assert_eq!(row.lifecycle.state.as_str(), to, "{case}");
                assert_eq!(row.sync.synchronized(), after, "{case}");
                assert_eq!(decision.event_applied().ignored, ignored, "{case}");
                assert_eq!(
                    flipped,
                    if before == after {
                        flips(&[])
                    } else {
                        flips(&["sw1"])
                    },
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn a_return_to_managed_resets_since_when_the_device_is_unsynchronized() {
        let mut facts = facts([device("sw1", |row| {
            row.lifecycle.state = DeviceState::Unmanaged;
            row.sync.desired = 2;
            row.sync.since = Some(at(3));
        })]);
        process(&event(10, "MANAGED"), &mut facts).unwrap();
        assert_eq!(
            facts.device(&hostname("sw1")).unwrap().sync.since,
            Some(at(1_000_000))
        );
    }

    #[test]
    fn an_older_event_never_writes_its_state() {
        let initial = || {
            facts([device("sw1", |row| {
                row.lifecycle.state = DeviceState::Managed;
                row.lifecycle.version = Some(version(20));
            })])
        };
        let mut facts = initial();
        let (decision, _) = process(&event(10, "INIT"), &mut facts).unwrap();
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Older));
        assert_eq!(facts, initial());
    }

    #[test]
    fn an_older_move_to_unmanaged_still_flags_the_device() {
        let mut late = facts([device("sw1", |row| row.lifecycle.version = Some(version(1)))]);
        let mut in_order = late.clone();
        for (facts, seconds) in [(&mut late, [20, 10]), (&mut in_order, [10, 20])] {
            for second in seconds {
                let state = if second == 10 { "UNMANAGED" } else { "MANAGED" };
                process(&event(second, state), facts).unwrap();
            }
        }
        for facts in [late, in_order] {
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(row.lifecycle.state, DeviceState::Managed);
            assert!(!row.sync.synchronized());
        }
    }

    #[test]
    fn a_command_is_applied_even_if_it_is_older_than_the_last_event() {
        let mut facts = facts([device("sw1", |row| row.lifecycle.version = Some(version(20)))]);
        let (decision, _) = process(&command(10, "UNMANAGED", Some("fibre cut")), &mut facts).unwrap();
        assert_eq!(decision.event_applied().ignored, None);
        let row = facts.device(&hostname("sw1")).unwrap();
        assert_eq!(row.lifecycle.state, DeviceState::Unmanaged);
        assert_eq!(row.lifecycle.note.as_deref(), Some("fibre cut"));
    }

    #[test]
    fn a_new_note_alone_is_a_change_and_another_state_removes_the_note() {
        let mut facts = facts([device("sw1", |row| row.lifecycle.state = DeviceState::Unmanaged)]);
        let (decision, flipped) =
            process(&command(10, "UNMANAGED", Some("until friday")), &mut facts).unwrap();
        assert_eq!((decision.event_applied().ignored, flipped), (None, flips(&[])));
        process(&event(20, "MANAGED"), &mut facts).unwrap();
        assert_eq!(facts.device(&hostname("sw1")).unwrap().lifecycle.note, None);
    }

    #[test]
    fn a_move_to_unmanaged_closes_earlier_causes() {
        let mut facts = facts([device("sw1", |row| row.sync.desired = 2)]);
        process(&event(10, "UNMANAGED"), &mut facts).unwrap();
        let row = facts.device(&hostname("sw1")).unwrap();
        assert!(row.forgets_causes);
        let causes: Vec<Cause> = row
            .causes
            .iter()
            .map(|index| facts.new_causes()[*index].cause)
            .collect();
        assert_eq!(causes, [Cause::WasUnmanaged]);
    }

    #[test]
    fn an_unknown_hostname_is_rejected() {
        for envelope in [event(10, "MANAGED"), command(10, "MANAGED", None)] {
            let rejection = process(&envelope, &mut facts([])).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.place.as_str()),
                (Code::UnknownDevice, "$.data.hostname")
            );
        }
    }
}
