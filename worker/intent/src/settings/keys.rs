//! The keys that CNaaS NMS documents for settings (up to release 1.9), and the shapes of their values. Only keys that identify an
//! item are required, since releases differ in which keys belong together. CNaaS NMS ignores unknown keys; Lockstep rejects them.

use super::shape::Shape::{
    self, Boolean, Host, Ipv4, Ipv4Prefix, Ipv6, Ipv6Prefix, List, Named, Number, NumberOrText, OneOrMore,
    Optional, Prefix, Record, Text, Word,
};
use super::shape::{Default, Field};

const fn field(key: &'static str, shape: Shape) -> Field {
    Field {
        key,
        shape,
        required: false,
        default: Default::OfShape,
    }
}

const fn with_default(key: &'static str, shape: Shape, default: Default) -> Field {
    Field {
        key,
        shape,
        required: false,
        default,
    }
}

const fn required(key: &'static str, shape: Shape) -> Field {
    Field {
        key,
        shape,
        required: true,
        default: Default::Absent,
    }
}

const VLAN: Shape = Number(1, 4095);
const OPTIONAL_VLAN: Shape = Optional(&VLAN);
const PORT: Shape = Optional(&Number(0, 65_535));
const MTU: Shape = Optional(&Number(68, 9214));
const AS_NUMBER: Shape = Number(1, 4_294_967_295);
const OPTIONAL_TEXT: Shape = Optional(&Text);
const OPTIONAL_BOOLEAN: Shape = Optional(&Boolean);
const TEXTS: Shape = List(&Text);
const OPTIONAL_TEXTS: Shape = Optional(&TEXTS);
const HOSTS: Shape = List(&Record(&[required("host", Host)]));
const HOSTS_AND_PORTS: Shape = List(&Record(&[required("host", Host), field("port", PORT)]));

/// The keys of a settings file.
pub(super) static ROOT: &[Field] = &[
    field("ntp_servers", HOSTS),
    field("radius_servers", HOSTS_AND_PORTS),
    field("syslog_servers", HOSTS_AND_PORTS),
    field("snmp_servers", HOSTS_AND_PORTS),
    field("dns_servers", HOSTS),
    field("flow_collectors", HOSTS_AND_PORTS),
    field("dhcp_relays", Optional(&HOSTS)),
    field("interfaces", List(&Record(INTERFACE))),
    field("vrfs", List(&Record(VRF))),
    field("vxlans", Named(&Record(VXLAN))),
    field("vlan_groups", Named(&OneOrMore(&NumberOrText))),
    field("underlay", Optional(&Record(UNDERLAY))),
    field("evpn_peers", List(&Record(&[required("hostname", Host)]))),
    field(
        "extroute_static",
        Optional(&Record(&[field("vrfs", List(&Record(STATIC_VRF)))])),
    ),
    field(
        "extroute_ospfv3",
        Optional(&Record(&[field("vrfs", List(&Record(OSPF_VRF)))])),
    ),
    field(
        "extroute_bgp",
        Optional(&Record(&[field("vrfs", List(&Record(BGP_VRF)))])),
    ),
    field("internal_vlans", Optional(&Record(INTERNAL_VLANS))),
    field("banner_login", OPTIONAL_TEXT),
    field("banner_motd", OPTIONAL_TEXT),
    field("dot1x_fail_vlan", OPTIONAL_VLAN),
    with_default("dot1x_multi_host", Boolean, Default::Boolean(false)),
    with_default("poe_reboot_maintain", Boolean, Default::Boolean(false)),
    with_default("cli_prepend_str", Text, Default::Text("")),
    with_default("cli_append_str", Text, Default::Text("")),
    with_default("organization_name", Text, Default::Text("")),
    field("domain_name", Optional(&Host)),
    field("users", List(&Record(USER))),
    field("interface_tag_options", Named(&Record(TAG_OPTION))),
    field("port_template_options", Named(&Record(PORT_TEMPLATE_OPTION))),
    field("vxlan_vni_range", OPTIONAL_TEXT),
    field("arista_models_32bit", OPTIONAL_TEXTS),
    field("arista_models_arm", OPTIONAL_TEXTS),
    field("upgrade_post_waittime", Named(&Number(0, 86_400))),
    field("system_access_lists", TEXTS),
    field("external_routing_policies", TEXTS),
    field("prefix_sets", Named(&Record(PREFIX_SET))),
    field("routing_policies", Named(&Record(ROUTING_POLICY))),
];

