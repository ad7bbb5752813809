use serde_json::Value;

/// Deviations of single fields from the usual response, for releases that send null, another type, or no field.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, Option<Value>)>);

impl Fields {
    /// Sets the value of a field, named by a JSON pointer such as `/data/ccId`.
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) {
        self.0.push((pointer.to_owned(), Some(value.into())));
    }

    /// Omits a field.
    pub fn leave_out(&mut self, pointer: &str) {
        self.0.push((pointer.to_owned(), None));
    }

    pub(crate) fn apply(&self, answer: &mut Value) {
        for (pointer, value) in &self.0 {
            let Some((parent, key)) = pointer.rsplit_once('/') else {
                continue;
            };
            let Some(parent) = answer.pointer_mut(parent).and_then(Value::as_object_mut) else {
                continue;
            };
            match value {
                Some(value) => parent.insert(key.to_owned(), value.clone()),
                None => parent.remove(key),
            };
        }
    }
}

/// Replaces every empty text by null, as CVP 2016 does.
pub(crate) fn empty_as_null(answer: &mut Value) {
    match answer {
        Value::String(text) if text.is_empty() => *answer = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(empty_as_null),
        Value::Object(fields) => fields.values_mut().for_each(empty_as_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_set_added_and_left_out() {
        let mut fields = Fields::default();
        fields.set("/data/ccId", "7");
        fields.set("/fresh", 1);
        fields.leave_out("/note");
        let mut answer = json!({"note": "", "data": {"ccId": ""}});
        fields.apply(&mut answer);
        assert_eq!(answer, json!({"data": {"ccId": "7"}, "fresh": 1}));
    }

    #[test]
    fn empty_texts_become_null_at_any_depth() {
        let mut answer = json!({"a": "", "b": [{"c": ""}], "d": "x", "e": 0});
        empty_as_null(&mut answer);
        assert_eq!(answer, json!({"a": null, "b": [{"c": null}], "d": "x", "e": 0}));
    }
}
