//! Fields of a form for arguments that a JSON Schema describes, and the arguments that were filled in. Pure.
//!
//! Texts, numbers, choices and lists of texts have fields of their own; whatever else a schema describes is written as JSON. What is
//! allowed is checked with the schema itself, not here.

use std::collections::BTreeMap;

use lockstep_protocol::rest::TaskProblem;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::form::Form;
use super::form_rule::{self, FormRule};

/// The names of the fields begin with it, so that they differ from those of the run.
const PREFIX: &str = "argument.";
/// What each place of the arguments begins with.
const PLACE: &str = "$.arguments";
/// How deep UI schemas may nest.
pub(super) const MAX_DEPTH: usize = 32;

/// How a field is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Input {
    /// One line.
    Text,
    /// Several lines.
    LongText,
    /// A number with or without a fraction.
    Number,
    /// A whole number.
    Integer,
    /// One of some values.
    Choice,
    /// Texts, one on each line.
    Lines,
    /// JSON.
    Json,
}

/// A field of a form.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Field {
    /// The name of the property.
    property: String,
    /// The name of the field.
    name: String,
    label: String,
    description: String,
    input: Input,
    required: bool,
    /// What is in the field.
    value: String,
    /// The values of a choice as JSON, each with its text.
    choices: Vec<(String, String)>,
    minimum: Option<Value>,
    maximum: Option<Value>,
    max_length: Option<u64>,
    /// When it is shown or may be filled in: JSON for the script of the page; empty for a field without rules.
    rules: String,
    /// What is wrong in it.
    problems: Vec<String>,
}

/// A form: its fields, and what is wrong about the arguments as a whole.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SchemaForm {
    pub(super) fields: Vec<Field>,
    pub(super) problems: Vec<String>,
}

/// The fields for this schema with what was filled in so far; with the defaults of the schema if nothing was.
pub(super) fn fields(schema: &Value, ui_schema: Option<&Value>, filled: Option<&Form>) -> SchemaForm {
    let required: Vec<&str> = list(&schema["required"]).filter_map(Value::as_str).collect();
    let rules = ui_schema.map(form_rule::of_properties).unwrap_or_default();
    let fields = order(schema, ui_schema).into_iter().filter_map(|property| {
        let described = resolve(schema, &schema["properties"][&property]);
        (described["readOnly"] != true).then(|| {
            let is_required = required.contains(&property.as_str());
            let rules = rules.get(&property).map(Vec::as_slice).unwrap_or_default();
            Field {
                rules: written(rules),
                ..field(schema, property, described, is_required, filled)
            }
        })
    });
    SchemaForm {
        fields: fields.collect(),
        problems: Vec::new(),
    }
}

fn field(
    schema: &Value,
    property: String,
    described: &Value,
    required: bool,
    filled: Option<&Form>,
) -> Field {
    let text = |key: &str| described[key].as_str().unwrap_or_default().to_owned();
    let input = input(schema, described);
    let name = format!("{PREFIX}{property}");
    let value = match filled {
        // Not trimmed: a text may begin with blanks.
        Some(form) => form.all(&name).next().unwrap_or_default().to_owned(),
        None => shown(input, &described["default"]),
    };
    let label = match text("title") {
        title if title.is_empty() => property.clone(),
        title => title,
    };
    Field {
        choices: if input == Input::Choice {
            choices(described)
        } else {
            Vec::new()
        },
        minimum: described.get("minimum").cloned(),
        maximum: described.get("maximum").cloned(),
        max_length: described["maxLength"].as_u64(),
        description: text("description"),
        problems: Vec::new(),
        rules: String::new(),
        property,
        name,
        label,
        input,
        required,
        value,
    }
}

/// How a property is filled in.
fn input(schema: &Value, described: &Value) -> Input {
    if described["enum"].is_array() {
        return Input::Choice;
    }
    match described["type"].as_str() {
        Some("boolean") => Input::Choice,
        Some("integer") => Input::Integer,
        Some("number") => Input::Number,
        Some("string") => {
            let is_long = described["x-display"].is_string() || described["maxLength"].as_u64() > Some(255);
            if is_long { Input::LongText } else { Input::Text }
        }
        Some("array") if resolve(schema, &described["items"])["type"] == "string" => Input::Lines,
        _ => Input::Json,
    }
}