const INTERFACE: &[Field] = &[
    required("name", Text),
    field("ifclass", Text),
    with_default("redundant_link", Boolean, Default::Boolean(true)),
    field("config", OPTIONAL_TEXT),
    field("description", OPTIONAL_TEXT),
    field("enabled", OPTIONAL_BOOLEAN),
    field("untagged_vlan", OPTIONAL_VLAN),
    field("tagged_vlan_list", Optional(&List(&NumberOrText))),
    field("aggregate_id", Optional(&Number(-1, 65_535))),
    field("tags", OPTIONAL_TEXTS),
    field("vrf", OPTIONAL_TEXT),
    field("ipv4_address", Optional(&Ipv4Prefix)),
    field("ipv6_address", Optional(&Ipv6Prefix)),
    field("mtu", MTU),
    field("metric", Optional(&Number(0, 4_294_967_295))),
    field("acl_ipv4_in", OPTIONAL_TEXT),
    field("acl_ipv4_out", OPTIONAL_TEXT),
    field("acl_ipv6_in", OPTIONAL_TEXT),
    field("acl_ipv6_out", OPTIONAL_TEXT),
    with_default("cli_append_str", Text, Default::Text("")),
];

const TAG_OPTION: &[Field] = &[field("description", Text), field("groups", OPTIONAL_TEXTS)];

const PORT_TEMPLATE_OPTION: &[Field] = &[
    field("description", Text),
    // The documentation and the code of CNaaS NMS disagree on the name of this key.
    field("vlan_config", Word(&["tagged", "untagged", "none"])),
    field("vlan_option", Word(&["tagged", "untagged", "none"])),
    field("groups", OPTIONAL_TEXTS),
];

const VRF: &[Field] = &[
    required("name", Text),
    field("vrf_id", Number(1, 65_535)),
    field("import_route_targets", TEXTS),
    field("export_route_targets", TEXTS),
    field("import_policy", OPTIONAL_TEXT),
    field("export_policy", OPTIONAL_TEXT),
    field("groups", TEXTS),
];

const VXLAN: &[Field] = &[
    field("description", OPTIONAL_TEXT),
    with_default("enabled", Boolean, Default::Boolean(true)),
    field("vni", Number(1, 16_777_215)),
    field("vrf", OPTIONAL_TEXT),
    field("vlan_id", VLAN),
    field("vlan_name", Text),
    field("ipv4_gw", Optional(&Ipv4Prefix)),
    field("ipv4_secondaries", Optional(&List(&Ipv4Prefix))),
    field("ipv6_gw", Optional(&Ipv6Prefix)),
    field("dhcp_relays", Optional(&HOSTS)),
    field("mtu", MTU),
    with_default("vxlan_host_route", Boolean, Default::Boolean(true)),
    field("igmp_snooping", Record(IGMP_SNOOPING)),
    field("acl_ipv4_in", OPTIONAL_TEXT),
    field("acl_ipv4_out", OPTIONAL_TEXT),
    field("acl_ipv6_in", OPTIONAL_TEXT),
    field("acl_ipv6_out", OPTIONAL_TEXT),
    with_default("cli_append_str", Text, Default::Text("")),
    field("groups", TEXTS),
    field("devices", TEXTS),
    field("tags", TEXTS),
];

const IGMP_SNOOPING: &[Field] = &[
    field("enabled", Boolean),
    field(
        "querier",
        Optional(&Record(&[
            field("enabled", Boolean),
            field("query_interval", Optional(&Number(1, 3600))),
            field("version", Optional(&Number(1, 3))),
        ])),
    ),
];

const UNDERLAY: &[Field] = &[
    field("infra_lo_net", Ipv4Prefix),
    field("infra_link_net", Ipv4Prefix),
    field("mgmt_lo_net", Ipv4Prefix),
    field("bgp_asn", Optional(&AS_NUMBER)),
];

