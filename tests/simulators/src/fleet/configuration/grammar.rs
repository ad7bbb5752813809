//! What the model knows of the commands of EOS.

use super::pattern::{beginning, begins_with_any};

/// Commands of which there is one in a section: another one that begins with these words replaces it.
const SINGLE: &[&str] = &[
    "hostname",
    "dns domain",
    "ip domain-name",
    "clock timezone",
    "boot system",
    "transceiver qsfp default-mode",
    "service routing protocols model",
    "switchport default mode",
    "spanning-tree mode",
    "spanning-tree mst * priority",
    "enable password",
    "enable secret",
    "username * privilege",
    "username * role",
    "username * secret",
    "username * nopassword",
    "snmp-server location",
    "snmp-server contact",
    "snmp-server local-interface",
    "logging buffered",
    "logging trap",
    "logging facility",
    "logging source-interface",
    "logging format timestamp",
    "ntp local-interface",
    "ip virtual-router mac-address",
    "mac address-table aging-time",
    "lldp timer",
    "lldp holdtime",
    "aaa authentication login default",
    "aaa authentication login console",
    "aaa authentication enable default",
    "aaa authorization exec default",
    "aaa authorization commands all default",
    "aaa accounting exec default",
    "aaa accounting commands all default",
    "vlan internal order",
    "errdisable recovery interval",
    "banner login",
    "banner motd",
    "banner exec",
    "protocol https certificate",
    // Interfaces.
    "description",
    "mtu",
    "speed",
    "bandwidth",
    "load-interval",
    "vrf",
    "switchport mode",
    "switchport access vlan",
    "switchport trunk native vlan",
    "switchport trunk allowed vlan",
    "channel-group",
    "encapsulation dot1q vlan",
    "ip ospf cost",
    "ip ospf area",
    "ip ospf network",
    "isis metric",
    "mlag",
    "spanning-tree cost",
    "spanning-tree port-priority",
    "storm-control broadcast level",
    "storm-control multicast level",
    "qos trust",
    "service-policy type qos input",
    "ip access-group * in",
    "ip access-group * out",
    "vxlan source-interface",
    "vxlan udp-port",
    "vxlan vlan * vni",
    "vxlan vrf * vni",
    // VLANs, MLAG, protocols, management.
    "name",
    "state",
    "domain-id",
    "local-interface",
    "peer-address",
    "peer-link",
    "reload-delay mlag",
    "reload-delay non-mlag",
    "router-id",
    "rd",
    "maximum-paths",
    "max-lsa",
    "net",
    "is-type",
    "timers bgp",
    "distance bgp",
    "neighbor * remote-as",
    "neighbor * description",
    "neighbor * peer group",
    "neighbor * update-source",
    "neighbor * local-as",
    "neighbor * ebgp-multihop",
    "neighbor * maximum-routes",
    "neighbor * password",
    "neighbor * timers",
    "neighbor * weight",
    "set local-preference",
    "set metric",
    "idle-timeout",
    "exec",
];

/// Commands that open a section of the device.
const SECTIONS: &[&str] = &[
    "interface",
    "vlan *",
    "vrf instance",
    "router *",
    "ip access-list",
    "ipv6 access-list",
    "mac access-list",
    "route-map",
    "class-map",
    "policy-map",
    "peer-filter",
    "mlag configuration",
    "spanning-tree mst configuration",
    "aaa group server",
    "role",
    "daemon",
    "event-handler",
    "control-plane",
    "system control-plane",
    "management api *",
    "management ssh",
    "management console",
    "management telnet",
    "management security",
    "management cvx",
    "management tech-support",
    "monitor connectivity",
    "monitor telemetry *",
    "qos profile",
    "queue-monitor streaming",
    "hardware tcam",
    "traffic-policies",
    "dhcp server",
    "line",
    "ip security",
    "tap aggregation",
    "platform sfe",
];

/// Commands that begin like those of [`SECTIONS`] and open none.
const NO_SECTIONS: &[&str] = &["vlan internal"];

/// Commands that open a section in a section that begins with the first words.
const INNER_SECTIONS: &[(&str, &[&str])] = &[
    (
        "router bgp",
        &["address-family", "vrf", "vlan", "vlan-aware-bundle"],
    ),
    ("router isis", &["address-family"]),
    ("router ospfv3", &["address-family"]),
    ("router general", &["vrf"]),
    ("router multicast", &["ipv4", "ipv6", "vrf"]),
    ("router pim", &["ipv4", "ipv6", "vrf"]),
    ("vrf", &["address-family", "ipv4", "ipv6"]),
    ("management api", &["vrf", "transport", "provider"]),
    ("management ssh", &["vrf"]),
    ("management security", &["ssl profile", "password policy"]),
    ("policy-map", &["class"]),
    ("interface", &["tx-queue", "uc-tx-queue"]),
    ("event-handler", &["trigger"]),
    ("monitor connectivity", &["host", "vrf", "interface set"]),
];