/// Rules for the script of the page, which finds fields by their names.
fn written(rules: &[FormRule]) -> String {
    let rules = rules.iter().map(|rule| {
        json!({"effect": rule.effect, "field": format!("{PREFIX}{}", rule.property), "values": rule.values})
    });
    let rules: Vec<Value> = rules.collect();
    if rules.is_empty() {
        String::new()
    } else {
        Value::Array(rules).to_string()
    }
}

fn choices(described: &Value) -> Vec<(String, String)> {
    if described["type"] == "boolean" {
        return [("true", "yes"), ("false", "no")]
            .map(|(value, text)| (value.to_owned(), text.to_owned()))
            .into();
    }
    let values = list(&described["enum"]);
    let choices = values.map(|value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (value.to_string(), text)
    });
    choices.collect()
}

/// A value as the text of its field.
fn shown(input: Input, value: &Value) -> String {
    match (input, value) {
        (_, Value::Null) => String::new(),
        (Input::Text | Input::LongText, Value::String(text)) => text.clone(),
        (Input::Lines, Value::Array(lines)) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            lines.join("\n")
        }
        (_, value) => value.to_string(),
    }
}

/// The properties in the order of the UI schema, then the others by name.
fn order(schema: &Value, ui_schema: Option<&Value>) -> Vec<String> {
    let mut named = Vec::new();
    if let Some(ui_schema) = ui_schema {
        scopes(ui_schema, &mut named, MAX_DEPTH);
    }
    let properties: BTreeMap<&String, &Value> =
        schema["properties"].as_object().into_iter().flatten().collect();
    named.retain(|name| properties.contains_key(name));
    let mut ordered: Vec<String> = Vec::with_capacity(properties.len());
    for name in named.into_iter().chain(properties.into_keys().cloned()) {
        if !ordered.contains(&name) {
            ordered.push(name);
        }
    }
    ordered
}

/// The properties that the controls of a UI schema are about.
fn scopes(ui_schema: &Value, names: &mut Vec<String>, depth: usize) {
    names.extend(form_rule::property(&ui_schema["scope"]));
    if depth > 0 {
        for element in list(&ui_schema["elements"]) {
            scopes(element, names, depth - 1);
        }
    }
}