const STATIC_VRF: &[Field] = &[
    required("name", Text),
    field(
        "ipv4",
        Optional(&List(&Record(&[
            field("destination", Ipv4Prefix),
            field("nexthop", Ipv4),
            field("interface", OPTIONAL_TEXT),
            field("name", Text),
            with_default("cli_append_str", Text, Default::Text("")),
        ]))),
    ),
    field(
        "ipv6",
        Optional(&List(&Record(&[
            field("destination", Ipv6Prefix),
            field("nexthop", Ipv6),
            field("interface", OPTIONAL_TEXT),
            field("name", Text),
            with_default("cli_append_str", Text, Default::Text("")),
        ]))),
    ),
];

const OSPF_VRF: &[Field] = &[
    required("name", Text),
    field("ipv4_redist_routefilter", OPTIONAL_TEXT),
    field("ipv6_redist_routefilter", OPTIONAL_TEXT),
    with_default("cli_append_str", Text, Default::Text("")),
];

const BGP_VRF: &[Field] = &[
    required("name", Text),
    field("local_as", AS_NUMBER),
    field("neighbor_v4", List(&Record(NEIGHBOR_V4))),
    field("neighbor_v6", List(&Record(NEIGHBOR_V6))),
    with_default("cli_append_str", Text, Default::Text("")),
];

const NEIGHBOR_V4: &[Field] = &[
    field("peer_ipv4", Ipv4),
    field("peer_as", AS_NUMBER),
    field("route_map_in", Text),
    field("route_map_out", Text),
    field("description", Text),
    field("bfd", OPTIONAL_BOOLEAN),
    field("graceful_restart", OPTIONAL_BOOLEAN),
    field("next_hop_self", OPTIONAL_BOOLEAN),
    field("update_source", OPTIONAL_TEXT),
    field("ebgp_multihop", Optional(&Number(1, 255))),
    field("maximum_routes", Optional(&Number(0, 4_294_967_294))),
    field("remove_private_as", Optional(&Word(&["all", "replace"]))),
    field("auth_type", OPTIONAL_TEXT),
    field("auth_string", OPTIONAL_TEXT),
    with_default("cli_append_str", Text, Default::Text("")),
];

const NEIGHBOR_V6: &[Field] = &[
    field("peer_ipv6", Ipv6),
    field("peer_as", AS_NUMBER),
    field("route_map_in", Text),
    field("route_map_out", Text),
    field("description", Text),
    field("bfd", OPTIONAL_BOOLEAN),
    field("graceful_restart", OPTIONAL_BOOLEAN),
    field("next_hop_self", OPTIONAL_BOOLEAN),
    field("update_source", OPTIONAL_TEXT),
    field("ebgp_multihop", Optional(&Number(1, 255))),
    field("maximum_routes", Optional(&Number(0, 4_294_967_294))),
    field("remove_private_as", Optional(&Word(&["all", "replace"]))),
    field("auth_type", OPTIONAL_TEXT),
    field("auth_string", OPTIONAL_TEXT),
    with_default("cli_append_str", Text, Default::Text("")),
];

const INTERNAL_VLANS: &[Field] = &[
    field("vlan_id_low", VLAN),
    field("vlan_id_high", VLAN),
    field("allocation_order", Text),
];

const USER: &[Field] = &[
    required("username", Text),
    field("ssh_key", OPTIONAL_TEXT),
    field("uid", Optional(&Number(0, 4_294_967_295))),
    field("password_hash_arista", OPTIONAL_TEXT),
    field("password_hash_cisco", OPTIONAL_TEXT),
    field("password_hash_juniper", OPTIONAL_TEXT),
    field("permission_arista", OPTIONAL_TEXT),
    field("permission_cisco", OPTIONAL_TEXT),
    field("permission_juniper", OPTIONAL_TEXT),
    field("groups", TEXTS),
];

const PREFIX_SET: &[Field] = &[
    field("mode", Word(&["ipv4", "ipv6", "mixed"])),
    field(
        "prefixes",
        List(&Record(&[
            field("prefix", Prefix),
            field("masklength_range", Optional(&NumberOrText)),
        ])),
    ),
    field("groups", TEXTS),
];

const ROUTING_POLICY: &[Field] = &[field(
    "statements",
    List(&Record(&[
        field("action", Word(&["accept", "reject"])),
        field(
            "conditions",
            List(&Record(&[field("match_type", Text), field("match_target", Text)])),
        ),
    ])),
)];
