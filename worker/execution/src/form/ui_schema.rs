//! Checks UI schemas of JSON Forms, and makes them. Pure.

use serde_json::{Map, Value, json};

use super::{below, referenced, wrong};
use crate::arguments::MAX_ERRORS;
use crate::{ArgumentError, ProviderProperties};

/// How deep elements may be in each other.
const MAX_DEPTH: usize = 16;

const EFFECTS: [&str; 4] = ["SHOW", "HIDE", "ENABLE", "DISABLE"];

/// Everything that is wrong in a UI schema for this schema. Types of elements are not checked: a front end may have its own.
pub(super) fn check(ui_schema: &Value, schema: &Value) -> Vec<ArgumentError> {
    let mut check = Check {
        schema,
        errors: Vec::new(),
    };
    check.element(ui_schema, "", 0);
    check.errors.truncate(MAX_ERRORS);
    check.errors
}

struct Check<'a> {
    schema: &'a Value,
    errors: Vec<ArgumentError>,
}

impl Check<'_> {
    fn error(&mut self, path: String, reason: impl Into<String>) {
        self.errors.push(wrong(path, reason));
    }

    fn element(&mut self, element: &Value, path: &str, depth: usize) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        if depth > MAX_DEPTH {
            let reason = format!("elements are more than {MAX_DEPTH} levels deep in each other");
            return self.error(path.to_owned(), reason);
        }
        let Some(kind) = element["type"].as_str() else {
            let reason = "an element has a `type`, such as \"VerticalLayout\" or \"Control\"";
            return self.error(below(path, "type"), reason);
        };
        match element.get("scope") {
            Some(scope) => self.scope(scope, &below(path, "scope")),
            None if kind == "Control" => {
                self.error(
                    below(path, "scope"),
                    "a Control has a `scope`, such as \"#/properties/NAME\"",
                );
            }
            None => {}
        }
        if let Some(rule) = element.get("rule") {
            self.rule(rule, &below(path, "rule"));
        }
        let Some(elements) = element.get("elements") else {
            return;
        };
        let path = below(path, "elements");
        let Some(elements) = elements.as_array() else {
            return self.error(path, "it is a list of elements");
        };
        for (index, element) in elements.iter().enumerate() {
            self.element(element, &below(&path, index), depth + 1);
        }
    }

    /// A scope points into the schema, not into the data.
    fn scope(&mut self, scope: &Value, path: &str) {
        let parts = scope.as_str().and_then(|scope| scope.strip_prefix('#'));
        let Some(parts) = parts.filter(|parts| parts.is_empty() || parts.starts_with('/')) else {
            return self.error(path.to_owned(), "it is a text such as \"#/properties/NAME\"");
        };
        let mut schema = self.schema;
        for part in parts.split('/').skip(1) {
            schema = resolved(self.schema, schema);
            let part = part.replace("~1", "/").replace("~0", "~");
            let Some(inner) = schema.get(&part) else {
                let reason = format!("{scope} is not in the schema of the arguments: there is no {part:?}");
                return self.error(path.to_owned(), reason);
            };
            schema = inner;
        }
    }

    fn rule(&mut self, rule: &Value, path: &str) {
        if !rule["effect"]
            .as_str()
            .is_some_and(|effect| EFFECTS.contains(&effect))
        {
            let reason = format!("it is one of {}", EFFECTS.join(", "));
            self.error(below(path, "effect"), reason);
        }
        let path = below(path, "condition");
        let condition = &rule["condition"];
        if !condition.is_object() {
            return self.error(path, "a rule has a `condition`, with a `scope` and a `schema`");
        }
        if let Some(scope) = condition.get("scope") {
            self.scope(scope, &below(&path, "scope"));
        }
        let inner = condition.get("conditions").and_then(Value::as_array);
        for (index, inner) in inner.into_iter().flatten().enumerate() {
            if let Some(scope) = inner.get("scope") {
                let path = below(&below(&path, "conditions"), index);
                self.scope(scope, &below(&path, "scope"));
            }
        }
    }
}

/// The schema that a schema refers to, or itself.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let reference = schema.get("$ref").and_then(Value::as_str);
        match reference.and_then(|reference| referenced(root, reference)) {
            Some(inner) => schema = inner,
            None => break,
        }
    }
    schema
}

/// The form of a provider's arguments of a run, followed by controls for what a task adds.
pub(super) fn followed_by(provider: &ProviderProperties, added: &Value) -> Value {
    let of_provider = properties(&provider.run_input_json_schema);
    let mut elements = match &provider.run_input_ui_schema {
        Some(ui_schema) => vec![ui_schema.clone()],
        None => controls(of_provider.into_iter().flatten()),
    };
    let is_new = |name: &str| of_provider.is_none_or(|known| !known.contains_key(name));
    let added = properties(added).into_iter().flatten();
    elements.extend(controls(added.filter(|(name, _)| is_new(name))));
    json!({"type": "VerticalLayout", "elements": elements})
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

fn controls<'a>(properties: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<Value> {
    let control =
        |name: &String| json!({"type": "Control", "scope": format!("#{}", below("/properties", name))});
    properties.map(|(name, _)| control(name)).collect()
}
