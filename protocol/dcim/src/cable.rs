//! Cables: one between two interfaces of devices is a link, while it is connected.

use lockstep_protocol::events::{LinknetAction, LinknetChanged, LinknetEnd};
use serde_json::Value;

use super::change::{Action, ObjectChange, System};
use super::field;
use super::interface::named;
use super::mapping::Event;

/// The type of the objects whose cables are links.
const INTERFACE: &str = "dcim.interface";

/// The status of a cable that is in use.
const CONNECTED: &str = "connected";

pub(crate) fn events(change: &ObjectChange) -> Result<Vec<Event>, String> {
    let [a, b] = match change.system {
        System::NetBox => [
            netbox_end(&change.object, "a_terminations")?,
            netbox_end(&change.object, "b_terminations")?,
        ],
        System::Nautobot => [
            nautobot_end(&change.object, "termination_a")?,
            nautobot_end(&change.object, "termination_b")?,
        ],
    };
    let status = field::choice(&change.object, "status").unwrap_or(CONNECTED);
    let action = match change.action {
        Action::Deleted => LinknetAction::Removed,
        // A link takes the place of others at its interfaces, so one with other ends is added, too.
        Action::Updated if is_connected(status) && was_connected(change) && !ends_changed(change) => {
            return Err("neither the status nor an end of the cable changed".to_owned());
        }
        Action::Created | Action::Updated if is_connected(status) => LinknetAction::Added,
        Action::Updated if was_connected(change) => LinknetAction::Removed,
        Action::Created | Action::Updated => return Err(format!("the cable is {status}, and not connected")),
    };
    Ok(vec![Event::LinknetChanged(Box::new(LinknetChanged {
        action,
        a,
        b,
        previous: None,
    }))])
}

fn is_connected(status: &str) -> bool {
    status.eq_ignore_ascii_case(CONNECTED)
}

/// Whether the cable was connected before; if that is not known, it was.
fn was_connected(change: &ObjectChange) -> bool {
    let before = change
        .before
        .as_ref()
        .and_then(|before| field::choice(before, "status"));
    before.is_none_or(is_connected)
}

fn ends_changed(change: &ObjectChange) -> bool {
    let fields = [
        "a_terminations",
        "b_terminations",
        "termination_a_id",
        "termination_b_id",
    ];
    !field::changed(
        change.before.as_ref(),
        change.after.as_ref(),
        &fields.map(str::to_owned),
    )
    .is_empty()
}

/// NetBox: lists of `{"object_type": "dcim.interface", "object_id": 1, "object": {…}}`.
fn netbox_end(cable: &Value, list: &str) -> Result<LinknetEnd, String> {
    let ends = cable
        .get(list)
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let [end] = ends else {
        return Err(format!("the cable has {} {list}; a link has one", ends.len()));
    };
    check_type(field::text(end, "object_type"))?;
    linknet_end(field::object(end, "object").unwrap_or(&Value::Null))
}

/// Nautobot: `termination_a_type`, and `termination_a`, in which a webhook does not name the device.
fn nautobot_end(cable: &Value, end: &str) -> Result<LinknetEnd, String> {
    check_type(field::text(cable, &format!("{end}_type")))?;
    let end = field::object(cable, end).unwrap_or(&Value::Null);
    linknet_end(end).map_err(|reason| {
        format!("{reason}; the poll of the change log reads the devices at the ends of cables")
    })
}

fn check_type(found: Option<&str>) -> Result<(), String> {
    match found {
        Some(INTERFACE) => Ok(()),
        Some(other) => Err(format!("an end of the cable is a {other}, not an interface")),
        None => Err("an end of the cable is not known".to_owned()),
    }
}

fn linknet_end(interface: &Value) -> Result<LinknetEnd, String> {
    let (hostname, interface) = named(interface)?;
    Ok(LinknetEnd {
        hostname,
        interface,
        address: None,
    })
}
