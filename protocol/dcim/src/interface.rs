//! Interfaces: a change of a field that matters is an update of the configuration of the device.

use lockstep_protocol::InterfaceName;
use lockstep_protocol::events::{InterfaceUpdated, UpdateKind, UpdatedInterface};
use serde_json::{Map, Value};

use super::change::{Action, ObjectChange};
use super::field;
use super::mapping::{Event, hostname};
use super::rules::MappingRules;

/// The most bytes of the configuration of an interface. A longer one is left out; the device is flagged all the same.
const MAX_CONFIGURATION: usize = 64 * 1024;

pub(crate) fn events(change: &ObjectChange, rules: &MappingRules) -> Result<Vec<Event>, String> {
    if change.action == Action::Updated {
        let changed = field::changed(
            change.before.as_ref(),
            change.after.as_ref(),
            &rules.interface_fields,
        );
        if changed.is_empty() {
            return Err("no field that is part of the configuration of the interface changed".to_owned());
        }
    }
    let (device, name) = named(&change.object)?;
    let name = change.name().map_or(Ok(name), interface_name)?;
    let configuration = (change.action != Action::Deleted).then(|| configuration(&change.object, rules));
    let fits = |value: &Value| value.to_string().len() <= MAX_CONFIGURATION;
    let mut interfaces = vec![UpdatedInterface {
        name: name.clone(),
        configuration: configuration.filter(fits),
    }];
    let before = change.name_before().and_then(|name| interface_name(name).ok());
    let before = before.filter(|before| change.action == Action::Updated && *before != name);
    interfaces.extend(before.map(|name| UpdatedInterface {
        name,
        configuration: None,
    }));
    Ok(vec![Event::InterfaceUpdated(InterfaceUpdated {
        hostname: device,
        interfaces,
        kind: UpdateKind::Configuration,
    })])
}

/// The device and the name of an interface.
pub(crate) fn named(interface: &Value) -> Result<(lockstep_protocol::Hostname, InterfaceName), String> {
    let device = field::object(interface, "device").ok_or("the interface names no device")?;
    let id = field::id(device).unwrap_or_default();
    let device = hostname(field::text(device, "name"), &id)?;
    let name = field::text(interface, "name").ok_or("the interface has no name")?;
    Ok((device, interface_name(name)?))
}

fn interface_name(text: &str) -> Result<InterfaceName, String> {
    InterfaceName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// The fields that matter and have a value, with references as short as templates need them.
fn configuration(object: &Value, rules: &MappingRules) -> Value {
    let fields = rules.interface_fields.iter().filter(|name| *name != "name");
    let value = |name: &String| Some((name.clone(), short(name, object.get(name)?)?));
    fields.filter_map(value).collect::<Map<String, Value>>().into()
}

/// A value as it is kept: VLANs by number, other references by name, choices by value; nothing for what has no value.
fn short(name: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().filter_map(|item| short(name, item)).collect();
            (!items.is_empty()).then(|| items.into())
        }
        Value::Object(fields) if name == "custom_fields" => {
            let set: Map<String, Value> = fields
                .clone()
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect();
            (!set.is_empty()).then(|| set.into())
        }
        Value::Object(fields) => {
            let short = ["vid", "value", "slug", "name", "id"];
            short
                .into_iter()
                .find_map(|key| fields.get(key).filter(|value| !value.is_null()))
                .cloned()
        }
        plain => Some(plain.clone()),
    }
}