/// Commands of the device that are one line. What is not listed belongs to the open section.
const GLOBAL: &[&str] = &[
    "hostname",
    "dns domain",
    "ip domain-name",
    "ip domain lookup",
    "ip name-server",
    "ip routing",
    "ip route",
    "ip prefix-list",
    "ip community-list",
    "ip as-path",
    "ip icmp",
    "ip dhcp relay information",
    "ip dhcp snooping",
    "ip arp inspection",
    "ip virtual-router mac-address",
    "ip radius",
    "ip tacacs",
    "ip ssh",
    "ip http",
    "ip ftp",
    "ipv6 unicast-routing",
    "ipv6 route",
    "ipv6 prefix-list",
    "ntp",
    "clock",
    "snmp-server",
    "logging host",
    "logging buffered",
    "logging trap",
    "logging console",
    "logging monitor",
    "logging facility",
    "logging format",
    "logging level",
    "logging source-interface",
    "logging vrf",
    "username",
    "enable password",
    "enable secret",
    "aaa authentication",
    "aaa authorization",
    "aaa accounting",
    "aaa root",
    "radius-server",
    "tacacs-server",
    "spanning-tree mode",
    "spanning-tree mst *",
    "spanning-tree vlan-id",
    "spanning-tree edge-port",
    "spanning-tree root",
    "lldp run",
    "lldp timer",
    "lldp holdtime",
    "lldp management-address",
    "mac address-table",
    "vlan internal",
    "switchport default mode",
    "transceiver qsfp",
    "service",
    "boot",
    "alias",
    "banner",
    "errdisable",
    "platform",
    "queue-monitor length",
    "qos map",
    "qos rewrite",
    "hardware counter",
    "hardware speed-group",
    "load-interval default",
    "schedule",
    "sflow",
    "monitor session",
    "terminal",
    "prompt",
];

/// Commands whose `no` form a device shows, because its default is the opposite.
const SHOWN_NEGATIVES: &[&str] = &[
    "aaa root",
    "logging console",
    "logging monitor",
    "lldp run",
    "lldp transmit",
    "lldp receive",
    "ip icmp redirect",
    "ip redirects",
    "snmp-server vrf default",
    "spanning-tree vlan-id",
    "spanning-tree mst configuration",
    "service interface inactive expose",
    "bgp default",
    "neighbor * activate",
    "switchport",
    "autostate",
    "errdisable detect cause",
];

/// Sections that are shut down by default, so that a device shows `no shutdown` in them.
const OFF_BY_DEFAULT: &[&str] = &[
    "management api",
    "management telnet",
    "daemon",
    "queue-monitor streaming",
    "monitor connectivity",
    "monitor telemetry",
];

/// Commands that are followed by lines, and the number of lines `EOF` that end them.
const MULTI_LINE: &[(&str, usize)] = &[
    ("banner login", 1),
    ("banner motd", 1),
    ("banner exec", 1),
    ("comment", 1),
    ("protocol https certificate", 2),
];

/// Sections whose order has a meaning, and whose entries have numbers.
const NUMBERED: &[&str] = &["ip access-list", "ipv6 access-list", "mac access-list"];

/// The bytes of a line that tell it from the others of its section.
pub(super) fn key(line: &str) -> usize {
    SINGLE
        .iter()
        .find_map(|pattern| beginning(pattern, line))
        .unwrap_or(line.len())
}

/// Whether the line opens a section in the section with this first line; `None`: at the top.
pub(super) fn opens(within: Option<&str>, line: &str) -> bool {
    match within {
        None => begins_with_any(SECTIONS, line) && !begins_with_any(NO_SECTIONS, line),
        Some(within) => INNER_SECTIONS
            .iter()
            .any(|(outer, inner)| beginning(outer, within).is_some() && begins_with_any(inner, line)),
    }
}

/// Whether the line is a command of the device, so that it ends the sections that are open.
pub(super) fn is_global(line: &str) -> bool {
    opens(None, line) || begins_with_any(GLOBAL, line)
}

/// Whether a device shows `no` before this command in this section.
pub(super) fn shows_negative(within: Option<&str>, command: &str) -> bool {
    if command == "shutdown" {
        return within.is_some_and(is_off_by_default);
    }
    begins_with_any(SHOWN_NEGATIVES, command) && (command != "switchport" || within.is_some_and(is_port))
}

/// Whether this command is the default of this section, so that a device does not show it.
pub(super) fn is_default(within: Option<&str>, command: &str) -> bool {
    match command {
        "shutdown" => within.is_some_and(is_off_by_default),
        "switchport" => within.is_some_and(is_port),
        _ => false,
    }
}

fn is_off_by_default(section: &str) -> bool {
    begins_with_any(OFF_BY_DEFAULT, section)
}

/// Whether the section is that of a port, which exists on every device.
pub(super) fn is_port(section: &str) -> bool {
    section.starts_with("interface Ethernet") || section.starts_with("interface Port-Channel")
}

/// The number of lines `EOF` that end the lines that follow this command, if lines follow it.
pub(super) fn multi_line(command: &str) -> Option<usize> {
    let known = MULTI_LINE.iter().find(|(known, _)| *known == command);
    known.map(|(_, ends)| *ends)
}

pub(super) fn is_numbered(section: &str) -> bool {
    begins_with_any(NUMBERED, section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_another_command_replaces() {
        let table = [
            ("hostname leaf1", "hostname"),
            (
                "switchport trunk allowed vlan 1,2",
                "switchport trunk allowed vlan",
            ),
            ("neighbor 10.0.0.1 remote-as 65000", "neighbor 10.0.0.1 remote-as"),
            ("ntp server 10.0.0.1", "ntp server 10.0.0.1"),
            ("foo", "foo"),
        ];
        for (line, expected) in table {
            assert_eq!(&line[..key(line)], expected);
        }
    }

    #[test]
    fn commands_open_sections_where_they_do_on_a_device() {
        let table = [
            (None, "interface Ethernet1", true),
            (None, "vlan 10", true),
            (None, "vlan internal order ascending range 1006 1199", false),
            (None, "vrf MGMT", false),
            (Some("interface Ethernet1"), "vrf MGMT", false),
            (Some("router bgp 65000"), "vrf MGMT", true),
            (Some("vrf MGMT"), "address-family ipv4", true),
            (Some("management api http-commands"), "vrf MGMT", true),
        ];
        for (within, line, expected) in table {
            assert_eq!(opens(within, line), expected, "{within:?}: {line}");
        }
    }
}
