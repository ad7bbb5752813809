//! The filters of network templates: those of netutils, of CNaaS NMS, and the common ones of Ansible.

mod ansible;
mod network;

use minijinja::Environment;

/// Adds all of them to an environment.
pub(crate) fn add_to(environment: &mut Environment<'_>) {
    network::add_to(environment);
    ansible::add_to(environment);
}