/// A schema, or the one of the same document that it refers to.
fn resolve<'a>(schema: &'a Value, described: &'a Value) -> &'a Value {
    let mut found = described;
    // References lead in no circle; the bound is for a schema that was not checked.
    for _ in 0..MAX_DEPTH {
        let Some(path) = found["$ref"].as_str().and_then(|path| path.strip_prefix('#')) else {
            break;
        };
        found = schema.pointer(path).unwrap_or(&Value::Null);
    }
    found
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl SchemaForm {
    /// The arguments that were filled in. A field that is not JSON, or no number, keeps its text, which the schema then refuses, or says so
    /// itself.
    pub(super) fn arguments(&mut self) -> Value {
        let mut arguments = Map::new();
        for field in &mut self.fields {
            let text = field.value.replace("\r\n", "\n");
            if text.trim().is_empty() {
                if field.required {
                    field.problems.push("fill it in: a run needs it".to_owned());
                }
                continue;
            }
            let value = match field.input {
                Input::Text | Input::LongText => json!(text),
                Input::Lines => {
                    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                    json!(lines.collect::<Vec<_>>())
                }
                Input::Integer | Input::Number | Input::Choice | Input::Json => {
                    match serde_json::from_str(text.trim()) {
                        Ok(value) => value,
                        Err(error) if field.input == Input::Json => {
                            field.problems.push(format!("is not JSON: {error}"));
                            continue;
                        }
                        Err(_) => json!(text.trim()),
                    }
                }
            };
            arguments.insert(field.property.clone(), value);
        }
        Value::Object(arguments)
    }

    /// Puts each problem beside its field; those that belong to none are about the whole.
    pub(super) fn add(&mut self, problems: Vec<TaskProblem>) {
        for TaskProblem { place, reason } in problems {
            let inside = place.strip_prefix(PLACE).and_then(|rest| rest.strip_prefix('.'));
            let field = inside.and_then(|inside| {
                self.fields.iter_mut().find(|field| {
                    let rest = inside.strip_prefix(field.property.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                })
            });
            if let Some(field) = field {
                field.problems.push(reason);
            } else if !self.says_so_itself(&reason) {
                self.problems.push(format!("{place}: {reason}"));
            }
        }
    }

    /// Whether a field that has to be filled in says so already.
    fn says_so_itself(&self, reason: &str) -> bool {
        let mut empty = self
            .fields
            .iter()
            .filter(|field| field.required && !field.problems.is_empty());
        empty.any(|field| reason.starts_with(&format!("{:?} is a required property", field.property)))
    }

    /// Whether something is wrong.
    pub(super) fn is_wrong(&self) -> bool {
        !self.problems.is_empty() || self.fields.iter().any(|field| !field.problems.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan() -> Value {
        json!({
            "type": "object", "required": ["vlan"],
            "definitions": {"mode": {"type": "string", "enum": ["access", "trunk"], "default": "access"}},
            "properties": {
                "vlan": {"title": "VLAN", "type": "integer", "minimum": 1, "maximum": 4094},
                "mode": {"$ref": "#/definitions/mode"},
                "ports": {"type": "array", "items": {"type": "string"}},
                "more": {"type": "object"},
                "known": {"type": "string", "readOnly": true},
                "force": {"type": "boolean"},
            },
        })
    }

    fn filled(fields: &[(&str, &str)]) -> Form {
        Form::of(fields)
    }

    #[test]
    fn a_schema_becomes_fields_in_the_order_of_its_ui_schema() {
        let ui = json!({"type": "Group", "elements": [{"scope": "#/properties/vlan"}, {"scope": "#/properties/none"}]});
        let form = fields(&vlan(), Some(&ui), None);
        let found: Vec<(&str, Input, &str)> = form
            .fields
            .iter()
            .map(|field| (field.property.as_str(), field.input, field.value.as_str()))
            .collect();
        let expected = [
            ("vlan", Input::Integer, ""),
            ("force", Input::Choice, ""),
            ("mode", Input::Choice, "\"access\""),
            ("more", Input::Json, ""),
            ("ports", Input::Lines, ""),
        ];
        assert_eq!(found, expected);
        assert!(form.fields[0].required && form.fields[0].label == "VLAN");
    }

    #[test]
    fn a_field_has_the_rules_of_its_control() {
        let ui = json!({"elements": [{
            "scope": "#/properties/vlan",
            "rule": {"effect": "SHOW", "condition": {"scope": "#/properties/mode", "schema": {"const": "access"}}},
        }]});
        let form = fields(&vlan(), Some(&ui), None);
        let expected = json!([{"effect": "SHOW", "field": "argument.mode", "values": ["access"]}]);
        assert_eq!(form.fields[0].rules, expected.to_string());
        assert!(form.fields[1..].iter().all(|field| field.rules.is_empty()));
    }

    #[test]
    fn what_was_filled_in_becomes_arguments() {
        let filled = filled(&[
            ("argument.vlan", "7"),
            ("argument.mode", "\"trunk\""),
            ("argument.ports", "Ethernet1\r\n\r\n Ethernet2"),
            ("argument.more", "{\"a\": 1}"),
            ("argument.force", "true"),
        ]);
        let mut form = fields(&vlan(), None, Some(&filled));
        let expected = json!({
            "vlan": 7, "mode": "trunk", "ports": ["Ethernet1", "Ethernet2"], "more": {"a": 1}, "force": true,
        });
        assert_eq!(form.arguments(), expected);
        assert!(!form.is_wrong());
    }

    #[test]
    fn each_problem_stands_beside_its_field() {
        let filled = filled(&[("argument.more", "{"), ("argument.mode", "\"none\"")]);
        let mut form = fields(&vlan(), None, Some(&filled));
        assert_eq!(form.arguments(), json!({"mode": "none"}));
        let problem = |place: &str, reason: &str| TaskProblem {
            place: place.to_owned(),
            reason: reason.to_owned(),
        };
        form.add(vec![
            problem("$.arguments", "\"vlan\" is a required property"),
            problem("$.arguments.mode", "\"none\" is not one of"),
            problem("$.arguments.modes", "unexpected"),
        ]);
        let wrong: Vec<(&str, usize)> = form
            .fields
            .iter()
            .map(|field| (field.property.as_str(), field.problems.len()))
            .filter(|(_, problems)| *problems > 0)
            .collect();
        assert_eq!(wrong, [("mode", 1), ("more", 1), ("vlan", 1)]);
        assert_eq!(form.problems, ["$.arguments.modes: unexpected"]);
    }

    #[test]
    fn a_schema_of_anything_has_no_fields() {
        assert!(fields(&json!(true), None, None).fields.is_empty());
        assert!(fields(&Value::Null, None, None).fields.is_empty());
    }
}
