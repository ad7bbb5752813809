use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::json;

use super::*;
use crate::{ProviderType, check_arguments};

/// A provider with this schema and UI schema of its runs.
fn provider(run_input_json_schema: Value, run_input_ui_schema: Option<Value>) -> ProviderProperties {
    ProviderProperties {
        name: "fake".into(),
        short_description: "".into(),
        description: "".into(),
        provider_type: ProviderType::Execute,
        run_on: Some(ExecuteOn::Device),
        run_on_strict: true,
        run_on_all_if_empty: false,
        run_on_result: None,
        facts_for: Vec::new(),
        lane: Lane::Devices,
        success_message: None,
        repeatable: true,
        deprecated: None,
        json_schema: json!({}),
        run_input_json_schema,
        ui_schema: None,
        run_input_ui_schema,
    }
}

/// The errors of what a task adds to a provider that takes a timeout.
#[expect(clippy::needless_pass_by_value, reason = "values of tables")]
fn errors(json_schema: Value, ui_schema: Option<Value>) -> Vec<String> {
    let timeout = json!({
        "$schema": DRAFT,
        "type": "object",
        "required": ["timeout"],
        "properties": {"timeout": {"type": "integer"}},
        "oneOf": [{}],
        "additionalProperties": false,
    });
    let own = RunInput {
        json_schema: Some(&json_schema),
        ui_schema: ui_schema.as_ref(),
    };
    let errors = check_run_input(&provider(timeout, None), own);
    errors.iter().map(ToString::to_string).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "values of tables")]
fn object(members: Value) -> Value {
    let mut schema = json!({"type": "object"});
    for (word, value) in members.as_object().unwrap() {
        schema[word] = value.clone();
    }
    schema
}

#[test]
fn schemas_of_tasks_are_bounded_and_their_errors_have_a_place() {
    let port = json!({"port": {"type": "integer", "minimum": 1, "default": 443, "x-display": "slider"}});
    let referring = object(json!({
        "$schema": "http://json-schema.org/draft-07/schema",
        "$id": "https://example.org/run",
        "definitions": {"port": {"type": "integer"}, "ports": {"type": "array", "items": {"$ref": "#/definitions/port"}}},
        // These are names of arguments, and no keywords.
        "properties": {"ports": {"$ref": "#/definitions/ports"}, "$ref": {"type": "string"}, "$id": {"type": "string"}},
    }));
    for accepted in [object(json!({})), object(json!({"properties": port})), referring] {
        assert_eq!(errors(accepted.clone(), None), [""; 0], "{accepted}");
    }
    let of_port = |port: Value| object(json!({"properties": {"port": port}}));
    let table = [
        (json!([]), vec![": it has to be an object: a JSON Schema"]),
        (json!({}), vec![".type: it has to be \"object\""]),
        (json!({"type": "array"}), vec![".type: it has to be \"object\""]),
        (
            object(json!({"$schema": "https://json-schema.org/draft/2020-12/schema"})),
            vec![
                ".$schema: \"https://json-schema.org/draft/2020-12/schema\" is not \"http://json-schema.org/draft-07/schema#\"",
            ],
        ),
        (of_port(json!({"type": "int"})), vec![".properties.port.type: "]),
        (
            of_port(json!({"type": "string", "pattern": "("})),
            vec![".properties.port.pattern: "],
        ),
        (
            of_port(json!({"minimum": "1", "maximum": []})),
            vec![".properties.port.maximum: ", ".properties.port.minimum: "],
        ),
        (
            of_port(json!({"$ref": "https://example.org/port.json"})),
            vec![".properties.port.$ref: \"https://example.org/port.json\" is not in this schema"],
        ),
        (
            of_port(json!({"$ref": "file:///etc/hostname"})),
            vec![".properties.port.$ref: "],
        ),
        (of_port(json!({"$ref": "#"})), vec![".properties.port.$ref: "]),
        (of_port(json!({"$ref": 7})), vec![".properties.port.$ref: "]),
        (
            of_port(json!({"$ref": "#/definitions/port"})),
            vec![".properties.port.$ref: there is nothing at \"#/definitions/port\""],
        ),
        (
            of_port(json!({"$ref": "#/properties/port"})),
            vec![".properties.port.$ref: \"#/properties/port\" refers to itself"],
        ),
        (of_port(json!({"$id": "x"})), vec![".properties.port.$id: "]),
        (
            of_port(json!({"anyOf": [{"items": [{"not": {"$schema": DRAFT}}]}]})),
            vec![".properties.port.anyOf[0].items[0].not.$schema: "],
        ),
        (
            of_port(json!({"type": "integer", "default": "443"})),
            vec![".properties.port.default: \"443\" is not of type \"integer\""],
        ),
        (
            of_port(json!({"items": {"type": "integer"}, "default": [1, "a"]})),
            vec![".properties.port.default[1]: "],
        ),
    ];
    for (schema, expected) in table {
        let found = errors(schema.clone(), None);
        assert_eq!(found.len(), expected.len(), "{schema}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            let expected = format!("run_input_json_schema{expected}");
            assert!(found.starts_with(&expected), "{schema}: {found}");
        }
    }
}

