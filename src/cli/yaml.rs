//! JSON as people read it: YAML, in which texts of several lines have several lines.

use serde_json::Value;

/// A value as YAML.
pub(super) fn text(value: &Value) -> String {
    // JSON has only what YAML has, too.
    serde_norway::to_string(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_a_text_are_lines() {
        let value = json!({"commands": [{"command": "show version", "output": "Arista\nEOS: 4.30\n"}], "bell": "\u{7}"});
        let shown = text(&value);
        assert!(shown.contains("\n    Arista\n    EOS: 4.30\n"), "{shown}");
        assert_eq!(serde_norway::from_str::<Value>(&shown).unwrap(), value);
    }
}
