//! Devices: new and changed ones are imported, under their names before a change of name.

use std::net::IpAddr;

use lockstep_protocol::bounds::{MAX_LABEL, MAX_OBJECT};
use lockstep_protocol::events::{
    DeviceRemoved, DeviceRenamed, DeviceStateChanged, ImportedDevice, ImportedGroup, InventoryImported,
};
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname};
use serde_json::{Map, Value, json};

use super::change::{Action, ObjectChange};
use super::field;
use super::mapping::{Event, hostname};
use super::rules::{GroupKind, MappingRules};

/// The fields that become attributes, groups and data of a device.
const FIELDS: [&str; 16] = [
    "role",
    "device_role",
    "device_type",
    "platform",
    "serial",
    "primary_ip4",
    "primary_ip6",
    "site",
    "location",
    "rack",
    "tenant",
    "status",
    "tags",
    "custom_fields",
    "local_context_data",
    "config_context",
];

/// What is left out of the data of a device until it fits, in this order.
const OMITTED_FIRST: [&str; 3] = ["config_context", "local_context_data", "custom_fields"];

pub(crate) fn events(change: &ObjectChange, rules: &MappingRules) -> Result<Vec<Event>, String> {
    let device_type = device_type(&change.object, rules)?;
    let name = hostname(change.name(), &change.object_id)?;
    if change.action == Action::Deleted {
        return Ok(vec![Event::Removed(DeviceRemoved { hostname: name })]);
    }
    // Of names that were none for Lockstep, the device has another one now.
    let renamed = change
        .name_before()
        .and_then(|name| name.parse::<Hostname>().ok());
    let renamed = renamed.filter(|before| change.action == Action::Updated && *before != name);
    let mut events = Vec::new();
    if renamed.is_none() || attributes_changed(change) {
        let known_as = renamed.clone().unwrap_or_else(|| name.clone());
        events.push(imported(&known_as, device_type, change, rules));
    }
    events.extend(state_changed(renamed.as_ref().unwrap_or(&name), change, rules));
    if let Some(before) = renamed {
        events.push(Event::Renamed(DeviceRenamed {
            hostname: before,
            new_hostname: name,
        }));
    }
    Ok(events)
}

fn attributes_changed(change: &ObjectChange) -> bool {
    let fields = FIELDS.map(str::to_owned);
    !field::changed(change.before.as_ref(), change.after.as_ref(), &fields).is_empty()
}

/// The device type of the role, which was called `device_role` before NetBox 4.
fn device_type(object: &Value, rules: &MappingRules) -> Result<DeviceType, String> {
    let role = role(object).unwrap_or_default();
    let known = rules.device_types.get(&role.to_lowercase());
    known.or(rules.default_type.as_ref()).cloned().ok_or_else(|| {
        let source = &rules.source;
        format!(
            "the role {role:?} has no device type: name it in sources.{source}.device_types, or set sources.{source}.default_type"
        )
    })
}

fn role(object: &Value) -> Option<&str> {
    field::slug(object, "role").or_else(|| field::slug(object, "device_role"))
}

fn imported(name: &Hostname, device_type: DeviceType, change: &ObjectChange, rules: &MappingRules) -> Event {
    let object = &change.object;
    let groups = groups(object, rules);
    let hardware = object.get("device_type").unwrap_or(&Value::Null);
    let manufacturer =
        field::object(hardware, "manufacturer").or_else(|| field::object(object, "manufacturer"));
    let device = ImportedDevice {
        hostname: name.clone(),
        device_type,
        platform: field::slug(object, "platform").and_then(|platform| {
            let named = rules.platforms.get(&platform.to_lowercase());
            label(named.map_or(platform, String::as_str))
        }),
        state: None,
        initial_state: Some(state(object, rules).unwrap_or(DeviceState::PreConfigured)),
        note: None,
        until: None,
        synchronized: None,
        controller: None,
        management_ip: management_ip(object),
        mac: None,
        serial: field::text(object, "serial").and_then(|serial| serial.to_owned().try_into().ok()),
        vendor: manufacturer.and_then(|manufacturer| label(field::text(manufacturer, "name")?)),
        model: field::text(hardware, "model").and_then(label),
        os_version: None,
        groups: Some(groups.iter().map(|group| group.name.clone()).collect()),
        data: Some(data(change)),
    };
    Event::Imported(Box::new(InventoryImported {
        devices: vec![device],
        groups,
        ..InventoryImported::default()
    }))
}

