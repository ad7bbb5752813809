//! Neighbours by configuration: an interface names one in the key `neighbor` of its configuration (`docs/reference/sync-rules.md`). Pure.

use std::collections::BTreeSet;

use lockstep_protocol::Hostname;
use serde_json::Value;

/// A device one of whose interfaces names another one as its neighbour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbor {
    /// The device that is named.
    pub(super) of: Hostname,
    /// The device that has the interface.
    pub(super) hostname: Hostname,
}

/// The device, among these, that the configuration of an interface names as its neighbour.
pub(super) fn named_by(configuration: &str, devices: &BTreeSet<Hostname>) -> Option<Hostname> {
    let configuration: Value = serde_json::from_str(configuration).ok()?;
    let neighbor: Hostname = configuration.get("neighbor")?.as_str()?.parse().ok()?;
    devices.contains(&neighbor).then_some(neighbor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbor_is_the_text_of_a_key() {
        let devices: BTreeSet<Hostname> = ["sw1", "sw2"].iter().map(|name| name.parse().unwrap()).collect();
        for (configuration, expected) in [
            (r#"{"neighbor": "sw1"}"#, Some("sw1")),
            (r#"{"ifclass": "downlink", "neighbor": "sw2"}"#, Some("sw2")),
            (r#"{"neighbor": "sw10"}"#, None),
            (r#"{"neighbor": "SW1"}"#, None),
            (r#"{"neighbor": ["sw1"]}"#, None),
            (r#"{"neighbor": "not a name"}"#, None),
            (r#"{"description": "sw1", "neighbors": "sw1"}"#, None),
            (r#"{"deep": {"neighbor": "sw1"}}"#, None),
            (r#""neighbor sw1""#, None),
            ("no JSON with \"neighbor\" sw1", None),
        ] {
            let found = named_by(configuration, &devices);
            assert_eq!(found.as_ref().map(Hostname::as_str), expected, "{configuration}");
        }
    }
}
