use lockstep_protocol::{Envelope, Kind};
use lockstep_store::LinkEnd;
use serde_json::{Value, json};

use super::super::fixtures::{
    causes, device, facts, flips, hostname, link, message, process, removed, version,
};
use super::*;

/// sw1 with a link to core1, and dist1 names it in the configuration of an interface.
fn fleet() -> Facts {
    let mut facts = facts(["sw1", "core1", "dist1", "far1"].map(|name| device(name, |_| ())));
    for name in ["sw1", "core1", "dist1", "far1"] {
        facts.add_spelling(hostname(name));
    }
    facts.add_link(link(("sw1", "Ethernet1"), ("core1", "Ethernet9")), true, None);
    facts.add_neighbor_by_configuration(hostname("sw1"), hostname("dist1"));
    facts.add_neighbor_by_configuration(hostname("sw1"), hostname("core1"));
    facts
}

fn with_removed(name: &str) -> Facts {
    let mut facts = fleet();
    facts.add_former_hostname(removed(name, 20));
    facts
}

fn event(from: &str, to: &str, second: i64) -> Envelope {
    let data = json!({"hostname": from, "new_hostname": to});
    message(Kind::DeviceRenamed, second, &data)
}

fn command(from: &str, to: &str) -> Envelope {
    let data = json!({"hostname": from, "new_hostname": to, "note": "moved"});
    message(Kind::DeviceRenameRequested, 30, &data)
}

#[test]
fn a_renamed_device_is_flagged_with_its_neighbours_by_links_and_by_configuration() {
    for envelope in [event("sw1", "sw2", 10), command("sw1", "sw2")] {
        let mut facts = fleet();
        let (decision, flipped) = process(&envelope, &mut facts).unwrap();
        assert_eq!(flipped, flips(&["core1", "dist1", "sw2"]));
        assert_eq!(
            decision.event_applied().devices,
            flips(&["core1", "dist1", "sw2"])
        );
        assert_eq!(causes(&facts, "sw2"), [Cause::DeviceNameChange]);
        assert_eq!(
            causes(&facts, "core1"),
            [Cause::LinknetNeighborNameChange],
            "one cause is enough"
        );
        assert_eq!(causes(&facts, "dist1"), [Cause::NeighborNameChange]);
        let end = LinkEnd {
            hostname: hostname("sw2"),
            interface: "Ethernet1".to_owned().try_into().unwrap(),
        };
        assert_eq!(facts.links_at(&end).count(), 1);
    }
}

#[test]
fn events_with_the_old_name_follow_the_device_and_commands_do_not() {
    let mut facts = fleet();
    process(&event("sw1", "sw2", 10), &mut facts).unwrap();
    let by_old_name: [(Kind, Value); 3] = [
        (Kind::DeviceUpgraded, json!({"hostname": "sw1"})),
        (
            Kind::DeviceStateChanged,
            json!({"hostname": "sw1", "state": "UNMANAGED"}),
        ),
        (
            Kind::InterfaceUpdated,
            json!({"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1", "configuration": {}}]}),
        ),
    ];
    for (kind, data) in by_old_name {
        let before = facts.device(&hostname("sw2")).unwrap().sync.desired;
        let (decision, _) = process(&message(kind, 11, &data), &mut facts).unwrap();
        assert_eq!(decision.event_applied().devices, flips(&["sw2"]), "{kind}");
        assert_eq!(
            facts.device(&hostname("sw2")).unwrap().sync.desired,
            before + 1,
            "{kind}"
        );
    }
    assert!(
        facts
            .interfaces()
            .iter()
            .all(|row| row.hostname == hostname("sw2"))
    );
    let commands: [(Kind, Value); 3] = [
        (
            Kind::DeviceStateRequested,
            json!({"hostname": "sw1", "state": "MANAGED"}),
        ),
        (Kind::DeviceMarkRequested, json!({"hostname": "sw1"})),
        (
            Kind::DeviceRenameRequested,
            json!({"hostname": "sw1", "new_hostname": "sw3"}),
        ),
    ];
    for (kind, data) in commands {
        let rejection = process(&message(kind, 12, &data), &mut facts).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::UnknownDevice, "$.data.hostname")
        );
        assert!(
            rejection.reason.contains("renamed to sw2"),
            "{}",
            rejection.reason
        );
    }
}

