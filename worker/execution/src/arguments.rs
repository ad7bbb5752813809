//! Arguments of tasks and runs: checked with the JSON Schemas of a provider, and merged.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

/// The most errors that are told.
pub(crate) const MAX_ERRORS: usize = 20;

/// The most characters of a reason: it may show a value of any length.
const MAX_REASON: usize = 300;

/// Why arguments cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArgumentsError {
    /// The schema itself is wrong: a fault of the provider.
    #[error("the schema of the arguments is wrong, which the author of the provider has to correct: {0}")]
    Schema(String),
    /// The arguments do not match the schema.
    #[error("{}", list(.errors, *.more))]
    Invalid {
        /// What is wrong, at most 20 errors.
        errors: Vec<ArgumentError>,
        /// Whether there are more.
        more: bool,
    },
}

/// One error in arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// Where: a JSON Pointer such as `/commands/0`; empty if it is about the arguments as a whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl ArgumentError {
    /// The path as a JSON path that follows what the arguments are in: `.commands[0]`.
    pub fn json_path(&self) -> String {
        let parts = self.path.split('/').skip(1);
        parts
            .map(|part| match part.parse::<usize>() {
                Ok(index) => format!("[{index}]"),
                Err(_) => format!(".{}", part.replace("~1", "/").replace("~0", "~")),
            })
            .collect()
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "{path}: {}", self.reason),
        }
    }
}

fn list(errors: &[ArgumentError], more: bool) -> String {
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if more {
        texts.push("and more".to_owned());
    }
    texts.join("; ")
}

/// Checks arguments with a JSON Schema. It may refer only to itself; without `$schema` it is of the newest draft.
///
/// # Errors
/// The schema is wrong, or the arguments do not match it.
pub fn check_arguments(schema: &Value, arguments: &Value) -> Result<(), ArgumentsError> {
    let validator = jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| ArgumentsError::Schema(bounded(&error.to_string())))?;
    let arguments = or_empty(arguments);
    let mut found = validator.iter_errors(&arguments);
    let errors: Vec<ArgumentError> = found
        .by_ref()
        .take(MAX_ERRORS)
        .map(|error| told(&error))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let more = found.next().is_some();
    Err(ArgumentsError::Invalid { errors, more })
}

