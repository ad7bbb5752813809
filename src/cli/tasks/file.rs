use std::io::Read;

use anyhow::Context;
use lockstep_protocol::rest::TaskProblem;
use serde_json::{Value, json};

/// Reads a task file, or standard input for `-`: YAML, of which JSON is a part.
///
/// # Errors
/// If it cannot be read, or is not YAML.
pub(super) fn read(path: &str) -> anyhow::Result<Value> {
    let text = if path == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?
    };
    parse(&text).with_context(|| format!("{path} is not a task file"))
}

fn parse(text: &str) -> anyhow::Result<Value> {
    // Only its own values refuse a key that occurs twice.
    let value: serde_norway::Value = serde_norway::from_str(text)?;
    Ok(serde_json::to_value(value)?)
}

/// Adds names to a list of the task. A task or list that is none stays as it is, for the validation to tell.
pub(super) fn add(task: &mut Value, list: &str, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    if let Some(task) = task.as_object_mut()
        && let Some(list) = task.entry(list).or_insert_with(|| json!([])).as_array_mut()
    {
        list.extend(names.into_iter().map(Value::from));
    }
}

/// A problem in one line.
pub(super) fn line(path: &str, problem: &TaskProblem) -> String {
    format!("{path}: {}: {}", problem.place, problem.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_to_a_list_and_nothing_else_changes() {
        let names = || vec!["b".to_owned(), "c".to_owned()];
        for (before, expected) in [
            (
                json!({"name": "x"}),
                json!({"name": "x", "pre_tasks": ["b", "c"]}),
            ),
            (json!({"pre_tasks": ["a"]}), json!({"pre_tasks": ["a", "b", "c"]})),
            (json!({"pre_tasks": 7}), json!({"pre_tasks": 7})),
            (json!([]), json!([])),
        ] {
            let mut task = before;
            add(&mut task, "pre_tasks", names());
            assert_eq!(task, expected);
        }
        let mut task = json!({});
        add(&mut task, "pre_tasks", Vec::new());
        assert_eq!(task, json!({}));
    }

    #[test]
    fn a_task_file_is_yaml_or_json() {
        let expected =
            json!({"name": "uptime", "provider": "command", "arguments": {"commands": ["show version"]}});
        for text in [
            "name: uptime\nprovider: command\narguments:\n  commands:\n    - show version\n",
            r#"{"name": "uptime", "provider": "command", "arguments": {"commands": ["show version"]}}"#,
        ] {
            assert_eq!(parse(text).unwrap(), expected);
        }
        for text in ["name: [", "name: a\nname: b\n", "? [1]\n: 2\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
