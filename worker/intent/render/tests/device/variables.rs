use lockstep_render::{DeviceFacts, SettingsSet, VariableOrigin, read_overlay};
use serde_json::{Value, json};

use crate::scene::{self, device, dist, domain, interface, link, peer, set, variable, variables};

fn access() -> DeviceFacts {
    DeviceFacts {
        management_domains: vec![domain()],
        ..device("a1", "ACCESS")
    }
}

fn of(set: &SettingsSet, device: &DeviceFacts, name: &str) -> Value {
    variable(&variables(set, device, None).unwrap(), name)
}

#[test]
fn every_device_has_the_common_variables() {
    let mut firewall = device("f1", "FIREWALL");
    firewall.data.insert(
        "stack_members".to_owned(),
        json!([{"priority": 1, "hardware_id": "x", "member_no": 0}]),
    );
    let set = set(&[(
        "global/base_system.yml",
        "hostname: laid over\nmine: {b: 1, a: 2}\n",
    )]);
    let table = [
        ("hostname", json!("f1")),
        ("device_model", json!("DCS-7050SX3-48YC8")),
        ("device_os_version", json!("4.30.1F")),
        ("device_id", json!(7)),
        ("mgmt_ip", json!("10.0.1.7")),
        (
            "stack_members",
            json!([{"priority": 1, "hardware_id": "x", "member_no": 0}]),
        ),
        ("mine", json!({"a": 2, "b": 1})),
        ("TEMPLATE_SECRET_ENABLE", json!("s3cret")),
        ("TEMPLATE_SECRET", json!({"ENABLE": "s3cret"})),
        ("asn", json!("absent")),
        ("mlag_peer", json!("absent")),
    ];
    for (name, expected) in table {
        assert_eq!(of(&set, &firewall, name), expected, "{name}");
    }
    let all = variables(&set, &firewall, None).unwrap();
    let (_, host, _) = all.iter().find(|(name, ..)| *name == "host").unwrap();
    assert_eq!(host.to_string(), "f1");
    assert_eq!(host.get_attr("name").unwrap().as_str(), Some("f1"));
    let secrets = all
        .iter()
        .filter(|(.., origin)| **origin == VariableOrigin::Secret);
    assert_eq!(secrets.count(), 2);
}

