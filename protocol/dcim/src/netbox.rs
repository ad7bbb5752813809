//! What NetBox says about a change: the body of its webhooks, and the entries of its change log. As of NetBox 3.5 to 4.6.
//!
//! NetBox sends one webhook for each object that a request changed, however often it changed it. Its change log has an entry for each
//! step; [`coalesce`] combines them in the same way.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::change::{Action, Model, ObjectChange, System};
use super::field;
use super::payload::{self, PayloadError};

/// The body of a webhook. NetBox 4.6 has `object_type` in the place of `model`.
#[derive(Deserialize)]
struct Webhook {
    event: String,
    timestamp: Timestamp,
    #[serde(default)]
    object_type: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
    data: Value,
    #[serde(default)]
    snapshots: Option<Snapshots>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Snapshots {
    #[serde(default)]
    pub(crate) prechange: Option<Value>,
    #[serde(default)]
    pub(crate) postchange: Option<Value>,
}

/// An entry of the change log.
#[derive(Deserialize)]
struct Entry {
    id: u64,
    time: Timestamp,
    #[serde(default)]
    request_id: Option<String>,
    action: Value,
    changed_object_type: String,
    changed_object_id: Value,
    #[serde(default)]
    prechange_data: Option<Value>,
    #[serde(default)]
    postchange_data: Option<Value>,
}

/// What a webhook or an entry of a change log says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    /// An object changed.
    Change(Box<ObjectChange>),
    /// It is no change of an object, for this reason.
    Other(String),
}

/// Reads the body of a webhook.
///
/// # Errors
/// It does not have the format of NetBox's webhooks.
pub fn webhook(body: &[u8]) -> Result<Reported, PayloadError> {
    let webhook: Webhook = payload::read(body)?;
    let Some(action) = Action::named(&webhook.event) else {
        return Ok(Reported::Other(not_a_change(&webhook.event)));
    };
    let named = webhook.object_type.or(webhook.model);
    let model = named.ok_or_else(|| PayloadError::data("$", "object_type and model are missing"))?;
    let snapshots = webhook.snapshots.unwrap_or_default();
    Ok(Reported::Change(Box::new(ObjectChange {
        system: System::NetBox,
        action,
        model: Model::named(&model),
        object_id: object_id(&webhook.data)?,
        object: webhook.data,
        before: snapshots.prechange,
        after: snapshots.postchange,
        request_id: webhook.request_id,
        revision: None,
        at: webhook.timestamp,
    })))
}

/// Reads an entry of the change log, and returns its id. The entry has no nested objects: those have to be read.
///
/// # Errors
/// It does not have the format of NetBox's change log.
pub fn entry(value: &Value) -> Result<(String, ObjectChange), PayloadError> {
    let entry: Entry = payload::of_value(value)?;
    let text = field::choice(value, "action").unwrap_or_default();
    let action = Action::named(text)
        .ok_or_else(|| PayloadError::data("$.action", not_a_change(&entry.action.to_string())))?;
    let object_id = field::id_text(&entry.changed_object_id)
        .ok_or_else(|| PayloadError::data("$.changed_object_id", "not the id of an object"))?;
    let change = ObjectChange {
        system: System::NetBox,
        action,
        model: Model::named(&entry.changed_object_type),
        object_id,
        object: Value::Null,
        before: entry.prechange_data,
        after: entry.postchange_data,
        request_id: entry.request_id,
        revision: None,
        at: entry.time,
    };
    Ok((entry.id.to_string(), change))
}

/// Combines the changes of one object in one request to one, as NetBox does before it sends webhooks: the first action counts, unless the
/// object was deleted. Changes are in the order of the log, and stay in that of the first of each object.
pub fn coalesce(changes: Vec<ObjectChange>) -> Vec<ObjectChange> {
    let mut combined: Vec<ObjectChange> = Vec::with_capacity(changes.len());
    let mut places = std::collections::HashMap::new();
    for change in changes {
        let key = (
            change.request_id.clone(),
            change.model.clone(),
            change.object_id.clone(),
        );
        let Some(&place) = places.get(&key).filter(|_| key.0.is_some()) else {
            places.insert(key, combined.len());
            combined.push(change);
            continue;
        };
        let first: &mut ObjectChange = &mut combined[place];
        if change.action == Action::Deleted {
            first.action = Action::Deleted;
        }
        first.after = change.after;
        first.at = first.at.max(change.at);
    }
    combined
}

pub(crate) fn not_a_change(event: &str) -> String {
    let event: String = event.chars().take(50).collect();
    format!("the event {event:?} is not that an object was created, updated or deleted")
}

pub(crate) fn object_id(data: &Value) -> Result<String, PayloadError> {
    field::id(data).ok_or_else(|| PayloadError::data("$.data.id", "missing, or not the id of an object"))
}
