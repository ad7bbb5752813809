//! Provisioning with every pair of device types: what links flag does not depend on the types (`docs/reference/sync-rules.md`).

use lockstep_protocol::{Cause, DeviceType, Kind};
use serde_json::json;

use super::super::fixtures::{causes, device, facts, flips, hostname, link, message, process};

const TYPES: [DeviceType; 5] = [
    DeviceType::UNKNOWN,
    DeviceType::ACCESS,
    DeviceType::DIST,
    DeviceType::CORE,
    DeviceType::FIREWALL,
];

/// Whether the neighbour is known, whether the link is; the causes of the new device, and of the neighbour.
type Case = (bool, bool, &'static [Cause], &'static [Cause]);

const CASES: [Case; 3] = [
    (
        true,
        false,
        &[Cause::DeviceInit, Cause::LinknetCreated],
        &[Cause::LinknetCreated],
    ),
    (true, true, &[Cause::DeviceInit], &[]),
    (false, false, &[Cause::DeviceInit], &[]),
];

#[test]
fn every_pair_of_types_is_flagged_alike_with_and_without_a_link() {
    for new_type in TYPES {
        for neighbor_type in TYPES {
            for (is_known, has_link, of_new, of_neighbor) in CASES {
                let neighbor = device("old1", |row| row.attributes.device_type = neighbor_type.clone());
                let mut facts = facts(is_known.then_some(neighbor));
                let the_link = link(("new1", "E1"), ("old1", "E9"));
                if has_link {
                    facts.add_device(device("new1", |_| ()));
                    facts.add_link(the_link.clone(), true, None);
                }
                let neighbors =
                    [json!({"interface": "E1", "neighbor_hostname": "old1", "neighbor_interface": "E9"})];
                let data = json!({"hostname": "new1", "device_type": new_type, "platform": "eos", "neighbors": neighbors});
                let (decision, _) =
                    process(&message(Kind::DeviceProvisioned, 10, &data), &mut facts).unwrap();
                let what = format!("{new_type} beside {neighbor_type}, known: {is_known}, link: {has_link}");
                assert_eq!(causes(&facts, "new1"), of_new, "{what}");
                assert_eq!(facts.has_link(&the_link), is_known, "{what}");
                let told = decision.event_applied();
                if is_known {
                    assert_eq!(causes(&facts, "old1"), of_neighbor, "{what}");
                    assert_eq!(told.unknown_hostnames, flips(&[]), "{what}");
                } else {
                    assert!(facts.device(&hostname("old1")).is_none(), "{what}");
                    assert_eq!(told.unknown_hostnames, flips(&["old1"]), "{what}");
                }
            }
        }
    }
}
