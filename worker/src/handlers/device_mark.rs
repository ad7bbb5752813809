//! `lockstep.device.mark-requested`: an operator marks a device as synchronized or unsynchronized, whatever its state, as the device API
//! of CNaaS does (`docs/reference/sync-rules.md`).
//!
//! Marking as synchronized is bound to the generation that the operator looked at, so it never closes a cause that came later.

use lockstep_protocol::commands::DeviceMarkRequested;
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code};
use lockstep_store::{CauseRow, DeviceEffect, DeviceRow, Effects, Facts, Keys};

use super::device_state::known;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection};

/// The most newer causes that a rejection names.
const MOST_NAMED: usize = 5;

impl Handler for DeviceMarkRequested {
    fn keys(&self, keys: &mut Keys) {
        keys.hostnames.insert(self.hostname.clone());
        keys.causes_of.insert(self.hostname.clone());
    }

    fn decide(&self, _: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, facts)
    }
}

fn decide(command: &DeviceMarkRequested, facts: &Facts) -> Result<Decision, Rejection> {
    let row = known(&command.hostname, facts)?;
    let hostname = || command.hostname.clone();
    let applied = EventAppliedDraft::applied(Scope::Device, [hostname()]);
    let (effect, draft) = if command.synchronized {
        check_generation(command, row, facts)?;
        if row.sync.synchronized() {
            return Ok(Decision {
                effects: Effects::default(),
                result: EventAppliedDraft::ignored(IgnoredReason::Unchanged, hostname()).into(),
            });
        }
        let draft = EventAppliedDraft {
            marked: [hostname()].into(),
            ..applied
        };
        (DeviceEffect::Synchronize { hostname: hostname() }, draft)
    } else {
        let effect = DeviceEffect::Unsynchronize {
            hostname: hostname(),
            cause: Cause::MarkedUnsynchronized,
        };
        (effect, applied)
    };
    Ok(Decision {
        effects: Effects {
            devices: vec![effect],
            note: command.note.clone(),
            ..Effects::default()
        },
        result: draft.into(),
    })
}

/// Rejects unless the operator looked at the newest generation.
fn check_generation(command: &DeviceMarkRequested, row: &DeviceRow, facts: &Facts) -> Result<(), Rejection> {
    let hostname = &command.hostname;
    let place = "$.data.generation";
    let Some(generation) = command.generation else {
        let reason = format!(
            "to mark {hostname} as synchronized, name the desired_generation that you looked at; `lockstep devices mark` does so"
        );
        return Err(Rejection::new(Code::InvalidData, place, reason));
    };
    let newer = row.sync.desired.saturating_sub(generation);
    match newer {
        0 => Ok(()),
        ..0 => {
            let reason = format!(
                "{hostname} has generation {}, and {generation} is none that it had",
                row.sync.desired
            );
            Err(Rejection::new(Code::InvalidData, place, reason))
        }
        1.. => {
            let causes = if newer == 1 { "cause" } else { "causes" };
            let reason = format!(
                "{hostname} got {newer} newer {causes} since generation {generation}{}; look at it again",
                named(&facts.open_causes(hostname), newer)
            );
            Err(Rejection::new(Code::GenerationChanged, place, reason))
        }
    }
}

