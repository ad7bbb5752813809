//! Merges the schemas of the arguments of a run. Pure.

use serde_json::{Map, Value};

use super::schema::is_draft_07;
use super::{DRAFT, below, wrong};
use crate::ArgumentError;

/// The schema of the provider with what that of the task adds. The result accepts nothing that the provider's schema would refuse for
/// what it says itself.
pub(super) fn schemas(provider: &Value, own: &Value) -> Result<Value, ArgumentError> {
    let mut merged = match provider {
        Value::Object(members) => members.clone(),
        Value::Bool(true) => Map::new(),
        _ => return Err(wrong("", "the provider takes no arguments of a run")),
    };
    if let Some(draft) = merged.get("$schema").filter(|draft| !is_draft_07(draft)) {
        let reason = format!(
            "the schema of the provider has another draft, {draft}, so the task cannot add arguments"
        );
        return Err(wrong("", reason));
    }
    merged.insert("$schema".to_owned(), DRAFT.into());
    for (word, value) in own.as_object().into_iter().flatten() {
        let path = below("", word);
        let before = merged.remove(word);
        let value = match (word.as_str(), before) {
            // Where the schemas are, which is nowhere.
            ("$schema" | "$id", before) => before,
            ("title" | "description", _) | (_, None) => Some(value.clone()),
            ("properties" | "definitions" | "patternProperties", Some(before)) => {
                Some(named(before, value, &path)?)
            }
            ("required" | "allOf", Some(before)) => Some(united(&before, value)),
            ("additionalProperties", Some(before)) => Some(stricter(before, value, &path)?),
            (_, Some(before)) if before == *value => Some(before),
            (_, Some(_)) => {
                let reason = format!(
                    "the provider has another `{word}`; put that of the task into a schema of `allOf`"
                );
                return Err(wrong(path, reason));
            }
        };
        if let Some(value) = value {
            merged.insert(word.clone(), value);
        }
    }
    Ok(merged.into())
}

/// Schemas by name. One that both have has to be the same.
fn named(before: Value, own: &Value, path: &str) -> Result<Value, ArgumentError> {
    let (Value::Object(mut all), Value::Object(own)) = (before, own) else {
        return Err(wrong(path, "it is no object of schemas, here or in the provider"));
    };
    for (name, schema) in own {
        if all.get(name).is_some_and(|before| before != schema) {
            let reason = "the provider has another one with this name; take another name, or write the same";
            return Err(wrong(below(path, name), reason));
        }
        all.insert(name.clone(), schema.clone());
    }
    Ok(all.into())
}

/// The entries of both lists, once.
fn united(before: &Value, own: &Value) -> Value {
    let before = before.as_array().cloned().unwrap_or_default();
    let added = own.as_array().into_iter().flatten();
    let added: Vec<Value> = added.filter(|entry| !before.contains(entry)).cloned().collect();
    Value::Array(before.into_iter().chain(added).collect())
}

/// What both allow of arguments without a property.
fn stricter(before: Value, own: &Value, path: &str) -> Result<Value, ArgumentError> {
    match (&before, own) {
        (Value::Bool(true), _) | (_, Value::Bool(false)) => Ok(own.clone()),
        (Value::Bool(false), _) | (_, Value::Bool(true)) => Ok(before),
        _ if before == *own => Ok(before),
        _ => Err(wrong(
            path,
            "the provider has another schema here; leave it out, or write the same",
        )),
    }
}
