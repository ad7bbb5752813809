//! Devices that a batch renames and removes.

use std::collections::BTreeSet;

use lockstep_protocol::InterfaceName;
use serde_json::json;

use super::*;
use crate::{FormerHostname, Keys, Link, LinkChange, LinkEnd, Version};

type Names = &'static [&'static str];

fn version(second: i64) -> Version {
    Version {
        time: at(second),
        id: MessageId::try_from(second.to_string()).unwrap(),
    }
}

fn rename(from: &str, to: &str, second: i64) -> DeviceEffect {
    DeviceEffect::Rename {
        hostname: hostname(from),
        to: hostname(to),
        version: version(second),
    }
}

fn remove(name: &str, second: i64) -> DeviceEffect {
    DeviceEffect::Remove {
        hostname: hostname(name),
        version: version(second),
    }
}

/// The effect that a text stands for: `a>b` renames, `-a` removes, `+a` creates and `!a` flags.
fn effect(text: &str, second: i64) -> DeviceEffect {
    match text.split_at(1) {
        ("-", name) => remove(name, second),
        ("+", name) => create(name),
        ("!", name) => flag(name),
        _ => {
            let (from, to) = text.split_once('>').unwrap();
            rename(from, to, second)
        }
    }
}

fn end(name: &str, port: &str) -> LinkEnd {
    LinkEnd {
        hostname: hostname(name),
        interface: InterfaceName::try_from(port.to_owned()).unwrap(),
    }
}

fn former(name: &str, current: Option<&str>) -> FormerHostname {
    FormerHostname {
        hostname: hostname(name),
        current: current.map(hostname),
        version: version(0),
    }
}

/// What is written of the names: devices with their numbers, renamed and removed ones, former names and taken ones.
fn written(facts: &Facts) -> [String; 5] {
    let join = |texts: Vec<String>| texts.join(" ");
    let id = |id: Option<i64>| id.map_or("new".to_owned(), |id| id.to_string());
    let devices = facts
        .devices()
        .map(|row| format!("{}:{}", row.hostname, id(row.id)));
    let renamed = facts.renamed().iter();
    let renamed = renamed.map(|device| format!("{}:{}>{}", device.id, device.from, device.to));
    let new = facts.new_former_hostnames().into_values();
    let new = new.map(|former| match former.current {
        Some(current) => format!(
            "{}={current}@{}",
            former.hostname,
            former.version.time.as_second()
        ),
        None => format!("{}@{}", former.hostname, former.version.time.as_second()),
    });
    [
        join(devices.collect()),
        join(renamed.collect()),
        join(facts.removed().iter().map(ToString::to_string).collect()),
        join(new.collect()),
        join(facts.taken_hostnames().iter().cloned().collect()),
    ]
}

#[test]
fn renamed_and_removed_devices_leave_their_names() {
    // The messages, one each second from 1 on; then what `written` lists.
    let table = [
        (vec![], ["a:1 b:2", "", "", "", ""]),
        (vec!["a>c"], ["b:2 c:1", "1:a>c", "", "a=c@1", ""]),
        // A chain: each former name leads to the last one.
        (
            vec!["a>c", "c>d"],
            ["b:2 d:1", "1:a>c 1:c>d", "", "a=d@1 c=d@2", ""],
        ),
        (vec!["a>c", "b>a"], ["a:2 c:1", "1:a>c 2:b>a", "", "b=a@2", "a"]),
        // A swap.
        (
            vec!["a>c", "b>a", "c>b"],
            ["a:2 b:1", "1:a>c 2:b>a 1:c>b", "", "c=b@3", "a b"],
        ),
        (vec!["a>c", "c>a"], ["a:1 b:2", "1:a>c 1:c>a", "", "c=a@2", "a"]),
        // Another spelling of the name is no former one.
        (vec!["a>A"], ["A:1 b:2", "1:a>A", "", "", "a"]),
        (vec!["-a"], ["b:2", "", "1", "a@1", ""]),
        (vec!["a>c", "-c"], ["b:2", "1:a>c", "1", "a@1 c@2", ""]),
        (vec!["-a", "b>a"], ["a:2", "2:b>a", "1", "b=a@2", "a"]),
        (vec!["-a", "+a"], ["a:new b:2", "", "1", "", "a"]),
        (vec!["a>c", "+a"], ["a:new b:2 c:1", "1:a>c", "", "", "a"]),
        (vec!["+c", "c>d"], ["a:1 b:2 d:new", "", "", "c=d@2", ""]),
        (vec!["+c", "-c"], ["a:1 b:2", "", "", "c@2", ""]),
        // Former names that the store knows: of a device, and of a removed one.
        (vec!["+old"], ["a:1 b:2 old:new", "", "", "", "old"]),
        (vec!["+gone", "-gone"], ["a:1 b:2", "", "", "gone@2", "gone"]),
        (vec!["a>OLD"], ["OLD:1 b:2", "1:a>OLD", "", "a=OLD@1", "old"]),
        // Of unknown devices nothing is written.
        (vec!["x>y", "-z"], ["a:1 b:2", "", "", "", ""]),
    ];
    for (messages, expected) in table {
        let mut facts = facts();
        facts.add_former_hostname(former("Old", Some("a")));
        facts.add_former_hostname(former("gone", None));
        for (second, text) in (1..).zip(&messages) {
            absorb(&mut facts, second, vec![effect(text, second)]);
        }
        assert_eq!(written(&facts), expected, "{messages:?}");
        let changes = !(expected[1..].iter().all(|text| text.is_empty()));
        assert_eq!(facts.change_hostnames(), changes, "{messages:?}");
    }
}

