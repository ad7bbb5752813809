//! An example of what each route answers, and of what it takes, in `examples.json`. A test compares them with the schemas.

use std::sync::LazyLock;

use serde_json::Value;

static EXAMPLES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).expect("the file is JSON"));

/// Adds the examples of an operation to its answer and its request. A stream of events has none.
pub(super) fn add_to(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let answer = &EXAMPLES["answers"][&id];
    for status in ["200", "202"] {
        let content = operation.pointer_mut(&format!("/responses/{status}/content"));
        let entries = content.and_then(Value::as_object_mut).into_iter().flatten();
        for (_, entry) in entries.filter(|(media_type, _)| *media_type != "text/event-stream") {
            entry["example"] = answer.clone();
        }
    }
    let content = operation
        .pointer_mut("/requestBody/content")
        .and_then(Value::as_object_mut);
    for (media_type, entry) in content.into_iter().flatten() {
        if let Some(example) = EXAMPLES["requests"][&id].get(media_type) {
            entry["example"] = example.clone();
        }
    }
}
