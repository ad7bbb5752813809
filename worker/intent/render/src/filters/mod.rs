//! The filters of network templates: those of netutils, of CNaaS NMS, and the common ones of Ansible.

mod address;
mod ansible;
mod arguments;
mod cnaas;
mod digest;
mod netutils;
mod regex;

use std::sync::Arc;

use minijinja::Environment;

pub(crate) use address::{as_number, contains, is_network, repr};
use netutils::mac_groups;
use regex::Regexes;

/// Adds all of them to an environment. A name that several have is CNaaS NMS's, else netutils', else Ansible's.
pub(crate) fn add_to(environment: &mut Environment<'_>) {
    let regexes = Arc::new(Regexes::default());
    ansible::add_to(environment, &regexes);
    netutils::add_to(environment, &regexes);
    arguments::add_filters(environment, cnaas::FILTERS, &regexes);
}