#[test]
fn an_access_device_has_its_management_domain_and_its_interfaces() {
    let set = set(&[(
        "global/vxlans.yml",
        "vxlans: {s: {vni: 1, vlan_id: 500, vlan_name: STUDENT}}\n",
    )]);
    let mut a1 = access();
    a1.data
        .insert("secondary_management_ip".to_owned(), json!("2001:db8:1::7"));
    a1.mlag_peer = Some(peer(9, "a2", "ACCESS", json!({})));
    a1.links
        .push(link("Ethernet3", None, peer(1, "d1", "DIST", json!({})), None));
    a1.interfaces = vec![
        interface(
            "Ethernet1",
            json!({"configtype": "ACCESS_UNTAGGED", "data": {"untagged_vlan": "STUDENT", "description": "desk"}}),
        ),
        interface(
            "Ethernet2",
            json!({"ifclass": "ACCESS_TAGGED", "tagged_vlan_list": ["STUDENT", 30, "NOBODY"], "untagged_vlan": "NOBODY"}),
        ),
        interface("Ethernet3", json!({"configtype": "ACCESS_UPLINK"})),
        interface("Ethernet4", Value::Null),
    ];
    let table = [
        ("mgmt_vlan_id", json!(600)),
        ("mgmt_gw", json!("10.0.1.1")),
        ("mgmt_ipif", json!("10.0.1.7/24")),
        ("mgmt_prefixlen", json!(24)),
        ("secondary_mgmt_ip", json!("2001:db8:1::7")),
        ("secondary_mgmt_gw", json!("2001:db8:1::1")),
        ("secondary_mgmt_ipif", json!("2001:db8:1::7/64")),
        ("secondary_mgmt_vlan_id", json!(600)),
        ("secondary_mgmt_prefixlen", json!(64)),
        ("mlag_peer", json!(true)),
        ("mlag_peer_hostname", json!("a2")),
        ("mlag_peer_low", json!(true)),
        (
            "interfaces",
            json!([
                {"name": "Ethernet1", "ifclass": "ACCESS_UNTAGGED", "untagged_vlan": 500, "tagged_vlan_list": [],
                 "data": {"untagged_vlan": "STUDENT", "description": "desk"}, "indexnum": 2},
                {"name": "Ethernet2", "ifclass": "ACCESS_TAGGED", "untagged_vlan": null, "tagged_vlan_list": [500, 30],
                 "data": {"tagged_vlan_list": ["STUDENT", 30, "NOBODY"], "untagged_vlan": "NOBODY"}, "indexnum": 3},
                {"name": "Ethernet3", "ifclass": "ACCESS_UPLINK", "untagged_vlan": null, "tagged_vlan_list": [],
                 "data": {"description": "d1"}, "indexnum": 4},
                {"name": "Ethernet4", "ifclass": null, "untagged_vlan": null, "tagged_vlan_list": [], "data": {}, "indexnum": 5},
            ]),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(of(&set, &a1, name), expected, "{name}");
    }
    let alone = access();
    for (name, expected) in [
        ("mlag_peer", json!(false)),
        ("mlag_peer_hostname", Value::Null),
        ("mlag_peer_low", Value::Null),
    ] {
        assert_eq!(of(&set, &alone, name), expected, "{name}");
    }
    let printed = variables(&set, &alone, None).unwrap();
    let (_, peer, _) = printed
        .iter()
        .find(|(name, ..)| *name == "mlag_peer_hostname")
        .unwrap();
    assert!(peer.is_none() && !peer.is_undefined());
}

const INTERFACES: &str = "interfaces:
- {name: 'Ethernet[1-2]', ifclass: downlink, redundant_link: no, mtu: 9000}
- {name: Ethernet3, ifclass: custom, config: no switchport}
- {name: Ethernet49, ifclass: fabric}
- {name: Ethernet50/1, ifclass: fabric}
- {name: Ethernet5, ifclass: port_template_x, untagged_vlan: 7}
";

#[test]
fn a_device_of_the_fabric_has_its_peers_and_the_interfaces_of_its_settings() {
    let set = set(&[("devices/d1/interfaces.yml", INTERFACES)]);
    let mut d1 = dist();
    d1.links
        .push(link("Ethernet2", None, peer(1, "a1", "ACCESS", json!({})), None));
    let bgp = json!({"peer_hostname": "c1", "peer_infra_lo": "10.199.0.0", "peer_asn": 4_200_000_000_u64});
    let table = [
        ("asn", json!(4_200_000_000_u64 + 256 + 5)),
        ("mgmt_ipif", json!("10.0.1.7/32")),
        ("mgmt_prefixlen", json!(32)),
        ("infra_ip", json!("10.199.1.5")),
        ("infra_ipif", json!("10.199.1.5/32")),
        (
            "mgmtdomains",
            json!([{"id": 3, "ipv4_gw": "10.0.1.1/24", "ipv6_gw": "2001:db8:1::1/64", "vlan": 600, "description": "campus",
                    "esi_mac": "00:00:00:00:00:01", "ipv4_ip": "10.0.1.2"}]),
        ),
        (
            "bgp_ipv4_peers",
            json!([{"peer_hostname": "c1", "peer_infra_lo": "10.199.0.0", "peer_ip": "10.198.0.0", "peer_asn": 4_200_000_000_u64}]),
        ),
        ("bgp_evpn_peers", json!([&bgp])),
        (
            "interfaces",
            json!([
                {"name": "Ethernet1", "ifclass": "downlink", "redundant_link": false, "data": {}, "cli_append_str": "", "mtu": 9000, "indexnum": 2},
                {"name": "Ethernet2", "ifclass": "downlink", "redundant_link": false, "data": {"description": "a1"}, "cli_append_str": "", "mtu": 9000, "indexnum": 3},
                {"name": "Ethernet3", "ifclass": "custom", "config": "no switchport", "cli_append_str": "", "indexnum": 4},
                {"name": "Ethernet49", "ifclass": "fabric", "ipv4if": "10.198.0.1/31", "peer_hostname": "c1", "peer_infra_lo": "10.199.0.0",
                 "peer_ip": "10.198.0.0", "peer_asn": 4_200_000_000_u64, "cli_append_str": "", "indexnum": 50},
                {"name": "Ethernet50/1", "ifclass": "fabric", "ipv4if": null, "peer_hostname": "ztp", "peer_infra_lo": null,
                 "peer_ip": null, "peer_asn": null, "cli_append_str": "", "indexnum": 5102},
            ]),
        ),
    ];
    for (name, expected) in table {
        let mut found = of(&set, &d1, name);
        if name == "interfaces" {
            // Other classes have all keys of the settings, with their defaults.
            let other = found.as_array_mut().unwrap().pop().unwrap();
            assert_eq!(
                (
                    &other["name"],
                    &other["untagged_vlan"],
                    &other["vrf"],
                    &other["indexnum"]
                ),
                (&json!("Ethernet5"), &json!(7), &Value::Null, &json!(6))
            );
        }
        assert_eq!(found, expected, "{name}");
    }
    // Peers that the settings name.
    let evpn = scene::set(&[(
        "fabric/base_system.yml",
        "evpn_peers: [{hostname: D1}, {hostname: c1}, {hostname: d9}]",
    )]);
    assert_eq!(evpn.unknown_peers(&d1).unwrap(), ["d9".parse().unwrap()]);
    d1.named = vec![peer(4, "d9", "DIST", json!({"infra_ip": "10.199.0.9"}))];
    assert_eq!(evpn.unknown_peers(&d1).unwrap(), []);
    let named = json!({"peer_hostname": "d9", "peer_infra_lo": "10.199.0.9", "peer_asn": 4_200_000_009_u64});
    assert_eq!(of(&evpn, &d1, "bgp_evpn_peers"), json!([bgp, named]));
    // A core is no EVPN peer of itself.
    let c1 = DeviceFacts {
        hostname: "c1".parse().unwrap(),
        device_type: "CORE".parse().unwrap(),
        links: Vec::new(),
        ..dist()
    };
    assert_eq!(of(&set, &c1, "bgp_evpn_peers"), json!([]));
}

#[test]
fn a_type_of_the_site_with_fabric_has_the_variables_of_the_fabric() {
    let spine = DeviceFacts {
        device_type: "SPINE".parse().unwrap(),
        ..dist()
    };
    assert_eq!(of(&set(&[]), &spine, "asn"), json!(4_200_000_000_u64 + 256 + 5));
}

#[test]
fn what_is_missing_is_named_with_the_device() {
    let unknown = device("u1", "UNKNOWN");
    let no_address = DeviceFacts {
        management_ip: None,
        ..dist()
    };
    let no_domain = device("a1", "ACCESS");
    let mut wrong_data = access();
    wrong_data
        .data
        .insert("secondary_management_ip".to_owned(), json!(7));
    let no_loopback = DeviceFacts {
        data: serde_json::Map::new(),
        ..dist()
    };
    let mut peer_without = dist();
    peer_without.links[0].peer.data.clear();
    let mut no_link_address = dist();
    no_link_address.links[0].peer_address = None;
    let none: &[(&str, &str)] = &[];
    let evpn: &[(&str, &str)] = &[(
        "global/routing.yml",
        "evpn_peers: [{hostname: c1}, {hostname: d1}, {hostname: d9}]",
    )];
    let endless: &[(&str, &str)] = &[(
        "dist/base_system.yml",
        "interfaces: [{name: 'E[1-9999999]', ifclass: custom}]",
    )];
    let table = [
        (&unknown, none, "u1: its type is UNKNOWN"),
        (&no_address, none, "d1: it has no management address"),
        (
            &no_domain,
            none,
            "a1: its management address 10.0.1.7 is in no management domain",
        ),
        (
            &wrong_data,
            none,
            "a1: its secondary_management_ip is 7, must be an IP address",
        ),
        (&no_loopback, none, "d1: its data has no infra_ip"),
        (
            &peer_without,
            none,
            "d1: the data of its peer c1 has no IPv4 address infra_ip",
        ),
        (
            &no_link_address,
            none,
            "d1: its link Ethernet49 to c1 has no addresses",
        ),
        (&dist(), evpn, "d1: evpn_peers in its settings names d9"),
        (&dist(), endless, "d1: interfaces in its settings: [1-9999999] of"),
    ];
    for (device, files, expected) in table {
        let error = variables(&set(files), device, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn variables_of_a_file_are_laid_over_everything_and_nothing_else_is_needed() {
    let overlay = read_overlay(
        b"v.yml",
        b"mgmt_vlan_id: 1\nhostname: other\nTEMPLATE_SECRET_ENABLE: x\n",
    )
    .unwrap();
    let set = set(&[]);
    let found = variables(&set, &device("a1", "ACCESS"), Some(&overlay)).unwrap();
    assert_eq!(variable(&found, "mgmt_vlan_id"), 1);
    assert_eq!(variable(&found, "hostname"), "other");
    assert_eq!(variable(&found, "TEMPLATE_SECRET_ENABLE"), "x");
    assert_eq!(variable(&found, "mgmt_gw"), "absent");
    let json = read_overlay(b"v.json", br#"{"a": {"b": [1, "x"]}, "c": null}"#).unwrap();
    assert_eq!(
        variable(
            &variables(&set, &device("a1", "ACCESS"), Some(&json)).unwrap(),
            "a"
        ),
        json!({"b": [1, "x"]})
    );
    let problem = read_overlay(b"v.yml", b"- a").unwrap_err();
    assert_eq!(
        problem.to_string(),
        "v.yml:1:1: must be a map of variables, is a list"
    );
}
