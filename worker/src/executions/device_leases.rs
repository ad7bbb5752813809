//! The leases that an element needs: of its device, and of the devices that it stands for as a controller, all or none. Pure.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_protocol::Hostname;
use lockstep_store::{BeginElement, CandidateElement};

/// The devices that an element leases.
pub(super) fn devices(element: &CandidateElement) -> BTreeSet<Hostname> {
    let own = element.device.iter().map(|device| &device.hostname);
    own.chain(&element.others).cloned().collect()
}

/// Leases that were acquired in a claim, by hostname, with their fences.
#[derive(Debug)]
pub(super) struct AcquiredLeases(pub(super) BTreeMap<Hostname, i64>);

impl AcquiredLeases {
    /// Takes all leases that an element needs, and leaves the others.
    ///
    /// # Errors
    /// The first device whose lease is not there: the element waits for it, and takes nothing.
    pub(super) fn take(&mut self, element: &CandidateElement) -> Result<BeginElement, Hostname> {
        let needed = devices(element);
        if let Some(missing) = needed.iter().find(|hostname| !self.0.contains_key(*hostname)) {
            return Err(missing.clone());
        }
        let own = element.device.as_ref().map(|device| &device.hostname);
        let fence = own.and_then(|own| self.0.remove(own));
        let others = needed.into_iter().filter_map(|hostname| {
            let fence = self.0.remove(&hostname)?;
            Some((hostname, fence))
        });
        Ok(BeginElement {
            number: element.number,
            fence,
            others: others.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::EntityType;
    use lockstep_store::{ElementDevice, ManagementEndpoint};

    use super::*;

    fn hostname(name: &str) -> Hostname {
        name.parse().unwrap()
    }

    fn element(number: u64, device: Option<&str>, others: &[&str]) -> CandidateElement {
        CandidateElement {
            number,
            execution: 1,
            entity_type: EntityType::Device,
            entity: number,
            name: "name".to_owned(),
            device: device.map(|name| ElementDevice {
                id: number,
                hostname: hostname(name),
                management_ip: None,
                endpoint: ManagementEndpoint::default(),
                platform: None,
                groups: Vec::new(),
            }),
            others: others.iter().map(|name| hostname(name)).collect(),
            attempts: 0,
            stage: 0,
            whole: true,
            item: None,
        }
    }

    #[test]
    fn an_element_takes_all_leases_that_it_needs_or_none() {
        let acquired = [("a", 1), ("b", 2), ("c", 3), ("e", 5)];
        let mut leases = AcquiredLeases(acquired.map(|(name, fence)| (hostname(name), fence)).into());
        let table = [
            // device, others; the fences of the others, or what it waits for
            (Some("b"), vec!["d", "a"], Err("d")),
            (Some("b"), vec!["c", "a"], Ok((Some(2), vec![("a", 1), ("c", 3)]))),
            (Some("a"), vec![], Err("a")),
            (None, vec![], Ok((None, vec![]))),
            (Some("f"), vec!["e"], Err("f")),
        ];
        for (number, (device, others, expected)) in (1..).zip(table) {
            let taken = leases.take(&element(number, device, &others));
            let expected = expected.map(|(fence, others)| BeginElement {
                number,
                fence,
                others: others
                    .iter()
                    .map(|(name, fence)| (hostname(name), *fence))
                    .collect(),
            });
            assert_eq!(taken, expected.map_err(hostname));
        }
        assert_eq!(leases.0, [(hostname("e"), 5)].into());
    }
}
