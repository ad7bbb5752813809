//! The common filters of Ansible: its own, and those of `ansible.utils`, `ansible.netcommon` and `arista.avd`.

mod avd;
mod collections;
mod hardware;
mod ipaddr;
mod json;
mod netaddr;
mod networks;
mod pattern;
mod sets;
mod text;
mod values;
mod yaml;

use std::sync::Arc;

use minijinja::Environment;

use super::arguments::{Filter, add_filters, add_filters_of};
use super::regex::Regexes;

/// The collections of Ansible, with the filters that are theirs.
const COLLECTIONS: &[(&str, &[&[Filter]])] = &[
    (
        "ansible.builtin",
        &[
            collections::FILTERS,
            json::FILTERS,
            sets::FILTERS,
            text::FILTERS,
            values::FILTERS,
            yaml::FILTERS,
        ],
    ),
    (
        "ansible.utils",
        &[hardware::FILTERS, ipaddr::FILTERS, networks::FILTERS],
    ),
    // What moved to ansible.utils has its old name too.
    (
        "ansible.netcommon",
        &[
            hardware::FILTERS,
            ipaddr::FILTERS,
            networks::FILTERS,
            networks::NETCOMMON,
        ],
    ),
];

pub(super) fn add_to(environment: &mut Environment<'_>, regexes: &Arc<Regexes>) {
    for (collection, all) in COLLECTIONS {
        for filters in *all {
            add_filters(environment, filters, regexes);
            add_filters_of(collection, environment, filters, regexes);
        }
    }
    add_filters(environment, pattern::FILTERS, regexes);
    add_filters_of("ansible.builtin", environment, pattern::BUILTIN, regexes);
    add_filters_of("arista.avd", environment, avd::FILTERS, regexes);
    avd::add_tests(environment);
    values::add_omit(environment);
}