/// An error with a reason of bounded length.
pub(crate) fn told(error: &jsonschema::ValidationError<'_>) -> ArgumentError {
    let reason = error.to_string();
    let reason = if reason.chars().count() > MAX_REASON {
        bounded(&error.masked().to_string())
    } else {
        reason
    };
    ArgumentError {
        path: error.instance_path().to_string(),
        reason,
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Arguments as providers see them: none at all are an empty object.
pub fn or_empty(arguments: &Value) -> Cow<'_, Value> {
    if arguments.is_null() {
        Cow::Owned(Value::Object(Map::new()))
    } else {
        Cow::Borrowed(arguments)
    }
}

/// The arguments with some replaced, by name. What is replaced by null is left out, so that its default counts again. Arguments that
/// are not an object are replaced as a whole, if there is anything to replace.
pub fn merge_arguments(arguments: &Value, replaced: &Map<String, Value>) -> Value {
    let mut merged = match or_empty(arguments).into_owned() {
        Value::Object(members) => members,
        other if replaced.is_empty() => return other,
        _ => Map::new(),
    };
    for (name, value) in replaced {
        if value.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "required": ["commands"],
            "properties": {
                "commands": {"type": "array", "items": {"type": "string", "pattern": "^show "}},
                "count": {"type": "integer", "maximum": 3},
                "to": {"type": "object", "properties": {"a/b": {"type": "string"}}},
            },
            "additionalProperties": false,
        })
    }

    fn errors(schema: &Value, arguments: &Value) -> Vec<(String, String)> {
        match check_arguments(schema, arguments) {
            Ok(()) => Vec::new(),
            Err(ArgumentsError::Invalid { errors, more: false }) => errors
                .into_iter()
                .map(|error| (error.path, error.reason))
                .collect(),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn each_error_has_its_path_and_reason() {
        let table = [
            (json!({"commands": []}), vec![]),
            (json!({}), vec![("", "\"commands\" is a required property")]),
            (Value::Null, vec![("", "\"commands\" is a required property")]),
            (json!([]), vec![("", "[] is not of type \"object\"")]),
            (
                json!({"commands": ["show version", "reload", 7], "count": 4}),
                vec![
                    ("/commands/1", "\"reload\" does not match \"^show \""),
                    ("/commands/2", "7 is not of type \"string\""),
                    ("/count", "4 is greater than the maximum of 3"),
                ],
            ),
            (
                json!({"commands": [], "to": {"a/b": 1}}),
                vec![("/to/a~1b", "1 is not of type \"string\"")],
            ),
            (
                json!({"commands": [], "comands": []}),
                vec![(
                    "",
                    "Additional properties are not allowed ('comands' was unexpected)",
                )],
            ),
        ];
        for (arguments, expected) in table {
            let found = errors(&schema(), &arguments);
            let found: Vec<_> = found
                .iter()
                .map(|(path, reason)| (path.as_str(), reason.as_str()))
                .collect();
            assert_eq!(found, expected, "{arguments}");
        }
        let error = check_arguments(&schema(), &json!({"commands": ["reload"]})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/commands/0: \"reload\" does not match \"^show \""
        );
    }

    #[test]
    fn drafts_are_told_apart() {
        // Draft-07 ignores what stands beside `$ref`, later ones do not.
        let draft = |uri: &str| json!({"$schema": uri, "$defs": {"x": {}}, "properties": {"a": {"$ref": "#/$defs/x", "type": "string"}}});
        let arguments = json!({"a": 1});
        let old = draft("http://json-schema.org/draft-07/schema#");
        assert_eq!(check_arguments(&old, &arguments), Ok(()));
        let new = draft("https://json-schema.org/draft/2020-12/schema");
        assert_eq!(
            errors(&new, &arguments),
            [("/a".to_owned(), "1 is not of type \"string\"".to_owned())]
        );
        let formats = json!({"properties": {"a": {"format": "ipv4"}}});
        assert_eq!(errors(&formats, &json!({"a": "192.0.2"}))[0].0, "/a");
    }

    #[test]
    fn a_wrong_schema_is_the_fault_of_the_provider() {
        for schema in [
            json!({"type": "objekt"}),
            json!({"properties": []}),
            json!({"pattern": "("}),
            json!({"$ref": "https://example.org/schema.json"}),
            json!({"$ref": "file:///etc/hostname"}),
            json!({"$ref": "#/$defs/none"}),
            json!(7),
        ] {
            let error = check_arguments(&schema, &json!({})).unwrap_err();
            assert!(matches!(error, ArgumentsError::Schema(_)), "{schema}: {error:?}");
        }
    }

    #[test]
    fn errors_are_bounded() {
        let commands: Vec<String> = (0..1000).map(|_| "x".repeat(10_000)).collect();
        let error = check_arguments(&schema(), &json!({"commands": commands})).unwrap_err();
        let ArgumentsError::Invalid { errors, more } = &error else {
            panic!("{error:?}");
        };
        assert_eq!((errors.len(), *more), (MAX_ERRORS, true));
        assert_eq!(errors[0].reason, "value does not match \"^show \"");
        assert!(error.to_string().ends_with("; and more"), "{error}");
        assert_eq!(bounded(&"ä".repeat(400)).chars().count(), MAX_REASON + 1);
    }

    #[test]
    fn arguments_are_replaced_by_name() {
        let table = [
            (
                json!({"a": 1, "b": {"c": 2}}),
                json!({"b": 3, "d": 4}),
                json!({"a": 1, "b": 3, "d": 4}),
            ),
            (json!({"a": 1}), json!({"a": null}), json!({})),
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (Value::Null, json!({"a": 1}), json!({"a": 1})),
            (Value::Null, json!({}), json!({})),
            (json!([1]), json!({}), json!([1])),
            (json!([1]), json!({"a": 1}), json!({"a": 1})),
        ];
        for (arguments, replaced, expected) in table {
            let merged = merge_arguments(&arguments, replaced.as_object().unwrap());
            assert_eq!(merged, expected, "{arguments} {replaced}");
        }
    }
}
