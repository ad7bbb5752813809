//! The filters of network templates: those of netutils, of CNaaS NMS, and the common ones of Ansible.

mod address;
mod ansible;
mod arguments;
mod cnaas;
mod digest;
mod float;
mod netutils;
mod regex;

use std::sync::Arc;

use minijinja::Environment;

use regex::Regexes;

use netutils::mac_groups;

#[expect(unused_imports, reason = "the engine is not there yet")]
pub(crate) use address::{contains, plus, repr};

/// Adds all of them to an environment. A name that several have is CNaaS NMS's, else netutils', else Ansible's.
pub(crate) fn add_to(environment: &mut Environment<'_>) {
    let regexes = Arc::new(Regexes::default());
    ansible::add_to(environment, &regexes);
    netutils::add_to(environment, &regexes);
    arguments::add_filters(environment, cnaas::FILTERS, &regexes);
}