/// The state of the status, if the configuration has one.
fn state(object: &Value, rules: &MappingRules) -> Option<DeviceState> {
    let status = field::choice(object, "status")?;
    rules.states.get(&status.to_lowercase()).copied()
}

/// The change of the state, if devices are to follow their status.
fn state_changed(name: &Hostname, change: &ObjectChange, rules: &MappingRules) -> Option<Event> {
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let followed = rules.follow_status && change.action == Action::Updated;
    if !followed || before.get("status") == after.get("status") {
        return None;
    }
    Some(Event::StateChanged(DeviceStateChanged {
        hostname: name.clone(),
        state: state(&change.object, rules)?,
    }))
}

fn label(text: &str) -> Option<String> {
    let fits = text.chars().count() <= MAX_LABEL && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// The primary address, without the length of its prefix.
fn management_ip(object: &Value) -> Option<IpAddr> {
    let fields = ["primary_ip", "primary_ip4", "primary_ip6"];
    let address = fields.into_iter().find_map(|name| field::object(object, name))?;
    let address = field::text(address, "address").or_else(|| field::text(address, "host"))?;
    address.split('/').next()?.parse().ok()
}

/// The groups of a device: `KIND_SLUG`, each once.
fn groups(object: &Value, rules: &MappingRules) -> Vec<ImportedGroup> {
    let mut groups: Vec<ImportedGroup> = Vec::new();
    for kind in &rules.groups {
        let slugs: Vec<&str> = match kind {
            GroupKind::Tag => tags(object).collect(),
            GroupKind::Role => role(object).into_iter().collect(),
            other => field::slug(object, other.as_str()).into_iter().collect(),
        };
        for slug in slugs {
            let Ok(name) = GroupName::try_from(format!("{kind}_{slug}")) else {
                continue;
            };
            if groups.iter().all(|group| group.name != name) {
                let location = kind.is_location().then_some(true);
                groups.push(ImportedGroup { name, location });
            }
        }
    }
    groups
}

fn tags(object: &Value) -> impl Iterator<Item = &str> {
    let tags = object.get("tags").and_then(Value::as_array);
    tags.into_iter()
        .flatten()
        .filter_map(|tag| field::text(tag, "slug").or_else(|| field::text(tag, "name")))
}

/// What templates may need, below the name of the system.
fn data(change: &ObjectChange) -> Map<String, Value> {
    let object = &change.object;
    let mut kept = Map::new();
    kept.insert("id".to_owned(), object.get("id").cloned().unwrap_or_default());
    for name in ["status", "face"] {
        kept.extend(field::choice(object, name).map(|value| (name.to_owned(), value.into())));
    }
    kept.extend(role(object).map(|role| ("role".to_owned(), role.into())));
    for name in [
        "site",
        "location",
        "tenant",
        "rack",
        "platform",
        "virtual_chassis",
    ] {
        kept.extend(field::slug(object, name).map(|slug| (name.to_owned(), slug.into())));
    }
    for name in ["asset_tag", "description", "comments"] {
        kept.extend(field::text(object, name).map(|text| (name.to_owned(), text.into())));
    }
    for name in [
        "position",
        "vc_position",
        "custom_fields",
        "local_context_data",
        "config_context",
    ] {
        let value = object.get(name).filter(|value| !value.is_null());
        kept.extend(value.map(|value| (name.to_owned(), value.clone())));
    }
    let tags: Vec<&str> = tags(object).collect();
    kept.insert("tags".to_owned(), tags.into());
    let key = change.system.as_str();
    bounded(key, kept)
}

/// The data, without its largest fields where it would not fit into a message; `omitted` names those.
fn bounded(key: &str, mut kept: Map<String, Value>) -> Map<String, Value> {
    let mut omitted: Vec<&str> = Vec::new();
    let mut candidates = OMITTED_FIRST.into_iter().chain(["comments"]);
    loop {
        let data = Map::from_iter([(key.to_owned(), Value::Object(kept.clone()))]);
        if json!(data).to_string().len() <= MAX_OBJECT {
            return data;
        }
        match candidates.next() {
            Some(name) => {
                omitted.extend(kept.remove(name).map(|_| name));
                kept.insert("omitted".to_owned(), omitted.clone().into());
            }
            // Nothing else is large in a database that NetBox or Nautobot has checked.
            None => return Map::new(),
        }
    }
}
