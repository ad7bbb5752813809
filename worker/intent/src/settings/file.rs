use super::declarations::Declarations;
use super::keys;
use super::shape::Checker;
use crate::IntentProblem;
use crate::problem::FileProblems;
use crate::yaml::{self, Value};

/// Finds the problems of a settings file other than `groups.yml`. An empty file is valid.
pub(super) fn check(path: &[u8], bytes: &[u8], declarations: &Declarations) -> Vec<IntentProblem> {
    let root = match yaml::load(path, bytes) {
        Ok(root) => root,
        Err(problem) => return vec![problem],
    };
    let mut checker = Checker {
        declarations,
        filters: filters(path),
        problems: FileProblems::of(path),
    };
    match &root.value {
        Value::Null => {}
        Value::Map(pairs) => checker.record("", &root, pairs, keys::ROOT),
        _ => {
            let reason = format!("must be a map of settings, is {}", root.kind());
            checker.problems.add(root.place, reason);
        }
    }
    checker.problems.into_vec()
}

/// The keys by which maps in this file are filtered for each device. In other files they would have no effect, so they are unknown there.
fn filters(path: &[u8]) -> &'static [&'static str] {
    match path {
        b"global/vxlans.yml" => &["groups", "devices"],
        b"global/base_system.yml" | b"global/routing.yml" => &["groups"],
        _ if path.starts_with(b"devices/") && path.ends_with(b"/routing.yml") => &["groups"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> Vec<String> {
        let declared = b"extra_keys: {racks: list, interfaces.poe_class: text, anything: any}";
        let declarations = Declarations::read(b"lockstep.yml", declared).unwrap();
        let problems = check(b"f", text.as_bytes(), &declarations);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn documented_settings_are_valid() {
        let texts = [
            "",
            "---\nntp_servers:\n  - host: 10.255.0.1\n  - host: ntp.example.org\nsnmp_servers: [{host: 10.0.0.1, port: 162}]\n",
            "internal_vlans:\n  vlan_id_low: 3006\n  vlan_id_high: 4094\ndot1x_fail_vlan: 13\ndhcp_relays:\n",
            "vxlans:\n  student1:\n    vni: 100500\n    vrf: STUDENT\n    vlan_id: 500\n    vlan_name: STUDENT\n    ipv4_gw: 10.200.1.1/24\n    groups: [ALL_DIST]\n",
            "interfaces:\n  - name: Ethernet[1-4]\n    ifclass: custom\n    config: |\n      no switchport\n  - {name: Ethernet5, ifclass: port_template_x, untagged_vlan: '7', poe_class: high}\n",
            "extroute_bgp:\n  vrfs:\n    - name: OUTSIDE\n      local_as: 64667\n      neighbor_v4:\n        - {peer_ipv4: 10.0.255.1, peer_as: 64666, route_map_in: a, route_map_out: b, bfd: yes}\n",
            "extroute_static:\n  vrfs:\n    - name: MGMT\n      ipv4: [{destination: 172.12.0.0/24, nexthop: 10.0.254.1}]\n",
            "prefix_sets:\n  v6: {mode: ipv6, prefixes: [{prefix: '::/0', masklength_range: 0-128}, {prefix: 0.0.0.0/0, masklength_range: 0}]}\n",
            "routing_policies:\n  allow:\n    statements: [{action: accept, conditions: [{match_type: ipv4 prefix-set, match_target: v6}]}]\n",
            "underlay: {infra_link_net: 10.198.0.0/16, infra_lo_net: 10.199.0.0/16, mgmt_lo_net: 10.0.2.0/24}\n",
            "users: [{username: admin, uid: 1000, groups: [ALL]}]\ncli_append_str: ''\npoe_reboot_maintain: no\n",
            "vlan_groups: {A: [10, 20-30], B: 7}\nvxlan_vni_range: 100000-999999\nupgrade_post_waittime: {default: 600}\n",
            "interfaces: [{name: Ethernet1, ifclass: mirror, metric: 10, tagged_vlan_list: [10, 30-40]}]\n",
            "racks: [1]\nanything: {a: [b]}\n",
        ];
        for text in texts {
            assert_eq!(reported(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn filter_keys_are_read_only_in_settings_that_apply_them() {
        let of_groups = "ntp_servers: [{host: a, groups: [EDGE]}]\n";
        let of_devices = "ntp_servers: [{host: a, devices: [sw1]}]\n";
        let table = [
            ("global/base_system.yml", of_groups, ""),
            ("global/routing.yml", of_groups, ""),
            ("devices/sw1/routing.yml", of_groups, ""),
            ("global/vxlans.yml", of_devices, ""),
            (
                "global/base_system.yml",
                of_devices,
                "unknown key ntp_servers.devices",
            ),
            (
                "access/base_system.yml",
                of_groups,
                "unknown key ntp_servers.groups",
            ),
            (
                "global/base_system.yml",
                "ntp_servers: [{host: a, groups: EDGE}]\n",
                "ntp_servers.groups must be a list, is text",
            ),
        ];
        for (path, text, expected) in table {
            let problems = check(path.as_bytes(), text.as_bytes(), &Declarations::default());
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            match expected {
                "" => assert!(problems.is_empty(), "{path}: {problems:?}"),
                _ => assert!(
                    problems.len() == 1 && problems[0].contains(expected),
                    "{path}: {problems:?}"
                ),
            }
        }
    }

    #[test]
    fn a_problem_has_a_place_and_a_reason() {
        let table = [
            ("- a", "f:1:1: must be a map of settings, is a list"),
            (
                "ntp_server: []",
                "f:1:1: unknown key ntp_server; did you mean ntp_servers?",
            ),
            (
                "a: 1",
                "f:1:1: unknown key a; if it is intended, declare it in lockstep.yml: `extra_keys: {a: any}`",
            ),
            ("rack: []", "f:1:1: unknown key rack; did you mean racks?"),
            (
                "ntp_servers: 10.0.0.1",
                "f:1:14: ntp_servers must be a list, is text",
            ),
            ("ntp_servers:", "f:1:12: ntp_servers must be a list, is nothing"),
            (
                "ntp_servers: [10.0.0.1]",
                "f:1:15: ntp_servers must be a map, is text",
            ),
            (
                "ntp_servers:\n  - hots: a",
                "f:2:5: unknown key ntp_servers.hots; did you mean host?",
            ),
            (
                "ntp_servers: [{}]",
                "f:1:15: ntp_servers lacks the required key host",
            ),
            (
                "ntp_servers: [{host: 'a b'}]",
                "f:1:22: ntp_servers.host must be an IP address or a name, is other text",
            ),
            ("vxlans: []", "f:1:9: vxlans must be a map, is a list"),
            (
                "vxlans: {a: {vni: 1, vlan_id: 5000}}",
                "f:1:31: vxlans.vlan_id must be a number from 1 to 4095, is 5000",
            ),
            (
                "dot1x_fail_vlan: many",
                "f:1:18: dot1x_fail_vlan must be a number from 1 to 4095, is other text",
            ),
            (
                "dot1x_multi_host: 2",
                "f:1:19: dot1x_multi_host must be true or false, is a number",
            ),
            (
                "organization_name: 2024",
                "f:1:20: organization_name must be text, is a number; put it in quotes",
            ),
            ("racks: {}", "f:1:8: racks must be a list, is a map"),
            (
                "interfaces: [{name: a, ifclass: b, poe: c}]",
                "f:1:36: unknown key interfaces.poe; if it is intended, declare it in lockstep.yml: `extra_keys: {interfaces.poe: any}`",
            ),
            (
                "prefix_sets: {a: {mode: ipx, prefixes: []}}",
                "f:1:25: prefix_sets.mode must be one of ipv4, ipv6, mixed, is other text",
            ),
            (
                "underlay: {infra_lo_net: 10.0.0.0}",
                "f:1:26: underlay.infra_lo_net must be an IPv4 address with a prefix length, such as 10.0.0.1/24, is other text",
            ),
            (
                "groups: []",
                "f:1:1: unknown key groups; groups are defined in global/groups.yml",
            ),
        ];
        for (text, expected) in table {
            let reported = reported(text);
            // A mistyped required key is also a missing one.
            assert_eq!(
                reported.first().map(String::as_str),
                Some(expected),
                "{text}: {reported:?}"
            );
        }
    }

    #[test]
    fn all_problems_of_a_file_are_reported_up_to_a_limit() {
        assert_eq!(reported("ntp_servers: 1\nusers: 2\nx: 3\n").len(), 3);
        let large: Vec<String> = (0..5000).map(|number| format!("x{number}: 1")).collect();
        assert_eq!(
            reported(&large.join("\n")).len(),
            100,
            "the limit of problems per file"
        );
        assert_eq!(
            reported(&format!("ntp_servers: [{}]", "x, ".repeat(5000))).len(),
            100
        );
    }
}