/// The newest causes, in words. Fewer are open than there were if others closed them meanwhile.
fn named(open: &[CauseRow], newer: i64) -> String {
    let newer = usize::try_from(newer).unwrap_or(usize::MAX).min(open.len());
    let newest = &open[open.len() - newer..];
    if newest.is_empty() {
        return String::new();
    }
    let name = |cause: &CauseRow| {
        let by = cause.actor.as_deref().unwrap_or("an unknown sender");
        format!("{} by {by} at {:.0}", cause.cause, cause.at)
    };
    let mut names: Vec<String> = newest.iter().take(MOST_NAMED).map(name).collect();
    if newest.len() > MOST_NAMED {
        names.push(format!("{} more", newest.len() - MOST_NAMED));
    }
    format!(": {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{DeviceState, Envelope, Identity, Kind, MessageId, Source};
    use serde_json::{Value, json};

    use super::super::fixtures::{at, device, facts, flips, hostname, message, process};
    use super::*;

    fn mark(data: Value) -> Envelope {
        let mut data = data;
        data["hostname"] = json!("sw1");
        message(Kind::DeviceMarkRequested, 10, &data)
    }

    fn open_cause(name: &str, actor: Option<&str>, second: i64) -> CauseRow {
        CauseRow {
            cause: name.to_owned(),
            identity: Identity {
                source: Source::try_from("urn:test".to_owned()).unwrap(),
                id: MessageId::try_from(format!("{second}")).unwrap(),
            },
            kind: "lockstep.test".to_owned(),
            actor: actor.map(str::to_owned),
            at: at(second),
            note: None,
            detail: None,
        }
    }

    /// Generation 4, of which the device has 1.
    fn unsynchronized(state: DeviceState) -> Facts {
        let mut facts = facts([device("sw1", |row| {
            row.lifecycle.state = state;
            row.sync.desired = 4;
        })]);
        for (index, actor) in [None, Some("anna"), Some("netbox")].into_iter().enumerate() {
            let second = i64::try_from(index).unwrap();
            facts.add_open_cause(hostname("sw1"), open_cause("interface_updated", actor, second));
        }
        facts
    }

    #[test]
    fn a_device_is_marked_whatever_its_state() {
        let table = [
            (
                json!({"synchronized": true, "generation": 4, "note": "looked"}),
                true,
                4,
            ),
            (json!({"note": "changed by hand"}), false, 5),
            (json!({"synchronized": false, "generation": 1}), false, 5),
        ];
        for (data, synchronized, desired) in table {
            for state in [DeviceState::Managed, DeviceState::Unmanaged, DeviceState::Init] {
                let mut facts = unsynchronized(state);
                let (decision, flipped) = process(&mark(data.clone()), &mut facts).unwrap();
                let row = facts.device(&hostname("sw1")).unwrap();
                assert_eq!(
                    (row.sync.synchronized(), row.sync.desired),
                    (synchronized, desired),
                    "{data}"
                );
                assert_eq!(row.lifecycle.state, state);
                let changed = if synchronized { flips(&["sw1"]) } else { flips(&[]) };
                assert_eq!(
                    (&flipped, &decision.event_applied().marked),
                    (&changed, &changed),
                    "{data}"
                );
                let note = data["note"].as_str().map(str::to_owned);
                if synchronized {
                    assert_eq!(facts.open_causes(&hostname("sw1")), []);
                    assert_eq!(row.marked.as_ref().unwrap().note, note);
                } else {
                    let newest = facts.open_causes(&hostname("sw1")).pop().unwrap();
                    assert_eq!(
                        (newest.cause.as_str(), newest.note),
                        ("marked_unsynchronized", note)
                    );
                    assert_eq!(row.marked, None);
                }
            }
        }
    }

    #[test]
    fn a_synchronized_device_is_synchronized_already() {
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, _) =
            process(&mark(json!({"synchronized": true, "generation": 1})), &mut facts).unwrap();
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Unchanged));
        assert_eq!(facts.device(&hostname("sw1")).unwrap().marked, None);
    }

    #[test]
    fn what_the_operator_did_not_see_is_not_closed() {
        let generation_place = "$.data.generation";
        let table = [
            (
                json!({"generation": 2}),
                Code::GenerationChanged,
                "sw1 got 2 newer causes since generation 2: interface_updated by anna at 1970-01-01T00:00:01Z, \
                 interface_updated by netbox at 1970-01-01T00:00:02Z; look at it again",
            ),
            (
                json!({"generation": 3}),
                Code::GenerationChanged,
                "sw1 got 1 newer cause since generation 3: interface_updated by netbox at 1970-01-01T00:00:02Z; look at it again",
            ),
            (
                json!({"generation": 5}),
                Code::InvalidData,
                "sw1 has generation 4, and 5 is none that it had",
            ),
            (
                json!({}),
                Code::InvalidData,
                "to mark sw1 as synchronized, name the desired_generation that you looked at; `lockstep devices mark` does so",
            ),
        ];
        for (mut data, code, reason) in table {
            data["synchronized"] = json!(true);
            let mut facts = unsynchronized(DeviceState::Managed);
            let rejection = process(&mark(data.clone()), &mut facts).unwrap_err();
            assert_eq!(
                (
                    rejection.code,
                    rejection.place.as_str(),
                    rejection.reason.as_str()
                ),
                (code, generation_place, reason),
                "{data}"
            );
        }
    }

    #[test]
    fn causes_of_the_same_batch_are_newer_too_and_many_are_counted() {
        let mut facts = unsynchronized(DeviceState::Managed);
        for _ in 0..4 {
            process(&mark(json!({})), &mut facts).unwrap();
        }
        let late = mark(json!({"synchronized": true, "generation": 1}));
        let reason = process(&late, &mut facts).unwrap_err().reason;
        assert!(
            reason.starts_with("sw1 got 7 newer causes since generation 1: "),
            "{reason}"
        );
        assert!(
            reason.contains("interface_updated by an unknown sender at"),
            "{reason}"
        );
        assert!(reason.contains("marked_unsynchronized"), "{reason}");
        assert!(reason.ends_with(", 2 more; look at it again"), "{reason}");
    }

    #[test]
    fn an_unknown_hostname_is_rejected_and_another_spelling_is_proposed() {
        let mut facts = facts([]);
        facts.add_spelling(hostname("SW1"));
        let rejection = process(&mark(json!({})), &mut facts).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::UnknownDevice, "$.data.hostname")
        );
        assert!(
            rejection.reason.contains("did you mean SW1?"),
            "{}",
            rejection.reason
        );
    }
}
