//! The rules of a UI schema (JSON Forms) that a browser follows: a field is shown, hidden, enabled or disabled by the value of another one. Pure.
//!
//! Conditions that compare one property with values are followed. Under any other condition, the field stays as it is without a rule.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::schema_form::MAX_DEPTH;

/// What a rule does while its condition holds; otherwise the opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Effect {
    Show,
    Hide,
    Enable,
    Disable,
}

/// A rule about a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FormRule {
    pub(super) effect: Effect,
    /// The property that decides.
    pub(super) property: String,
    /// The condition holds while it has one of these values: texts, numbers, yes, no or null.
    pub(super) values: Vec<Value>,
}

/// The rules of each property: those of its control, and those of the groups around it.
pub(super) fn of_properties(ui_schema: &Value) -> BTreeMap<String, Vec<FormRule>> {
    let mut found = BTreeMap::new();
    collect(ui_schema, &[], &mut found, MAX_DEPTH);
    found
}

fn collect(element: &Value, around: &[FormRule], found: &mut BTreeMap<String, Vec<FormRule>>, depth: usize) {
    let mut rules = around.to_vec();
    rules.extend(rule(&element["rule"]));
    if let Some(property) = property(&element["scope"])
        && !rules.is_empty()
    {
        found.entry(property).or_default().extend_from_slice(&rules);
    }
    if depth > 0 {
        for inner in element["elements"].as_array().into_iter().flatten() {
            collect(inner, &rules, found, depth - 1);
        }
    }
}

/// The property at the top that a scope leads to or into.
pub(super) fn property(scope: &Value) -> Option<String> {
    let name = scope.as_str()?.strip_prefix("#/properties/")?;
    let first = name.split('/').next().unwrap_or_default();
    Some(first.replace("~1", "/").replace("~0", "~"))
}

fn rule(rule: &Value) -> Option<FormRule> {
    let effect = match rule["effect"].as_str()? {
        "SHOW" => Effect::Show,
        "HIDE" => Effect::Hide,
        "ENABLE" => Effect::Enable,
        "DISABLE" => Effect::Disable,
        _ => return None,
    };
    let condition = &rule["condition"];
    // A value inside of another one has no field.
    let name = condition["scope"].as_str()?.strip_prefix("#/properties/")?;
    if name.contains('/') {
        return None;
    }
    Some(FormRule {
        effect,
        property: property(&condition["scope"])?,
        values: values(condition)?,
    })
}

/// The values of a condition: `const` or `enum` of its schema and nothing else, or `expectedValue` of a condition of the older form.
fn values(condition: &Value) -> Option<Vec<Value>> {
    let values = match &condition["schema"] {
        Value::Object(schema) if schema.len() == 1 => match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => return None,
        },
        Value::Null => vec![condition.get("expectedValue")?.clone()],
        _ => return None,
    };
    let is_simple = |value: &Value| !value.is_array() && !value.is_object();
    values.iter().all(is_simple).then_some(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn simple_conditions_are_followed_and_others_are_not() {
        let rule_of =
            |effect: &str, condition: Value| rule(&json!({"effect": effect, "condition": condition}));
        let expected = |effect, values: &[Value]| {
            Some(FormRule {
                effect,
                property: "a/b".to_owned(),
                values: values.to_vec(),
            })
        };
        let scope = "#/properties/a~1b";
        for (effect, condition, found) in [
            (
                "SHOW",
                json!({"scope": scope, "schema": {"const": true}}),
                expected(Effect::Show, &[json!(true)]),
            ),
            (
                "DISABLE",
                json!({"scope": scope, "schema": {"enum": ["x", 7]}}),
                expected(Effect::Disable, &[json!("x"), json!(7)]),
            ),
            (
                "HIDE",
                json!({"type": "LEAF", "scope": scope, "expectedValue": "x"}),
                expected(Effect::Hide, &[json!("x")]),
            ),
            ("ENABLE", json!({"scope": scope, "schema": {"minimum": 7}}), None),
            (
                "ENABLE",
                json!({"scope": scope, "schema": {"const": 7, "type": "integer"}}),
                None,
            ),
            ("ENABLE", json!({"scope": scope, "schema": {"const": [7]}}), None),
            ("ENABLE", json!({"scope": scope}), None),
            (
                "ENABLE",
                json!({"scope": "#/properties/a/properties/b", "schema": {"const": 7}}),
                None,
            ),
            ("ENABLE", json!({"type": "AND", "conditions": []}), None),
            ("OTHER", json!({"scope": scope, "schema": {"const": 7}}), None),
        ] {
            assert_eq!(rule_of(effect, condition.clone()), found, "{effect} {condition}");
        }
    }

    #[test]
    fn the_rule_of_a_group_is_one_of_each_field_in_it() {
        let condition = |value: u32| json!({"scope": "#/properties/kind", "schema": {"const": value}});
        let found = of_properties(
            &json!({"type": "Group", "rule": {"effect": "SHOW", "condition": condition(1)}, "elements": [
                {"scope": "#/properties/a"},
                {"scope": "#/properties/b/properties/c", "rule": {"effect": "HIDE", "condition": condition(2)}},
            ]}),
        );
        let effects = |name: &str| -> Vec<Effect> { found[name].iter().map(|rule| rule.effect).collect() };
        assert_eq!(effects("a"), [Effect::Show]);
        assert_eq!(effects("b"), [Effect::Show, Effect::Hide]);
        assert!(of_properties(&json!({"scope": "#/properties/a"})).is_empty());
    }
}
