use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show which arguments a run of a task takes
///
/// They are given by `lockstep tasks run TASK --argument NAME=JSON`. With --json: the JSON Schemas and UI schemas with which JSON Forms
/// renders the forms of the task and of its runs; docs/how-to/forms.md has an example.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks form uptime
  lockstep tasks form uptime --json | jq .run_input_json_schema")]
pub(super) struct Form {
    /// Name or number of the task
    #[arg(value_name = "TASK")]
    task: String,
}

impl Form {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let form = Client::new(global)?.task_form(&self.task).await?;
        if global.json {
            output::json(&form);
            return Ok(ExitCode::SUCCESS);
        }
        let rows = rows(&form.run_input_json_schema);
        if rows.is_empty() {
            let others = form.run_input_json_schema["additionalProperties"] != false;
            output::line(if others {
                "a run takes any arguments, and needs none"
            } else {
                "a run takes no arguments"
            });
        } else {
            let header = ["argument", "type", "needed", "default", "description"];
            for line in output::table(header, &rows) {
                output::line(&line);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The properties of a schema. A schema that demands one without describing it has a row for that, too.
fn rows(schema: &Value) -> Vec<[String; 5]> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let needed: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema["properties"].as_object();
    let described = properties.into_iter().flatten().map(|(name, property)| {
        let reference = property["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'));
        let meant = reference
            .and_then(|reference| schema.pointer(reference))
            .unwrap_or(property);
        let kinds = meant["enum"].as_array().or_else(|| meant["type"].as_array());
        let kind = match kinds {
            Some(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" | "),
            None => text(&meant["type"]),
        };
        let is_needed = needed.contains(&name.as_str()) && property.get("default").is_none();
        let description = [&meant["description"], &meant["title"]].into_iter().map(text);
        let description = description
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        let default = property
            .get("default")
            .map(ToString::to_string)
            .unwrap_or_default();
        let needed = if is_needed { "yes" } else { "no" };
        [name.clone(), kind, needed.to_owned(), default, description]
    });
    let is_described = |name: &str| properties.is_some_and(|all| all.contains_key(name));
    let others = needed.iter().filter(|name| !is_described(name));
    let others = others.map(|name| {
        let none = String::new;
        [(*name).to_owned(), none(), "yes".to_owned(), none(), none()]
    });
    described.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_argument_is_a_row() {
        let schema = json!({
            "definitions": {"vlan": {"title": "VLAN", "type": "integer"}},
            "required": ["vlan", "mode", "other"],
            "properties": {
                "vlan": {"$ref": "#/definitions/vlan"},
                "mode": {"enum": ["a", 1], "default": "a", "title": "Mode", "description": "How"},
                "names": {"type": ["array", "null"]},
                "any": true,
            },
        });
        let found = rows(&schema);
        let expected = [
            ["any", "", "no", "", ""],
            ["mode", "a | 1", "no", "\"a\"", "How"],
            ["names", "array | null", "no", "", ""],
            ["vlan", "integer", "yes", "", "VLAN"],
            ["other", "", "yes", "", ""],
        ];
        assert_eq!(found, expected);
        assert!(rows(&json!({"type": "object"})).is_empty());
    }
}
