//! `lockstep.mgmtdomain.changed`: a management domain was added, updated or removed. The two devices that serve it are flagged, and
//! those that served it before an update (`docs/reference/sync-rules.md`). A message with the id of the domain says its whole content, which is
//! kept; the newest one counts, in whichever order they arrive. An older one still flags.

use lockstep_protocol::events::{MgmtdomainAction, MgmtdomainChanged};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code, Hostname, InterfaceAddress};
use lockstep_store::{Effects, Facts, Keys, ManagementDomain, ManagementDomainChange, Version};

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
        keys.management_domains.extend(self.id);
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
    let found = pairs(event)
        .map(|pair| devices(&pair, version, facts))
        .collect::<Result<Vec<_>, _>>()?;
    flagged.flag_all(found.iter().copied().flatten().flatten(), cause);
    let mut effects = Effects::default();
    if let Some(id) = event.id {
        let known = facts
            .management_domain(id)
            .filter(|row| row.version.as_ref() < Some(version));
        let before = known.and_then(|row| row.domain.as_ref());
        flagged.flag_all(before.into_iter().flat_map(|domain| &domain.devices), cause);
        let domain = match found.first() {
            Some([Some(a), Some(b)]) if event.action != MgmtdomainAction::Removed => {
                Some(content(event, id, [*a, *b]))
            }
            // It went with a device that was removed.
            _ => None,
        };
        effects.management_domains.push(ManagementDomainChange {
            id,
            domain,
            version: version.clone(),
        });
    }
    if flagged.devices.is_empty() {
        return Ok(Decision::ignored(IgnoredReason::Older, event.device_a.clone()));
    }
    effects.devices = flagged.effects;
    Ok(Decision::applied(effects, Scope::Devices, flagged.devices))
}

fn content(event: &MgmtdomainChanged, id: u64, devices: [&Hostname; 2]) -> ManagementDomain {
    let text = |address: &InterfaceAddress| address.as_str().to_owned();
    ManagementDomain {
        id,
        devices: devices.map(Clone::clone),
        addresses: [event.device_a_ip, event.device_b_ip],
        ipv4_gateway: event.ipv4_gw.as_ref().map(text),
        ipv6_gateway: event.ipv6_gw.as_ref().map(text),
        vlan: event.vlan,
        description: event.description.clone(),
        esi_mac: event.esi_mac.as_ref().map(|mac| mac.as_str().to_owned()),
    }
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

    fn with_content(action: &str, devices: [&str; 2], second: i64, vlan: u16) -> lockstep_protocol::Envelope {
        let [a, b] = devices;
        let data = json!({"action": action, "device_a": a, "device_b": b, "id": 4, "vlan": vlan, "ipv4_gw": "10.0.6.1/24",
            "device_a_ip": "10.0.6.2"});
        message(Kind::MgmtdomainChanged, second, &data)
    }

    #[test]
    fn the_content_of_the_newest_message_is_kept_and_older_ones_only_flag() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2]] {
            let messages = [
                with_content("added", ["d1", "d2"], 10, 1),
                with_content("removed", ["d1", "d2"], 20, 1),
                with_content("added", ["d2", "d3"], 30, 3),
            ];
            let mut facts = fleet();
            for index in order {
                process(&messages[index], &mut facts).unwrap();
            }
            let row = facts.management_domain(4).unwrap();
            let domain = row.domain.as_ref().unwrap();
            assert_eq!(domain.devices.clone().map(|name| name.to_string()), ["d2", "d3"]);
            assert_eq!(
                (domain.vlan, domain.ipv4_gateway.as_deref(), domain.addresses),
                (Some(3), Some("10.0.6.1/24"), ["10.0.6.2".parse().ok(), None])
            );
            for name in ["d1", "d2", "d3"] {
                assert!(!causes(&facts, name).is_empty(), "{order:?} {name}");
            }
        }
    }

    #[test]
    fn who_served_the_stored_domain_is_flagged_although_the_message_does_not_say_so() {
        let mut facts = fleet();
        process(&with_content("added", ["d1", "d2"], 10, 1), &mut facts).unwrap();
        let (_, flipped) = process(&with_content("updated", ["d3", "d2"], 20, 1), &mut facts).unwrap();
        assert_eq!(flipped, flips(&["d3"]));
        assert_eq!(
            causes(&facts, "d1"),
            [Cause::MgmtdomainCreated, Cause::MgmtdomainUpdated]
        );
    }

    #[test]
    fn a_message_without_an_id_keeps_nothing() {
        let mut facts = fleet();
        let (decision, _) = process(&changed("added", "d1", "d2", &Value::Null), &mut facts).unwrap();
        assert!(decision.effects.management_domains.is_empty());
    }

    #[test]
    fn a_domain_goes_with_a_device_that_was_removed_later() {
        let mut facts = facts([device("d1", |_| ())]);
        facts.add_former_hostname(removed("d2", 20));
        process(&with_content("added", ["d1", "d2"], 10, 1), &mut facts).unwrap();
        let row = facts.management_domain(4).unwrap();
        assert!(row.domain.is_none() && row.version.is_some());
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
