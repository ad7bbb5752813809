use std::collections::BTreeSet;

use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::results::{EventApplied, RejectedDevice};
use lockstep_protocol::{Hostname, counted};
use serde::Serialize;

/// The result of an import.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) devices: usize,
    pub(super) interfaces: usize,
    pub(super) links: usize,
    pub(super) management_domains: usize,
    pub(super) messages: usize,
    /// The number of devices whose sync flag changed.
    pub(super) flipped: u64,
    /// The number of devices that were not imported.
    pub(super) rejected: usize,
    /// Those of them that a worker named, with the reasons.
    pub(super) rejected_devices: Vec<RejectedDevice>,
    /// The number of links and management domains that were not imported.
    pub(super) left_out: usize,
    /// The hostnames that those name and no device has.
    pub(super) unknown_hostnames: BTreeSet<Hostname>,
    /// The devices that are no longer in an inventory that is imported again and again. They stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) no_longer_listed: Vec<String>,
    /// The devices that were marked as synchronized, so that their causes are closed.
    pub(super) marked: Vec<Hostname>,
}

/// The most marked devices that are printed.
pub(super) const MOST_NAMED: usize = 10;

impl Summary {
    pub(super) fn line(&self) -> String {
        let devices = counted(self.devices, "device");
        let interfaces = counted(self.interfaces, "interface");
        let between = if self.links + self.management_domains + self.left_out == 0 {
            String::new()
        } else {
            format!(
                ", {} and {}",
                counted(self.links, "link"),
                counted(self.management_domains, "management domain")
            )
        };
        format!(
            "imported {devices} and {interfaces}{between}; sync flags changed: {}",
            self.flipped
        )
    }

    /// What was not imported.
    pub(super) fn lacks(&self) -> Vec<String> {
        let devices = (self.rejected > 0).then(|| {
            let were = if self.rejected == 1 { "was" } else { "were" };
            format!("{} {were} not imported", counted(self.rejected, "device"))
        });
        let names: Vec<&str> = self
            .unknown_hostnames
            .iter()
            .take(MOST_NAMED)
            .map(Hostname::as_str)
            .collect();
        let unknown = (!names.is_empty()).then(|| {
            format!(
                "links and management domains name unknown devices; import these first: {}{}",
                names.join(", "),
                if self.unknown_hostnames.len() > names.len() {
                    ", …"
                } else {
                    ""
                }
            )
        });
        let between = match self.left_out {
            0 => None,
            1 => Some("1 link or management domain was not imported".to_owned()),
            many => Some(format!("{many} links or management domains were not imported")),
        };
        [devices, between, unknown].into_iter().flatten().collect()
    }

    /// Which devices are no longer in the inventory, and what to do.
    pub(super) fn no_longer_listed_line(&self) -> Option<String> {
        let names: Vec<&str> = self
            .no_longer_listed
            .iter()
            .take(MOST_NAMED)
            .map(String::as_str)
            .collect();
        let more = if self.no_longer_listed.len() > names.len() {
            ", …"
        } else {
            ""
        };
        (!names.is_empty()).then(|| {
            format!(
                "{} in Lockstep and not in this inventory: {}{more}; whoever is gone is removed by `lockstep devices remove HOST`",
                counted(self.no_longer_listed.len(), "device"),
                names.join(", ")
            )
        })
    }

    /// Whose causes were closed.
    pub(super) fn marked_line(&self) -> Option<String> {
        let names: Vec<&str> = self
            .marked
            .iter()
            .take(MOST_NAMED)
            .map(Hostname::as_str)
            .collect();
        let more = if self.marked.len() > names.len() {
            ", …"
        } else {
            ""
        };
        (!names.is_empty()).then(|| {
            format!(
                "marked {} as synchronized, with all causes until then: {}{more}",
                counted(self.marked.len(), "device"),
                names.join(", ")
            )
        })
    }

    /// Counts an applied message.
    pub(super) fn add(&mut self, chunk: &InventoryImported, applied: Option<EventApplied>) {
        let (mut rejected, mut marked, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
        if let Some(applied) = applied {
            self.flipped += applied.flipped;
            (rejected, marked) = (applied.rejected, applied.marked);
            unknown = applied.unknown_hostnames.into_iter().collect();
        }
        let are_known = |names: [&Hostname; 2]| !names.into_iter().any(|name| unknown.contains(name));
        let links = chunk.links.iter();
        let links = links
            .filter(|link| are_known([&link.a.hostname, &link.b.hostname]))
            .count();
        let domains = chunk.management_domains.iter();
        let domains = domains
            .filter(|domain| are_known([&domain.device_a, &domain.device_b]))
            .count();
        self.links += links;
        self.management_domains += domains;
        self.left_out += chunk.links.len() + chunk.management_domains.len() - links - domains;
        self.unknown_hostnames.extend(unknown);
        let is_rejected = |name: &Hostname| rejected.iter().any(|device| device.hostname == *name);
        let interfaces = chunk.interfaces.iter();
        self.interfaces += interfaces
            .filter(|interface| !is_rejected(&interface.hostname))
            .count();
        self.devices += chunk.devices.len().saturating_sub(rejected.len());
        self.rejected += rejected.len();
        self.rejected_devices.extend(rejected);
        self.marked.extend(marked);
    }
}
