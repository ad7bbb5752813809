//! Links and management domains of an inventory.

use std::collections::HashMap;

use lockstep_protocol::events::{ImportedLink, ImportedManagementDomain};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::InventoryError;

/// Links and management domains, each with its place in a file.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) links: Vec<(String, ImportedLink)>,
    pub(super) management_domains: Vec<(String, ImportedManagementDomain)>,
}

impl Surroundings {
    /// The links and management domains without their places, or all problems: of these, and of what a worker would refuse.
    pub(super) fn checked(
        self,
        mut problems: Vec<String>,
    ) -> Result<(Vec<ImportedLink>, Vec<ImportedManagementDomain>), InventoryError> {
        self.check(&mut problems);
        if !problems.is_empty() {
            return Err(InventoryError(problems));
        }
        let links = self.links.into_iter().map(|(_, link)| link);
        let domains = self.management_domains.into_iter().map(|(_, domain)| domain);
        Ok((links.collect(), domains.collect()))
    }

    /// An interface has one link at most, a management domain has two devices, and a number of its own.
    fn check(&self, problems: &mut Vec<String>) {
        let mut ends = HashMap::new();
        for (place, link) in &self.links {
            for end in [&link.a, &link.b] {
                if let Some(before) = ends.insert((&end.hostname, &end.interface), place) {
                    let (interface, hostname) = (&end.interface, &end.hostname);
                    problems.push(if before == place {
                        format!("{place}: begins and ends at {interface} of {hostname}")
                    } else {
                        format!("{place}: ends at {interface} of {hostname}, as does {before}")
                    });
                }
            }
        }
        let mut ids = HashMap::new();
        for (place, domain) in &self.management_domains {
            if domain.device_a == domain.device_b {
                problems.push(format!("{place}: names {} twice", domain.device_a));
            }
            if let Some(before) = ids.insert(domain.id, place) {
                problems.push(format!("{place}: has the same id as {before}"));
            }
        }
    }
}

/// Reads a link or a management domain. An error begins with the name of the field.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}