#[test]
fn a_schema_that_would_cost_too_much_is_refused() {
    let mut deep = json!({"type": "string"});
    for _ in 0..40 {
        deep = json!({"items": deep});
    }
    let found = errors(object(json!({"properties": {"deep": deep}})), None);
    assert!(found[0].contains("more than 32 levels deep"), "{found:?}");
    // Each refers twice to the next one: thousands of checks of one value.
    let mut definitions = json!({"d12": {"type": "string"}});
    for number in 0..12 {
        let next = json!({"$ref": format!("#/definitions/d{}", number + 1)});
        definitions[format!("d{number}")] = json!({"allOf": [next, next]});
    }
    let many = json!({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}});
    let found = errors(object(many), None);
    assert!(
        found.len() == 1 && found[0].contains("more than 2000 schemas"),
        "{found:?}"
    );
    let circle = json!({"a": {"$ref": "#/definitions/b"}, "b": {"not": {"$ref": "#/definitions/a"}}});
    let found = errors(object(json!({"definitions": circle})), None);
    assert!(
        found.iter().all(|error| error.contains("refers to itself")),
        "{found:?}"
    );
    assert!(!found.is_empty());
    let wrong: Map<String, Value> = (0..100).map(|n| (format!("p{n}"), json!({"$ref": 1}))).collect();
    assert_eq!(errors(object(json!({"properties": wrong})), None).len(), 20);
}

