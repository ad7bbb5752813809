//! The filters of netutils 1.19.2 that it offers to Jinja2.

mod asn;
mod bandwidth;
mod config;
mod crypt;
mod interface;
mod ip;
mod mac;
mod password;
mod pattern;
mod tables;
mod text;
mod version;
mod vlan;

use std::sync::Arc;

use minijinja::Environment;

use super::arguments::{Filter, add_filters, invalid};
use super::regex::Regexes;

pub(super) use mac::grouped as mac_groups;
pub(super) use pattern::search as regex_search;

/// Filters that need the network, tables that are not part of the program, or parsers of running configurations, with the reason why
/// they are left out.
const LEFT_OUT: &[(&str, &str)] = &[
    ("fqdn_to_ip", "a template has no access to the network"),
    ("is_fqdn_resolvable", "a template has no access to the network"),
    ("tcp_ping", "a template has no access to the network"),
    (
        "get_nist_urls",
        "addresses of NIST's database are not part of the program",
    ),
    (
        "get_nist_vendor_platform_urls",
        "addresses of NIST's database are not part of the program",
    ),
    ("get_napalm_getters", "it lists methods of Python's napalm"),
    ("get_oui", "the table of manufacturers is not part of the program"),
    (
        "config_compliance",
        "running configurations are not parsed in templates",
    ),
    (
        "config_section_not_parsed",
        "running configurations are not parsed in templates",
    ),
    (
        "diff_network_config",
        "running configurations are not parsed in templates",
    ),
    (
        "feature_compliance",
        "running configurations are not parsed in templates",
    ),
    (
        "section_config",
        "running configurations are not parsed in templates",
    ),
    (
        "paloalto_panos_brace_to_set",
        "running configurations are not parsed in templates",
    ),
    (
        "paloalto_panos_clean_newlines",
        "running configurations are not parsed in templates",
    ),
];

pub(super) fn add_to(environment: &mut Environment<'_>, regexes: &Arc<Regexes>) {
    let all: [&[Filter]; 11] = [
        asn::FILTERS,
        bandwidth::FILTERS,
        config::FILTERS,
        interface::FILTERS,
        ip::FILTERS,
        mac::FILTERS,
        password::FILTERS,
        pattern::FILTERS,
        text::FILTERS,
        version::FILTERS,
        vlan::FILTERS,
    ];
    for filters in all {
        add_filters(environment, filters, regexes);
    }
    for &(name, reason) in LEFT_OUT {
        environment.add_filter(
            name,
            move |_: minijinja::value::Rest<minijinja::value::ValueOrKwargs>| {
                Err::<String, _>(invalid(format!("it is not supported: {reason}")))
            },
        );
    }
}