#[test]
fn a_taken_name_in_any_case_is_rejected_and_nothing_changes() {
    for envelope in [
        event("sw1", "core1", 10),
        event("sw1", "CORE1", 10),
        command("sw1", "Core1"),
    ] {
        let mut facts = fleet();
        let rejection = process(&envelope, &mut facts).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::DeviceExists, "$.data.new_hostname")
        );
        assert!(rejection.reason.contains("core1"), "{}", rejection.reason);
        assert_eq!(facts, fleet());
    }
}

#[test]
fn a_rename_to_its_own_name_is_unchanged_and_to_another_spelling_is_a_rename() {
    for envelope in [event("sw1", "sw1", 10), command("sw1", "sw1")] {
        let (decision, flipped) = process(&envelope, &mut fleet()).unwrap();
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Unchanged));
        assert_eq!(flipped, flips(&[]));
    }
    for envelope in [event("sw1", "SW1", 10), command("sw1", "SW1")] {
        let mut facts = fleet();
        let (_, flipped) = process(&envelope, &mut facts).unwrap();
        assert_eq!(flipped, flips(&["SW1", "core1", "dist1"]));
        assert!(facts.device(&hostname("SW1")).is_some());
    }
}

#[test]
fn an_older_rename_after_a_newer_one_leaves_the_name_and_flags() {
    let mut facts = fleet();
    process(&event("sw1", "sw3", 20), &mut facts).unwrap();
    let generation = |facts: &Facts, name: &str| facts.device(&hostname(name)).unwrap().sync.desired;
    let (decision, _) = process(&event("sw1", "sw2", 10), &mut facts).unwrap();
    assert!(facts.device(&hostname("sw3")).is_some());
    assert_eq!(
        decision.event_applied().devices,
        flips(&["core1", "dist1", "sw3"])
    );
    assert_eq!((generation(&facts, "sw3"), generation(&facts, "core1")), (3, 3));
    // Again, and back to the first name.
    let (decision, _) = process(&event("sw1", "sw3", 20), &mut facts).unwrap();
    assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Unchanged));
    process(&event("sw3", "sw1", 30), &mut facts).unwrap();
    assert!(facts.device(&hostname("sw1")).is_some());
    process(&event("sw1", "sw3", 20), &mut facts).unwrap();
    assert!(
        facts.device(&hostname("sw1")).is_some(),
        "that one is older than the way back"
    );
}

#[test]
fn a_rename_of_an_unknown_device_is_rejected_and_of_one_removed_later_is_ignored() {
    let rejection = process(&event("sw9", "sw8", 10), &mut fleet()).unwrap_err();
    assert_eq!(
        (rejection.code, rejection.place.as_str()),
        (Code::UnknownDevice, "$.data.hostname")
    );
    let mut facts = fleet();
    let removal = message(Kind::DeviceRemoved, 20, &json!({"hostname": "sw1"}));
    process(&removal, &mut facts).unwrap();
    let (decision, flipped) = process(&event("sw1", "sw2", 10), &mut facts).unwrap();
    assert_eq!(flipped, flips(&["dist1"]), "the removal did not flag it");
    assert_eq!(decision.event_applied().ignored, None);
    let (decision, _) = process(&event("gone1", "sw2", 10), &mut with_removed("gone1")).unwrap();
    assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Older));
    assert_eq!(
        facts.former_hostname(&hostname("sw1")).unwrap().version,
        version(20)
    );
}
