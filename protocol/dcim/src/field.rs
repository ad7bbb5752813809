//! Reads fields of the REST representation of objects. Absent, null and empty texts are alike.

use serde_json::Value;

/// The text of a field, without blanks at its ends.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    let text = object.get(field)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The object in a field: the one that a reference points at.
pub(crate) fn object<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| value.is_object())
}

/// The short name of a referenced object: its slug, or its name where there is none, as in Nautobot.
pub(crate) fn slug<'a>(parent: &'a Value, field: &str) -> Option<&'a str> {
    let referenced = object(parent, field)?;
    text(referenced, "slug").or_else(|| text(referenced, "name"))
}

/// The value of a choice: `{"value": "active", "label": "Active"}` in NetBox. In Nautobot, statuses are objects with a name.
pub(crate) fn choice<'a>(parent: &'a Value, field: &str) -> Option<&'a str> {
    match parent.get(field)? {
        Value::String(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        value => text(value, "value").or_else(|| text(value, "name")),
    }
}

/// The id of an object as text: NetBox numbers objects, Nautobot gives them UUIDs.
pub(crate) fn id(object: &Value) -> Option<String> {
    id_text(object.get("id")?)
}

/// A primary key as text, wherever it is.
pub(crate) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if (1..=64).contains(&text.len()) && text.bytes().all(is_part_of_id) => {
            Some(text.clone())
        }
        _ => None,
    }
}

/// Ids become parts of paths.
fn is_part_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The fields whose values differ between two snapshots of an object. All of `fields` if there is no snapshot before or after.
pub(crate) fn changed<'a>(
    before: Option<&Value>,
    after: Option<&Value>,
    fields: &'a [String],
) -> Vec<&'a str> {
    let names = fields.iter().map(String::as_str);
    match (before, after) {
        (Some(before), Some(after)) => names.filter(|name| before.get(name) != after.get(name)).collect(),
        _ => names.collect(),
    }
}