#[test]
fn an_event_by_an_old_name_is_about_the_device_that_had_it() {
    let table = [
        (
            vec![],
            vec![
                ("a", Some("a")),
                ("old", Some("a")),
                ("OLD", Some("a")),
                ("gone", None),
            ],
        ),
        (
            vec!["a>c"],
            vec![("a", Some("c")), ("old", Some("c")), ("c", Some("c"))],
        ),
        (
            vec!["a>c", "c>d"],
            vec![("a", Some("d")), ("c", Some("d")), ("old", Some("d"))],
        ),
        (
            vec!["a>c", "b>a"],
            vec![("a", Some("a")), ("b", Some("a")), ("old", Some("c"))],
        ),
        (vec!["-a"], vec![("a", None), ("old", None)]),
        (vec!["a>c", "-c"], vec![("a", None), ("c", None), ("old", None)]),
        (
            vec!["a>c", "-b", "+a"],
            vec![("a", Some("a")), ("old", Some("c"))],
        ),
    ];
    for (messages, expected) in table {
        let mut facts = facts();
        facts.add_former_hostname(former("Old", Some("a")));
        facts.add_former_hostname(former("gone", None));
        for (second, text) in (1..).zip(&messages) {
            absorb(&mut facts, second, vec![effect(text, second)]);
        }
        for (name, current) in expected {
            let found = facts.device_of_event(&hostname(name));
            let found = found.map(|row| row.hostname.as_str());
            assert_eq!(found, current, "{name} after {messages:?}");
        }
    }
}

#[test]
fn a_flip_of_a_renamed_device_has_its_new_name() {
    let table = [
        (vec!["a>c", "!c"], vec!["c"]),
        (vec!["!a", "a>c"], vec!["c"]),
        (vec!["a>A", "!A"], vec!["A"]),
        (vec!["b>c", "!c"], vec![]),
        (vec!["a>c"], vec![]),
        (vec!["!a", "-a"], vec![]),
        (vec!["!b", "!a", "-b"], vec!["a"]),
    ];
    for (effects, expected) in table {
        let effects_of = effects.iter().map(|text| effect(text, 5)).collect();
        assert_eq!(absorb(&mut facts(), 5, effects_of), expected, "{effects:?}");
    }
}

#[test]
fn a_renamed_device_keeps_its_flag_and_its_causes() {
    let mut facts = facts();
    let cause = |message: i64| CauseRow {
        cause: "interface_updated".to_owned(),
        identity: Identity {
            source: Source::try_from("urn:test".to_owned()).unwrap(),
            id: MessageId::try_from(message.to_string()).unwrap(),
        },
        kind: Kind::InterfaceUpdated.as_str().to_owned(),
        actor: None,
        at: at(message),
        note: None,
        detail: None,
    };
    facts.add_open_cause(hostname("b"), cause(0));
    let before = facts.device(&hostname("b")).unwrap().sync;
    absorb(&mut facts, 4, vec![flag("b")]);
    absorb(&mut facts, 5, vec![rename("b", "c", 5), flag("c")]);
    let after = facts.device(&hostname("c")).unwrap();
    assert_eq!(
        (after.sync.desired, after.sync.since),
        (before.desired + 2, before.since)
    );
    let open = facts.open_causes(&hostname("c"));
    let open: Vec<&str> = open.iter().map(|cause| cause.identity.id.as_str()).collect();
    assert_eq!(open, ["0", "4", "5"]);
    assert_eq!(facts.open_causes(&hostname("b")), []);
}

/// Interfaces, clients and links of `a` and of `b` that earlier messages of the batch write, and what is known before.
fn with_pending() -> Facts {
    let mut facts = facts();
    facts.add_link(Link::between(end("a", "1"), end("b", "1")), true, None);
    facts.add_mac("aa:bb:cc:00:00:01".to_owned().try_into().unwrap(), hostname("a"));
    facts.add_neighbor_by_configuration(hostname("b"), hostname("a"));
    let interface = |name: &str| InterfaceRow {
        hostname: hostname(name),
        name: end(name, "1").interface,
        configuration: Some(json!({})),
    };
    let client = |number: u8, name: &str| ClientRow {
        mac: format!("aa:bb:cc:00:01:{number:02x}").try_into().unwrap(),
        name: None,
        ip: None,
        interface: Some(end(name, "2")),
        group: None,
    };
    let attributes = Attributes {
        controller: Some(hostname("a")),
        ..Attributes::of(DeviceType::ACCESS)
    };
    let effects = Effects {
        devices: vec![DeviceEffect::Describe {
            hostname: hostname("b"),
            attributes,
        }],
        interfaces: vec![interface("a"), interface("b")],
        clients: vec![client(1, "a"), client(2, "b")],
        links: vec![LinkChange {
            link: Link::between(end("a", "3"), end("b", "3")),
            present: true,
            version: Some(version(1)),
            addresses: None,
        }],
        ..Effects::default()
    };
    absorb_all(&mut facts, 1, effects);
    facts
}

