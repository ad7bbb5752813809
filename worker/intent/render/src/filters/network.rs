//! The filters of netutils and CNaaS NMS.

use minijinja::Environment;

pub(super) fn add_to(_environment: &mut Environment<'_>) {}
