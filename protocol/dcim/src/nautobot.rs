//! What Nautobot says about a change: the body of its webhooks, and the entries of its change log. As of Nautobot 2 and 3.
//!
//! Both have the same representation of the object, with its references expanded by one level. Nautobot reports each change of an object,
//! also several in one request: their `last_updated` tells them apart.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::change::{Action, Model, ObjectChange, System};
use super::field;
use super::netbox::{Reported, Snapshots, not_a_change, object_id};
use super::payload::{self, PayloadError};

#[derive(Deserialize)]
struct Webhook {
    event: String,
    timestamp: Timestamp,
    model: String,
    #[serde(default)]
    request_id: Option<String>,
    data: Value,
    #[serde(default)]
    snapshots: Option<Snapshots>,
}

#[derive(Deserialize)]
struct Entry {
    id: Value,
    time: Timestamp,
    #[serde(default)]
    request_id: Option<String>,
    action: Value,
    changed_object_type: String,
    changed_object_id: Value,
    #[serde(default)]
    object_data_v2: Option<Value>,
    #[serde(default)]
    object_data: Option<Value>,
}

/// Reads the body of a webhook.
///
/// # Errors
/// It does not have the format of Nautobot's webhooks.
pub fn webhook(body: &[u8]) -> Result<Reported, PayloadError> {
    let webhook: Webhook = payload::read(body)?;
    let Some(action) = Action::named(&webhook.event) else {
        return Ok(Reported::Other(not_a_change(&webhook.event)));
    };
    let snapshots = webhook.snapshots.unwrap_or_default();
    Ok(Reported::Change(Box::new(ObjectChange {
        system: System::Nautobot,
        action,
        model: Model::named(&webhook.model),
        object_id: object_id(&webhook.data)?,
        revision: revision(action, &webhook.data),
        object: webhook.data,
        before: snapshots.prechange,
        after: snapshots.postchange,
        request_id: webhook.request_id,
        at: webhook.timestamp,
    })))
}

/// Reads an entry of the change log, and returns its id. It does not have the fields before the change: those are in the entry before.
///
/// # Errors
/// It does not have the format of Nautobot's change log.
pub fn entry(value: &Value) -> Result<(String, ObjectChange), PayloadError> {
    let entry: Entry = payload::of_value(value)?;
    let text = field::choice(value, "action").unwrap_or_default();
    let action = Action::named(text)
        .ok_or_else(|| PayloadError::data("$.action", not_a_change(&entry.action.to_string())))?;
    let id = |value: &Value, place: &str| {
        field::id_text(value).ok_or_else(|| PayloadError::data(place, "not the id of an object"))
    };
    let object = entry.object_data_v2.or(entry.object_data);
    let object = object.ok_or_else(|| PayloadError::data("$.object_data_v2", "missing"))?;
    let change = ObjectChange {
        system: System::Nautobot,
        action,
        model: Model::named(&entry.changed_object_type),
        object_id: id(&entry.changed_object_id, "$.changed_object_id")?,
        revision: revision(action, &object),
        before: None,
        after: (action != Action::Deleted).then(|| object.clone()),
        object,
        request_id: entry.request_id,
        at: entry.time,
    };
    Ok((id(&entry.id, "$.id")?, change))
}

fn revision(action: Action, object: &Value) -> Option<String> {
    let last_updated = field::text(object, "last_updated")?;
    Some(format!("{} {last_updated}", action.as_str()))
}
