use lockstep_render::{DeviceFacts, SettingsSet};
use serde_json::{Value, json};

use crate::scene::{device, dist, link, peer, set};

const REPOSITORY: &[(&str, &str)] = &[
    (
        "global/base_system.yml",
        "ntp_servers: [{host: 10.0.0.1}]\nusers:\n- {username: all, groups: []}\n- {username: e1, groups: [E1]}\ndomain_name: example.org\n",
    ),
    (
        "global/routing.yml",
        "extroute_bgp: {vrfs: [{name: OUTSIDE, local_as: 64512}]}\n",
    ),
    (
        "global/vxlans.yml",
        "vxlans:\n  students: {vni: 100500, vlan_id: 500, vlan_name: STUDENT, groups: [E1]}\n  staff: {vni: 100600, vlan_id: 600, vlan_name: STAFF, devices: [a1]}\n",
    ),
    (
        "global/groups.yml",
        "groups:\n- group: {name: E1, regex: 'd1|a2', group_priority: 10, templates_branch: next}\n- group: {name: A, regex: 'a.*'}\n",
    ),
    (
        "fabric/base_system.yml",
        "domain_name: fabric.example.org\nunderlay: {infra_lo_net: 10.199.0.0/16}\n",
    ),
    ("dist/base_system.yml", "dns_servers: [{host: 10.0.0.2}]\n"),
    (
        "dist/interfaces_dcs-7050sx3-48yc8.yml",
        "interfaces: [{name: 'Ethernet[1-2]', ifclass: downlink}]\n",
    ),
    ("access/base_system.yml", "dot1x_fail_vlan: 13\n"),
    ("groups/E1/base_system.yml", "ntp_servers: [{host: 10.0.0.3}]\n"),
    (
        "devices/d2/interfaces.yml",
        "interfaces: [{name: Ethernet9, ifclass: custom, config: no shutdown}]\n",
    ),
    (
        "devices/d2/routing.yml",
        "vrfs: [{name: A, groups: [A]}, {name: B, groups: [DEFAULT]}]\n",
    ),
];

/// The value and the origin of a key.
fn key(set: &SettingsSet, device: &DeviceFacts, key: &str) -> (Value, String) {
    let settings = set.of_device(device).unwrap();
    let (_, value, origin) = settings.iter().find(|(name, ..)| &***name == key).unwrap();
    (serde_json::to_value(value).unwrap(), origin.to_string())
}

#[test]
fn later_files_replace_whole_keys_and_origins_are_kept() {
    let set = set(REPOSITORY);
    let d1 = dist();
    let table = [
        (
            "ntp_servers",
            json!([{"host": "10.0.0.3"}]),
            "groups/E1/base_system.yml",
        ),
        (
            "domain_name",
            json!("fabric.example.org"),
            "fabric/base_system.yml",
        ),
        (
            "dns_servers",
            json!([{"host": "10.0.0.2"}]),
            "dist/base_system.yml",
        ),
        ("radius_servers", json!([]), "default"),
        ("dot1x_fail_vlan", Value::Null, "default"),
    ];
    for (name, value, origin) in table {
        assert_eq!(key(&set, &d1, name), (value, origin.to_owned()), "{name}");
    }
    let names = |device: &DeviceFacts, list: &str, name: &str| {
        let (list, _) = key(&set, device, list);
        let list = list.as_array().unwrap().clone();
        list.iter()
            .map(|item| item[name].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&d1, "users", "username"), "all e1");
    assert_eq!(names(&device("a1", "ACCESS"), "users", "username"), "all");
    // With a folder of its own, the file of its model does not apply.
    assert_eq!(names(&d1, "interfaces", "name"), "Ethernet[1-2]");
    let d2 = DeviceFacts {
        hostname: "D2".parse().unwrap(),
        ..dist()
    };
    assert_eq!(names(&d2, "interfaces", "name"), "Ethernet9");
    assert_eq!(names(&d2, "vrfs", "name"), "B");
    assert_eq!(
        key(&set, &device("a1", "ACCESS"), "dot1x_fail_vlan").1,
        "access/base_system.yml"
    );
}

#[test]
fn a_group_of_the_inventory_counts_unless_the_commit_has_a_rule_for_it() {
    let set = set(REPOSITORY);
    let groups = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned().try_into().unwrap())
            .collect::<Vec<_>>()
    };
    let of =
        |hostname: &str, others: &[&str]| set.groups(&hostname.parse().unwrap(), &groups(others)).unwrap();
    assert_eq!(
        of("a1", &["imported", "E1"]),
        groups(&["A", "DEFAULT", "imported"])
    );
    assert_eq!(of("d1", &[]), groups(&["E1"]));
    assert_eq!(
        set.templates_branch(&"d1".parse().unwrap()).unwrap(),
        Some("next")
    );
    assert_eq!(set.templates_branch(&"a1".parse().unwrap()).unwrap(), None);
}

#[test]
fn dist_devices_have_the_vxlans_of_their_access_neighbors() {
    let set = set(REPOSITORY);
    let mut d1 = dist();
    let names = |device: &DeviceFacts| {
        let (vxlans, origin) = key(&set, device, "vxlans");
        let names: Vec<String> = vxlans.as_object().unwrap().keys().cloned().collect();
        (names.join(" "), origin)
    };
    assert_eq!(
        names(&d1),
        ("students".to_owned(), "global/vxlans.yml".to_owned())
    );
    d1.links
        .push(link("Ethernet1", None, peer(1, "a1", "ACCESS", json!({})), None));
    let both = "global/vxlans.yml and the settings of neighbors";
    assert_eq!(names(&d1), ("staff students".to_owned(), both.to_owned()));
    // Neither a neighbor of another type nor a device of another type.
    d1.links[1].peer.device_type = "CORE".parse().unwrap();
    assert_eq!(names(&d1).0, "students");
    d1.links[1].peer.device_type = "ACCESS".parse().unwrap();
    d1.device_type = "CORE".parse().unwrap();
    assert_eq!(names(&d1).0, "students");
}

#[test]
fn a_type_that_the_site_declares_has_the_files_of_its_folder() {
    let set = set(&[
        ("spines/base_system.yml", "domain_name: a\n"),
        ("fabric/base_system.yml", "dns_servers: [{host: b}]\n"),
        ("spine/base_system.yml", "domain_name: c\n"),
    ]);
    let spine = device("s1", "SPINE");
    assert_eq!(key(&set, &spine, "domain_name").0, "a");
    assert_eq!(key(&set, &spine, "dns_servers").0[0]["host"], "b");
}

#[test]
fn problems_of_the_files_that_apply_have_their_places() {
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("global/base_system.yml", "a: [")], "global/base_system.yml:"),
        (
            &[("dist/base_system.yml", "- a")],
            "dist/base_system.yml:1:1: must be a map of settings, is a list",
        ),
        (
            &[("global/routing.yml", "vrfs: [{name: A, groups: all}]")],
            "global/routing.yml:1:26: groups must be a list of names, is text",
        ),
        (
            &[("global/groups.yml", "groups: [{name: 1}]")],
            "global/groups.yml:1:17: name must be text",
        ),
        (
            &[(
                "global/groups.yml",
                "groups: [{group: {name: A, regex: '(', group_priority: 3}}]",
            )],
            "global/groups.yml:1:",
        ),
    ];
    for (files, expected) in table {
        let problems = set(files).of_device(&dist()).unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{expected}: {problems:?}"
        );
    }
    // A file of another type does not matter.
    assert!(
        set(&[("core/base_system.yml", "- a"), ("access/base_system.yml", "[")])
            .of_device(&dist())
            .is_ok()
    );
}
