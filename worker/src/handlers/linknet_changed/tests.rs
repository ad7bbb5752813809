use lockstep_protocol::{Envelope, Kind};
use serde_json::{Value, json};

use super::super::fixtures::{
    causes, device, facts, flips, hostname, link, message, process, removed, version,
};
use super::*;

fn fleet() -> Facts {
    facts(["a1", "b1", "c1", "d1"].map(|name| device(name, |_| ())))
}

fn end(text: &str) -> Value {
    let (hostname, interface) = text.split_once(' ').unwrap();
    json!({"hostname": hostname, "interface": interface})
}

fn changed(action: &str, a: &str, b: &str, second: i64) -> Envelope {
    let data = json!({"action": action, "a": end(a), "b": end(b)});
    message(Kind::LinknetChanged, second, &data)
}

fn moved(a: &str, b: &str, before: (&str, &str)) -> Envelope {
    let previous = json!({"a": end(before.0), "b": end(before.1)});
    let data = json!({"action": "updated", "a": end(a), "b": end(b), "previous": previous});
    message(Kind::LinknetChanged, 10, &data)
}

#[test]
fn each_action_flags_both_ends_whether_the_link_is_known_or_not() {
    for (action, cause, exists) in [
        ("added", Cause::LinknetCreated, true),
        ("updated", Cause::LinknetUpdated, true),
        ("removed", Cause::LinknetDeleted, false),
    ] {
        for known in [true, false] {
            let mut facts = fleet();
            let the_link = link(("a1", "E1"), ("b1", "E1"));
            if known {
                facts.add_link(the_link.clone(), true, Some(version(1)));
            }
            let (decision, flipped) = process(&changed(action, "b1 E1", "a1 E1", 10), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["a1", "b1"]), "{action}");
            assert_eq!(decision.event_applied().devices, flips(&["a1", "b1"]));
            assert_eq!(
                (causes(&facts, "a1"), causes(&facts, "b1")),
                (vec![cause], vec![cause])
            );
            assert_eq!(facts.has_link(&the_link), exists, "{action}");
        }
    }
}

#[test]
fn a_new_link_replaces_others_at_its_interfaces_and_flags_their_other_ends() {
    for action in ["added", "updated"] {
        let mut facts = fleet();
        let replaced = [link(("a1", "E1"), ("c1", "E5")), link(("b1", "E1"), ("d1", "E5"))];
        for link in &replaced {
            facts.add_link(link.clone(), true, Some(version(1)));
        }
        let other = link(("a1", "E2"), ("c1", "E6"));
        facts.add_link(other.clone(), true, Some(version(1)));
        let (_, flipped) = process(&changed(action, "a1 E1", "b1 E1", 10), &mut facts).unwrap();
        assert_eq!(flipped, flips(&["a1", "b1", "c1", "d1"]), "{action}");
        assert_eq!(causes(&facts, "c1"), [Cause::LinknetDeleted]);
        assert!(!replaced.iter().any(|link| facts.has_link(link)));
        assert!(facts.has_link(&other));
    }
}

#[test]
fn an_update_that_moves_a_link_removes_the_one_before_and_flags_its_ends() {
    let mut facts = fleet();
    let (before, after) = (link(("a1", "E1"), ("c1", "E1")), link(("a1", "E2"), ("b1", "E1")));
    facts.add_link(before.clone(), true, Some(version(1)));
    let envelope = moved("a1 E2", "b1 E1", ("a1 E1", "c1 E1"));
    let (_, flipped) = process(&envelope, &mut facts).unwrap();
    assert_eq!(flipped, flips(&["a1", "b1", "c1"]));
    assert_eq!(causes(&facts, "a1"), [Cause::LinknetUpdated]);
    assert_eq!((facts.has_link(&before), facts.has_link(&after)), (false, true));
    // The same ends before and after, in either order: only its addresses changed.
    let mut facts = fleet();
    let envelope = moved("a1 E2", "b1 E1", ("b1 E1", "a1 E2"));
    process(&envelope, &mut facts).unwrap();
    assert!(facts.has_link(&after));
}

#[test]
fn an_old_added_after_its_removed_flags_and_adds_nothing() {
    let mut facts = fleet();
    process(&changed("removed", "a1 E1", "b1 E1", 20), &mut facts).unwrap();
    let (_, _) = process(&changed("added", "a1 E1", "b1 E1", 10), &mut facts).unwrap();
    assert!(!facts.has_link(&link(("a1", "E1"), ("b1", "E1"))));
    assert_eq!(
        causes(&facts, "a1"),
        [Cause::LinknetDeleted, Cause::LinknetCreated]
    );
    process(&changed("added", "a1 E1", "b1 E1", 30), &mut facts).unwrap();
    assert!(facts.has_link(&link(("a1", "E1"), ("b1", "E1"))));
}