#[test]
fn a_regular_expression_that_backtracks_without_end_is_given_up() {
    let schema =
        object(json!({"properties": {"a": {"type": "string", "pattern": "^(?=(x+x+)+y)(x+x+)+z$"}}}));
    assert_eq!(errors(schema.clone(), None), [""; 0]);
    assert!(check_arguments(&schema, &json!({"a": "xxyxxz"})).is_err());
    assert!(check_arguments(&schema, &json!({"a": "x".repeat(10_000)})).is_err());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_a_task_adds_is_united_with_what_the_provider_takes() {
    let merged = |provider: Value, own: Value| match merge_run_input(&provider, Some(&own)) {
        Ok(merged) => {
            let mut merged = merged.into_owned();
            assert_eq!(
                merged.as_object_mut().unwrap().remove("$schema"),
                Some(DRAFT.into())
            );
            Ok(merged)
        }
        Err(error) => Err(error.path),
    };
    let (a, b) = (json!({"type": "string"}), json!({"type": "integer"}));
    let table = [
        (
            json!({}),
            json!({"type": "object"}),
            Ok(json!({"type": "object"})),
        ),
        (
            json!(true),
            json!({"title": "T", "$id": "x"}),
            Ok(json!({"title": "T"})),
        ),
        (json!(false), json!({}), Err("")),
        (
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!({}),
            Err(""),
        ),
        (
            json!({"$schema": DRAFT, "title": "P", "properties": {"a": a}, "required": ["a"], "additionalProperties": false}),
            json!({"$schema": DRAFT, "title": "T", "properties": {"a": a, "b": b}, "required": ["b", "a"]}),
            Ok(
                json!({"title": "T", "properties": {"a": a, "b": b}, "required": ["a", "b"], "additionalProperties": false}),
            ),
        ),
        (
            json!({"properties": {"a": a}}),
            json!({"properties": {"a": b}}),
            Err("/properties/a"),
        ),
        (
            json!({"definitions": {"a": a}}),
            json!({"definitions": {"a": b}}),
            Err("/definitions/a"),
        ),
        (
            json!({"additionalProperties": true}),
            json!({"additionalProperties": false}),
            Ok(json!({"additionalProperties": false})),
        ),
        (
            json!({"additionalProperties": false}),
            json!({"additionalProperties": true}),
            Ok(json!({"additionalProperties": false})),
        ),
        (
            json!({"additionalProperties": a}),
            json!({"additionalProperties": true}),
            Ok(json!({"additionalProperties": a})),
        ),
        (
            json!({"additionalProperties": a}),
            json!({"additionalProperties": b}),
            Err("/additionalProperties"),
        ),
        (
            json!({"allOf": [a]}),
            json!({"allOf": [b, a]}),
            Ok(json!({"allOf": [a, b]})),
        ),
        (
            json!({"oneOf": [a]}),
            json!({"oneOf": [a]}),
            Ok(json!({"oneOf": [a]})),
        ),
        (json!({"oneOf": [a]}), json!({"oneOf": [b]}), Err("/oneOf")),
        (
            json!({"minProperties": 1}),
            json!({"if": a, "then": b}),
            Ok(json!({"minProperties": 1, "if": a, "then": b})),
        ),
    ];
    for (provider, own, expected) in table {
        let found = merged(provider.clone(), own.clone());
        assert_eq!(found, expected.map_err(str::to_owned), "{provider} {own}");
    }
    let alone = json!({"type": "object"});
    assert_eq!(merge_run_input(&alone, None), Ok(Cow::Borrowed(&alone)));
    let found = errors(object(json!({"oneOf": [{"required": ["a"]}]})), None);
    assert_eq!(
        found,
        [
            "run_input_json_schema.oneOf: the provider has another `oneOf`; put that of the task into a schema of `allOf`"
        ]
    );
    let provider = json!({"properties": {"a": a}, "additionalProperties": false});
    let merged = merge_run_input(&provider, Some(&object(json!({"properties": {"b": b}})))).unwrap();
    for (arguments, valid) in [
        (json!({"a": "x", "b": 1}), true),
        (json!({"a": 1}), false),
        (json!({"b": "x"}), false),
        (json!({"c": 1}), false),
    ] {
        assert_eq!(check_arguments(&merged, &arguments).is_ok(), valid, "{arguments}");
    }
}

#[test]
fn a_ui_schema_has_to_fit_the_merged_schema() {
    let schema = || {
        object(json!({
            "definitions": {"to": {"type": "object", "properties": {"a/b": {"type": "string"}}}},
            "properties": {"to": {"$ref": "#/definitions/to"}, "mode": {"type": "string"}},
        }))
    };
    let control = |scope: &str| json!({"type": "Control", "scope": scope});
    let layout = |elements: Value| json!({"type": "VerticalLayout", "elements": elements});
    let ruled = |rule: Value| json!({"type": "Control", "scope": "#/properties/mode", "rule": rule});
    let shown =
        json!({"effect": "SHOW", "condition": {"scope": "#/properties/timeout", "schema": {"const": 1}}});
    for accepted in [
        control("#/properties/mode"),
        control("#/properties/timeout"),
        control("#/properties/to/properties/a~1b"),
        layout(json!([control("#"), {"type": "Label", "text": "x"}, {"type": "com.example.Map"}])),
        ruled(shown),
    ] {
        assert_eq!(errors(schema(), Some(accepted.clone())), [""; 0], "{accepted}");
    }
    let mut deep = control("#/properties/mode");
    for _ in 0..20 {
        deep = layout(json!([deep]));
    }
    let table = [
        (json!({}), ".type: "),
        (json!([]), ".type: "),
        (json!({"type": "Control"}), ".scope: a Control has a `scope`"),
        (control("/properties/mode"), ".scope: it is a text such as"),
        (
            layout(json!([control("#"), control("#/properties/mod")])),
            ".elements[1].scope: \"#/properties/mod\" is not in the schema of the arguments: there is no \"mod\"",
        ),
        (layout(json!({})), ".elements: "),
        (layout(json!([7])), ".elements[0].type: "),
        (
            ruled(json!({"effect": "show", "condition": {}})),
            ".rule.effect: it is one of SHOW, HIDE",
        ),
        (ruled(json!({"effect": "SHOW"})), ".rule.condition: "),
        (
            ruled(json!({"effect": "SHOW", "condition": {"scope": "#/x"}})),
            ".rule.condition.scope: ",
        ),
        (
            ruled(json!({"effect": "SHOW", "condition": {"type": "AND", "conditions": [{"scope": "#/x"}]}})),
            ".rule.condition.conditions[0].scope: ",
        ),
        (deep, ".elements[0].elements[0]"),
    ];
    for (ui_schema, expected) in table {
        let found = errors(schema(), Some(ui_schema.clone()));
        let expected = format!("run_input_ui_schema{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{ui_schema}: {found:?}"
        );
    }
}

#[test]
fn a_form_without_a_ui_schema_of_the_task_is_that_of_the_provider_and_what_follows() {
    let run = json!({"properties": {"timeout": {"type": "integer"}}});
    let group = json!({"type": "Group", "label": "Time", "elements": []});
    let own = object(json!({"properties": {"timeout": {"type": "integer"}, "a/b": {"type": "string"}}}));
    let added = RunInput {
        json_schema: Some(&own),
        ui_schema: None,
    };
    let control = |scope: &str| json!({"type": "Control", "scope": scope});
    let layout = |elements: [Value; 2]| Some(json!({"type": "VerticalLayout", "elements": elements}));
    let last = control("#/properties/a~1b");
    let plain = provider(run.clone(), None);
    let ruled = provider(run, Some(group.clone()));
    assert_eq!(merge_run_ui_schema(&plain, RunInput::default()), None);
    assert_eq!(
        merge_run_ui_schema(&ruled, RunInput::default()),
        Some(group.clone())
    );
    let first = control("#/properties/timeout");
    assert_eq!(
        merge_run_ui_schema(&plain, added),
        layout([first.clone(), last.clone()])
    );
    assert_eq!(merge_run_ui_schema(&ruled, added), layout([group, last]));
    let said = RunInput {
        ui_schema: Some(&first),
        ..added
    };
    assert_eq!(merge_run_ui_schema(&ruled, said), Some(first.clone()));
}

#[test]
fn what_is_missing_has_its_default() {
    let schema = json!({"properties": {"a": {"default": 1}, "b": {"default": {"c": 2}}, "d": {}, "e": true}});
    for (arguments, expected) in [
        (Value::Null, json!({"a": 1, "b": {"c": 2}})),
        (
            json!({"a": null, "d": 3}),
            json!({"a": null, "b": {"c": 2}, "d": 3}),
        ),
        (json!({"a": 5, "b": {}}), json!({"a": 5, "b": {}})),
        (json!([]), json!([])),
    ] {
        assert_eq!(*with_defaults(&schema, &arguments), expected, "{arguments}");
    }
    assert_eq!(
        *with_defaults(&json!({"type": "object"}), &Value::Null),
        Value::Null
    );
}
