//! The filters of Ansible.

use minijinja::Environment;

pub(super) fn add_to(_environment: &mut Environment<'_>) {}