/// The names in what `with_pending` has: interfaces, clients, links, the controller of `b`, the owner, the neighbours of `b`.
fn pending(facts: &Facts) -> [String; 6] {
    let names = |names: Vec<String>| names.join(" ");
    let interfaces = facts.interfaces().iter().map(|row| row.hostname.to_string());
    let clients = facts.clients().iter().map(|row| {
        let end = row.interface.as_ref();
        end.map_or("-".to_owned(), |end| end.hostname.to_string())
    });
    let devices = ["a", "b", "c"].map(hostname);
    let all: BTreeSet<&Link> = devices.iter().flat_map(|name| facts.links_of(name)).collect();
    let links = all.iter().map(|link| {
        let [one, other] = link.ends();
        format!("{}/{}-{}", one.hostname, one.interface.as_str(), other.hostname)
    });
    let controller = facts.device(&hostname("b"));
    let controller = controller.and_then(|row| row.attributes.controller.as_ref());
    let owner = facts.owner_of_mac(&"aa:bb:cc:00:00:01".to_owned().try_into().unwrap());
    let text = |name: Option<&Hostname>| name.map_or(String::new(), ToString::to_string);
    let neighbors = facts.neighbors_by_configuration(&hostname("b")).iter();
    [
        names(interfaces.collect()),
        names(clients.collect()),
        names(links.collect()),
        text(controller),
        text(owner),
        names(neighbors.map(ToString::to_string).collect()),
    ]
}

#[test]
fn what_the_batch_writes_about_a_device_follows_its_name() {
    let mut facts = with_pending();
    assert_eq!(pending(&facts), ["a b", "a b", "a/1-b a/3-b", "a", "a", "a"]);
    absorb(&mut facts, 2, vec![rename("a", "c", 2)]);
    assert_eq!(pending(&facts), ["c b", "c b", "b/1-c b/3-c", "c", "c", "c"]);
    let changed: Vec<&Link> = facts.changed_links().map(|(link, _)| link).collect();
    assert_eq!(changed, [&Link::between(end("b", "3"), end("c", "3"))]);
}

#[test]
fn what_the_batch_writes_about_a_removed_device_is_not_written() {
    let mut facts = with_pending();
    absorb(&mut facts, 2, vec![remove("a", 2)]);
    let [interfaces, clients, links, controller, owner, _] = pending(&facts);
    assert_eq!(
        [interfaces, clients, links, controller, owner],
        ["b", "- b", "", "", ""]
    );
    assert_eq!(facts.changed_links().count(), 0);
}

#[test]
fn keys_lead_to_renamed_devices_and_to_neighbors() {
    let set = |names: &[&str]| -> BTreeSet<Hostname> { names.iter().map(|name| hostname(name)).collect() };
    let mut facts = facts();
    facts.add_former_hostname(former("old", Some("now")));
    facts.add_former_hostname(former("gone", None));
    facts.add_link(Link::between(end("a", "1"), end("far", "1")), true, None);
    facts.add_link(Link::between(end("a", "2"), end("removed", "1")), false, None);
    facts.add_neighbor_by_configuration(hostname("b"), hostname("near"));
    // The names of devices, of events, whose links and whose neighbours are read; then the devices and the links of the further keys.
    let table: [([Names; 4], Option<[Names; 2]>); 9] = [
        ([&["a", "b"], &["a", "b"], &[], &[]], None),
        (
            [&["a", "old"], &["old"], &[], &[]],
            Some([&["a", "old", "now"], &[]]),
        ),
        // A command names present names.
        ([&["old"], &[], &[], &[]], None),
        ([&["old", "now"], &["old"], &[], &[]], None),
        (
            [&["old"], &["old"], &["old"], &[]],
            Some([&["old", "now"], &["old", "now"]]),
        ),
        ([&["gone", "x"], &["gone", "x"], &["gone"], &[]], None),
        ([&["a"], &[], &["a"], &[]], Some([&["a", "far"], &["a"]])),
        ([&["a", "far"], &[], &["a"], &[]], None),
        ([&["b"], &[], &[], &["b"]], Some([&["b", "near"], &[]])),
    ];
    for ([hostnames, renamed, links_of, neighbors_of], expected) in table {
        let keys = Keys {
            hostnames: set(hostnames),
            renamed: set(renamed),
            links_of: set(links_of),
            neighbors_of: set(neighbors_of),
            ..Keys::default()
        };
        let further = keys.further(&facts).map(|keys| (keys.hostnames, keys.links_of));
        let expected = expected.map(|[hostnames, links_of]| (set(hostnames), set(links_of)));
        assert_eq!(
            further, expected,
            "{hostnames:?} {renamed:?} {links_of:?} {neighbors_of:?}"
        );
    }
}