#[test]
fn two_interfaces_of_one_device_can_be_linked() {
    let mut facts = fleet();
    let (_, flipped) = process(&changed("added", "a1 E1", "a1 E2", 10), &mut facts).unwrap();
    assert_eq!(flipped, flips(&["a1"]));
    assert!(facts.has_link(&link(("a1", "E1"), ("a1", "E2"))));
}

#[test]
fn an_end_that_was_removed_later_leaves_the_other_one_flagged() {
    let mut facts = facts([device("a1", |_| ())]);
    facts.add_former_hostname(removed("b1", 20));
    let (decision, flipped) = process(&changed("added", "a1 E1", "b1 E1", 10), &mut facts).unwrap();
    assert_eq!(flipped, flips(&["a1"]));
    assert!(decision.effects.links.is_empty());
    facts.add_former_hostname(removed("c1", 20));
    let (decision, _) = process(&changed("added", "c1 E1", "b1 E1", 10), &mut facts).unwrap();
    assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Older));
}

#[test]
fn bad_links_are_rejected_with_their_place_and_nothing_is_half_done() {
    let table = [
        (
            changed("added", "a1 E1", "x9 E1", 10),
            Code::UnknownDevice,
            "$.data.b.hostname",
        ),
        (
            changed("removed", "x9 E1", "a1 E1", 10),
            Code::UnknownDevice,
            "$.data.a.hostname",
        ),
        (
            changed("added", "a1 E1", "a1 E1", 10),
            Code::InvalidData,
            "$.data.b",
        ),
        (
            moved("a1 E1", "b1 E1", ("a1 E1", "x9 E1")),
            Code::UnknownDevice,
            "$.data.previous.b.hostname",
        ),
        (
            moved("a1 E1", "b1 E1", ("c1 E1", "c1 E1")),
            Code::InvalidData,
            "$.data.previous.b",
        ),
        (
            message(
                Kind::LinknetChanged,
                10,
                &json!({"action": "added", "a": end("a1 E1"), "b": end("b1 E1"),
                    "previous": {"a": end("a1 E1"), "b": end("c1 E1")}}),
            ),
            Code::InvalidData,
            "$.data.previous",
        ),
    ];
    for (envelope, code, place) in table {
        let mut facts = fleet();
        let rejection = process(&envelope, &mut facts).unwrap_err();
        assert_eq!((rejection.code, rejection.place.as_str()), (code, place));
        assert!(rejection.reason.len() > 20, "{}", rejection.reason);
        assert_eq!(facts, fleet());
    }
}

#[test]
fn a_link_to_a_device_by_its_old_name_is_one_to_itself_if_it_is_the_same_interface() {
    let mut facts = fleet();
    let renamed = message(
        Kind::DeviceRenamed,
        5,
        &json!({"hostname": "a1", "new_hostname": "a2"}),
    );
    process(&renamed, &mut facts).unwrap();
    let rejection = process(&changed("added", "a1 E1", "a2 E1", 10), &mut facts).unwrap_err();
    assert_eq!(
        (rejection.code, rejection.place.as_str()),
        (Code::InvalidData, "$.data.b")
    );
    process(&changed("added", "a1 E1", "b1 E1", 10), &mut facts).unwrap();
    assert!(facts.has_link(&link(("a2", "E1"), ("b1", "E1"))));
    assert!(facts.device(&hostname("a2")).is_some());
}

fn addressed(action: &str, a: (&str, Option<&str>), b: (&str, Option<&str>), second: i64) -> Envelope {
    let [a, b] = [a, b].map(|(at, address)| {
        let mut end = end(at);
        end["address"] = json!(address);
        end
    });
    message(
        Kind::LinknetChanged,
        second,
        &json!({"action": action, "a": a, "b": b}),
    )
}

#[test]
fn a_link_has_the_addresses_of_the_newest_message_that_says_any() {
    let messages = [
        addressed(
            "added",
            ("b1 E1", Some("10.0.0.1/31")),
            ("a1 E1", Some("10.0.0.0/31")),
            10,
        ),
        addressed("updated", ("a1 E1", Some("10.9.0.0/31")), ("b1 E1", None), 20),
        changed("updated", "a1 E1", "b1 E1", 30),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2]] {
        let mut facts = fleet();
        for index in order {
            process(&messages[index], &mut facts).unwrap();
        }
        let row = facts.link(&link(("a1", "E1"), ("b1", "E1"))).unwrap();
        let addresses = row.addresses.clone().map(|address| address.map(String::from));
        assert_eq!(addresses, [Some("10.9.0.0/31".to_owned()), None], "{order:?}");
        assert_eq!(row.added, Some(version(30)), "{order:?}");
    }
}

#[test]
fn an_interface_is_no_link_to_itself_with_another_address() {
    let envelope = addressed(
        "added",
        ("a1 E1", Some("10.0.0.0/31")),
        ("a1 E1", Some("10.0.0.1/31")),
        10,
    );
    let rejection = process(&envelope, &mut fleet()).unwrap_err();
    assert_eq!(
        (rejection.code, rejection.place.as_str()),
        (Code::InvalidData, "$.data.b")
    );
}
