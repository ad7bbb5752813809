use serde_json::{Map, Value, json};

use super::print::sorted;
use super::section::Section;

/// The commands of a configuration as EOS nests them in JSON.
pub(crate) fn json(configuration: &Section) -> Value {
    commands(configuration, None)
}

fn commands(section: &Section, within: Option<&str>) -> Value {
    let mut commands = Map::new();
    for entry in sorted(section, within) {
        let key = std::iter::once(&entry.line).chain(&entry.text);
        let key = key.map(String::as_str).collect::<Vec<_>>().join("\n");
        let value = match &entry.section {
            Some(section) if !section.entries.is_empty() || !section.comment.is_empty() => {
                json!({"comments": section.comment, "cmds": self::commands(section, Some(&entry.line))})
            }
            _ => Value::Null,
        };
        commands.insert(key, value);
    }
    Value::Object(commands)
}
