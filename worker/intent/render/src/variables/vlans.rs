use std::collections::HashMap;

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::json::of_json;
use crate::settings::{DeviceSettings, entries};

/// The VLANs of a device by name.
#[derive(Debug)]
pub(super) struct Vlans(HashMap<String, Value>);

impl Vlans {
    /// The names and ids of the vxlans in the settings.
    pub(super) fn of(settings: &DeviceSettings) -> Self {
        let vxlans = settings.get("vxlans").map(entries).unwrap_or_default();
        let named = vxlans.iter().filter_map(|(_, vxlan)| {
            let name = vxlan.get_attr("vlan_name").ok()?;
            Some((name.as_str()?.to_owned(), vxlan.get_attr("vlan_id").ok()?))
        });
        // The first of a name counts.
        let mut ids = HashMap::new();
        for (name, id) in named {
            ids.entry(name).or_insert(id);
        }
        Self(ids)
    }

    /// The id of a VLAN: a number is one; none if no vxlan has the name.
    pub(super) fn id(&self, vlan: &serde_json::Value) -> Option<Value> {
        match vlan {
            serde_json::Value::Number(_) => Some(of_json(vlan)),
            serde_json::Value::String(name) => {
                let id = self.0.get(name).filter(|id| id.kind() == ValueKind::Number);
                id.cloned().or_else(|| Some(name.parse::<u16>().ok()?.into()))
            }
            _ => None,
        }
    }
}
