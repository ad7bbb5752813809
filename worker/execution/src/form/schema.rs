//! Checks a JSON Schema that a user wrote: what it may cost, what it may refer to, and whether it is one.

use serde_json::{Map, Value, json};

use super::{DRAFT, below, referenced, wrong};
use crate::arguments::{MAX_ERRORS, told};
use crate::{ArgumentError, ArgumentsError, check_arguments};

/// How deep schemas may be in each other, references followed.
const MAX_DEPTH: usize = 32;

/// How many schemas one may have in it, those that are referred to counted at each reference: so many may be asked for one value.
const MAX_SCHEMAS: usize = 2000;

/// Keywords with one schema.
const WITH_SCHEMA: [&str; 9] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
];

/// Keywords with a list of schemas.
const WITH_SCHEMAS: [&str; 4] = ["allOf", "anyOf", "items", "oneOf"];

/// Keywords with schemas by name.
const WITH_NAMED_SCHEMAS: [&str; 4] = ["definitions", "dependencies", "patternProperties", "properties"];

/// Everything that is wrong in the schema of a task's own arguments.
pub(super) fn check(schema: &Value) -> Vec<ArgumentError> {
    let Some(members) = schema.as_object() else {
        return vec![wrong("", "it has to be an object: a JSON Schema")];
    };
    let mut errors = Vec::new();
    if members.get("type").is_none_or(|kind| kind != "object") {
        errors.push(wrong(
            "/type",
            "it has to be \"object\": arguments have names, under `properties`",
        ));
    }
    if let Some(draft) = members.get("$schema").filter(|draft| !is_draft_07(draft)) {
        errors.push(wrong(
            "/$schema",
            format!("{draft} is not \"{DRAFT}\"; leave it out, or say this"),
        ));
    }
    let mut walk = Walk {
        root: schema,
        schemas: 0,
        references: Vec::new(),
        errors,
    };
    walk.object(members, "", 0);
    if walk.errors.is_empty() {
        walk.errors = check_with_draft(schema);
    }
    if walk.errors.is_empty() {
        walk.errors = check_defaults(members);
    }
    walk.errors.truncate(MAX_ERRORS);
    walk.errors
}

pub(super) fn is_draft_07(draft: &Value) -> bool {
    draft
        .as_str()
        .is_some_and(|draft| draft.trim_end_matches('#') == DRAFT.trim_end_matches('#'))
}

/// Looks at each schema in a schema, and follows its references.
struct Walk<'a> {
    root: &'a Value,
    schemas: usize,
    /// The references that are being followed.
    references: Vec<&'a str>,
    errors: Vec<ArgumentError>,
}

impl<'a> Walk<'a> {
    /// What is wrong in a schema that is referred to is told once.
    fn error(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        let error = wrong(path, reason);
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// A schema at this path. What is none is left to the check with the draft.
    fn schema(&mut self, schema: &'a Value, path: &str, depth: usize) {
        if let Some(members) = schema.as_object() {
            self.object(members, path, depth);
        }
    }

    fn object(&mut self, members: &'a Map<String, Value>, path: &str, depth: usize) {
        if self.schemas > MAX_SCHEMAS || self.errors.len() >= MAX_ERRORS {
            return;
        }
        self.schemas += 1;
        if self.schemas > MAX_SCHEMAS {
            let reason = format!(
                "it has more than {MAX_SCHEMAS} schemas in it, with those that it refers to; let it have fewer"
            );
            return self.error("", reason);
        }
        if depth > MAX_DEPTH {
            let reason =
                format!("schemas are more than {MAX_DEPTH} levels deep in each other; let them be flatter");
            return self.error(path, reason);
        }
        if depth > 0 {
            for word in ["$schema", "$id"] {
                if members.contains_key(word) {
                    let reason = "only the whole schema may have it; leave it out";
                    self.error(below(path, word), reason);
                }
            }
        }
        if let Some(reference) = members.get("$ref") {
            // The draft ignores what is beside it.
            return self.reference(reference, &below(path, "$ref"), depth);
        }
        for word in WITH_SCHEMA {
            if let Some(inner) = members.get(word) {
                self.schema(inner, &below(path, word), depth + 1);
            }
        }
        for word in WITH_SCHEMAS {
            for (index, inner) in members
                .get(word)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .enumerate()
            {
                self.schema(inner, &below(&below(path, word), index), depth + 1);
            }
        }
        for word in WITH_NAMED_SCHEMAS {
            for (name, inner) in members.get(word).and_then(Value::as_object).into_iter().flatten() {
                self.schema(inner, &below(&below(path, word), name), depth + 1);
            }
        }
    }

    fn reference(&mut self, reference: &'a Value, path: &str, depth: usize) {
        let local = reference
            .as_str()
            .filter(|text| text.starts_with("#/definitions/") || text.starts_with("#/properties/"));
        let Some(local) = local else {
            let reason = format!(
                "{reference} is not in this schema; write it under `definitions`, and refer to \"#/definitions/NAME\""
            );
            return self.error(path, reason);
        };
        let Some(schema) = referenced(self.root, local) else {
            return self.error(path, format!("there is nothing at {local:?} in this schema"));
        };
        if self.references.contains(&local) {
            let reason = format!("{local:?} refers to itself; a form and a check of it would not end");
            return self.error(path, reason);
        }
        self.references.push(local);
        self.schema(schema, &local[1..], depth + 1);
        self.references.pop();
    }
}

/// What the draft says about the schema, and what cannot be compiled in it, such as a wrong regular expression.
fn check_with_draft(schema: &Value) -> Vec<ArgumentError> {
    let validator = jsonschema::draft7::meta::validator();
    let errors = validator.iter_errors(schema).take(MAX_ERRORS);
    let errors: Vec<ArgumentError> = errors.map(|error| told(&error)).collect();
    if !errors.is_empty() {
        return errors;
    }
    let compiled = jsonschema::draft7::options()
        .offline()
        .should_validate_formats(true)
        .build(schema);
    compiled.err().map(|error| told(&error)).into_iter().collect()
}

/// A default that its own property does not accept would break each run that does not replace it.
fn check_defaults(schema: &Map<String, Value>) -> Vec<ArgumentError> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let defaults = properties.into_iter().flatten().filter_map(|(name, property)| {
        let default = property.get("default")?;
        Some((name.clone(), default.clone()))
    });
    let defaults: Value = defaults.collect::<Map<_, _>>().into();
    let mut only = json!({"$schema": DRAFT});
    for word in ["definitions", "properties"] {
        if let Some(part) = schema.get(word) {
            only[word] = part.clone();
        }
    }
    let Err(ArgumentsError::Invalid { errors, .. }) = check_arguments(&only, &defaults) else {
        return Vec::new();
    };
    let errors = errors.into_iter().map(|error| {
        let (name, inner) = match error.path[1..].split_once('/') {
            Some((name, inner)) => (name, format!("/{inner}")),
            None => (&error.path[1..], String::new()),
        };
        wrong(format!("/properties/{name}/default{inner}"), error.reason)
    });
    errors.collect()
}
