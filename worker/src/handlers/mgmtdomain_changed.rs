//! `lockstep.mgmtdomain.changed`: a management domain was added, updated or removed. The two devices that serve it are flagged, and
//! those that served it before an update (`docs/sync-rules.md`).

use lockstep_protocol::events::{MgmtdomainAction, MgmtdomainChanged};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code, Hostname};
use lockstep_store::{Effects, Facts, Keys, Version};

use super::event_device::device_of_event;
use super::flagged::Flagged;
use super::{Decision, Handler, HandlerContext, Rejection};

impl Handler for MgmtdomainChanged {
    fn keys(&self, keys: &mut Keys) {
        for pair in pairs(self) {
            for hostname in pair.devices {
                keys.add_device_of_event(hostname);
            }
        }
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, &context.version(), facts)
    }
}

/// The two devices that serve the domain, or served it.
struct Pair<'a> {
    place: &'static str,
    devices: [&'a Hostname; 2],
}

fn pairs(event: &MgmtdomainChanged) -> impl Iterator<Item = Pair<'_>> {
    let now = Pair {
        place: "$.data",
        devices: [&event.device_a, &event.device_b],
    };
    let before = event.previous.as_ref().map(|previous| Pair {
        place: "$.data.previous",
        devices: [&previous.device_a, &previous.device_b],
    });
    [now].into_iter().chain(before)
}

fn decide(event: &MgmtdomainChanged, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let cause = match event.action {
        MgmtdomainAction::Added => Cause::MgmtdomainCreated,
        MgmtdomainAction::Updated => Cause::MgmtdomainUpdated,
        MgmtdomainAction::Removed => Cause::MgmtdomainDeleted,
    };
    if event.previous.is_some() && event.action != MgmtdomainAction::Updated {
        let reason = "only a management domain that was updated has previous devices; leave them out, or set action to updated";
        return Err(Rejection::new(Code::InvalidData, "$.data.previous", reason));
    }
    let mut flagged = Flagged::default();
    for pair in pairs(event) {
        for hostname in devices(&pair, version, facts)?.into_iter().flatten() {
            flagged.flag(hostname, cause);
        }
    }
    if flagged.devices.is_empty() {
        return Ok(Decision::ignored(IgnoredReason::Older, event.device_a.clone()));
    }
    let effects = Effects {
        devices: flagged.effects,
        ..Effects::default()
    };
    Ok(Decision::applied(effects, Scope::Devices, flagged.devices))
}

/// The present names of both devices; `None` for one that was removed since.
fn devices<'a>(
    pair: &Pair<'_>,
    version: &Version,
    facts: &'a Facts,
) -> Result<[Option<&'a Hostname>; 2], Rejection> {
    let [a, b] = pair.devices;
    let place = pair.place;
    let find = |hostname, field| {
        let row = device_of_event(hostname, version, facts, format!("{place}.{field}"))?;
        Ok(row.map(|row| &row.hostname))
    };
    let found = [find(a, "device_a")?, find(b, "device_b")?];
    if a == b || matches!(found, [Some(a), Some(b)] if a == b) {
        let reason = format!("{a} is named twice; two devices serve a management domain");
        return Err(Rejection::new(
            Code::InvalidData,
            format!("{place}.device_b"),
            reason,
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use serde_json::{Value, json};

    use super::super::fixtures::{causes, device, facts, flips, message, process, removed};
    use super::*;

    fn fleet() -> Facts {
        facts(["d1", "d2", "d3"].map(|name| device(name, |_| ())))
    }

    fn changed(action: &str, a: &str, b: &str, previous: &Value) -> lockstep_protocol::Envelope {
        let data = json!({"action": action, "device_a": a, "device_b": b, "previous": previous});
        message(Kind::MgmtdomainChanged, 10, &data)
    }

    #[test]
    fn each_action_flags_both_devices_with_its_cause() {
        for (action, cause) in [
            ("added", Cause::MgmtdomainCreated),
            ("updated", Cause::MgmtdomainUpdated),
            ("removed", Cause::MgmtdomainDeleted),
        ] {
            let mut facts = fleet();
            let (_, flipped) = process(&changed(action, "d1", "d2", &Value::Null), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["d1", "d2"]), "{action}");
            assert_eq!(
                (causes(&facts, "d1"), causes(&facts, "d2")),
                (vec![cause], vec![cause])
            );
        }
    }

    #[test]
    fn an_update_flags_the_devices_before_it_too() {
        let mut facts = fleet();
        let previous = json!({"device_a": "d1", "device_b": "d3"});
        let (_, flipped) = process(&changed("updated", "d1", "d2", &previous), &mut facts).unwrap();
        assert_eq!(flipped, flips(&["d1", "d2", "d3"]));
        assert_eq!(causes(&facts, "d1"), [Cause::MgmtdomainUpdated], "once");
    }

    #[test]
    fn a_device_that_was_removed_later_leaves_the_other_one_flagged() {
        let mut facts = facts([device("d1", |_| ())]);
        facts.add_former_hostname(removed("d2", 20));
        let (_, flipped) = process(&changed("added", "d1", "d2", &Value::Null), &mut facts).unwrap();
        assert_eq!(flipped, flips(&["d1"]));
    }

    #[test]
    fn bad_domains_are_rejected_with_their_place_and_flag_nothing() {
        let table = [
            (
                changed("added", "d1", "d9", &Value::Null),
                Code::UnknownDevice,
                "$.data.device_b",
            ),
            (
                changed("added", "d9", "d1", &Value::Null),
                Code::UnknownDevice,
                "$.data.device_a",
            ),
            (
                changed("added", "d1", "d1", &Value::Null),
                Code::InvalidData,
                "$.data.device_b",
            ),
            (
                changed(
                    "updated",
                    "d1",
                    "d2",
                    &json!({"device_a": "d3", "device_b": "d9"}),
                ),
                Code::UnknownDevice,
                "$.data.previous.device_b",
            ),
            (
                changed(
                    "updated",
                    "d1",
                    "d2",
                    &json!({"device_a": "d3", "device_b": "d3"}),
                ),
                Code::InvalidData,
                "$.data.previous.device_b",
            ),
            (
                changed(
                    "removed",
                    "d1",
                    "d2",
                    &json!({"device_a": "d1", "device_b": "d3"}),
                ),
                Code::InvalidData,
                "$.data.previous",
            ),
        ];
        for (envelope, code, place) in table {
            let mut facts = fleet();
            let rejection = process(&envelope, &mut facts).unwrap_err();
            assert_eq!((rejection.code, rejection.place.as_str()), (code, place));
            assert_eq!(facts, fleet());
        }
    }
}
