//! IP addresses: one at an interface is part of the configuration of its device.

use lockstep_protocol::events::{InterfaceUpdated, UpdateKind, UpdatedInterface};

use super::change::{Action, ObjectChange, System};
use super::field;
use super::interface::named;
use super::mapping::Event;

pub(crate) fn events(change: &ObjectChange) -> Result<Vec<Event>, String> {
    if change.system == System::Nautobot {
        return Err("Nautobot keeps which interface has an address in another type of object".to_owned());
    }
    let of_interface = field::text(&change.object, "assigned_object_type") == Some("dcim.interface");
    let interface = field::object(&change.object, "assigned_object").filter(|_| of_interface);
    let interface = interface.ok_or("the address is at no interface of a device")?;
    let fields = ["address", "vrf", "role", "status", "assigned_object_id"].map(str::to_owned);
    let changed = field::changed(change.before.as_ref(), change.after.as_ref(), &fields);
    if change.action == Action::Updated && changed.is_empty() {
        return Err("no field that is part of the configuration of the interface changed".to_owned());
    }
    let (hostname, name) = named(interface)?;
    Ok(vec![Event::InterfaceUpdated(InterfaceUpdated {
        hostname,
        interfaces: vec![UpdatedInterface {
            name,
            configuration: None,
        }],
        kind: UpdateKind::Configuration,
    })])
}
