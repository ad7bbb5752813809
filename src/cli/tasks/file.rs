use std::io::Read;

use anyhow::Context;
use lockstep_protocol::rest::TaskProblem;
use serde_json::Value;

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

/// A problem in one line.
pub(super) fn line(path: &str, problem: &TaskProblem) -> String {
    format!("{path}: {}: {}", problem.place, problem.reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
